/**
 * The text forms of a trace behind one shape. A printer takes each event and gives back the text that it adds to the
 * output: nothing, a line, or, at the last event, a whole document. Heavy packages are loaded with the format that
 * needs them.
 */
import type { PrinterOptions, TracePrinter } from "./printer.js";

/** pcapng is bytes, not text: `packet/` writes it. */
export const traceFormats = ["text", "table", "summary", "ladder", "jsonl", "mermaid", "html"] as const;
export type TraceFormat = (typeof traceFormats)[number];

export async function openPrinter(format: TraceFormat, options: PrinterOptions): Promise<TracePrinter> {
  switch (format) {
    case "text":
      return (await import("./text.js")).textPrinter(options);
    case "table":
      return (await import("./table.js")).tablePrinter(options);
    case "summary":
      return (await import("./summary.js")).summaryPrinter(options);
    case "ladder":
      return (await import("./ladder.js")).ladderPrinter(options);
    case "mermaid":
      return (await import("./mermaid.js")).mermaidPrinter();
    case "html":
      return (await import("./html/page.js")).htmlPrinter(options);
    case "jsonl":
      return (await import("./jsonl.js")).jsonlPrinter();
  }
}
