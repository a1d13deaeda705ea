/** JSON Lines: one event a line, as the trace core gave it. Provisional packets are for live views only. */
import type { TracePrinter } from "./printer.js";

export function jsonlPrinter(): TracePrinter {
  return (event) => (event.type === "packet" && event.provisional === true ? "" : `${JSON.stringify(event)}\n`);
}
