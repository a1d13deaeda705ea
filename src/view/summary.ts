/** What stands below the packets, without them: of a flood nobody reads a line for each. */
import type { TraceEvent } from "../model/trace.js";
import { closingSections, DeathCount } from "./closing.js";
import { GapTimes } from "./gap-times.js";
import { inkFor } from "./ink.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { TraceLog } from "./trace-log.js";
import { visibleDeep } from "./width.js";

/** Of packets it asks for those that were not delivered, and no others. */
export function summaryPrinter(options: Pick<PrinterOptions, "colours" | "columns">): TracePrinter {
  const ink = inkFor(options.colours);
  const log = new TraceLog();
  const deaths = new DeathCount();
  const gapTimes = new GapTimes();
  return (raw: TraceEvent) => {
    if (raw.type === "log" || (raw.type === "packet" && raw.verdict.kind === "delivered")) return "";
    const event = visibleDeep(raw);
    log.push(event);
    if (event.type === "packet") deaths.push(event);
    else if (event.type === "hop") gapTimes.push(event);
    if (event.type !== "end") return "";
    return `${closingSections(log, gapTimes, deaths, ink, options.columns).join("\n\n")}\n`;
  };
}
