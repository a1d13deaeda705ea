/** The views that need no terminal of their own. `openPrinter` loads each format when it is asked for; the TUI is `tui/`. */
export { columns, type Column } from "./columns.js";
export { explainPacket } from "./explain-packet.js";
export { failureJson, printFailure } from "./failure.js";
export { inkFor, noInk, wantsColours, type Ink, type Tone } from "./ink.js";
export { inspectLines, type InspectOptions } from "./inspect.js";
export { labLines, planLines, type LabListing } from "./listing.js";
export { noPackets, type Field, type FieldTree, type PacketSource } from "./packet-source.js";
export { openPrinter, traceFormats, type PrinterOptions, type TraceFormat, type TracePrinter } from "./printer.js";
export { TraceLog } from "./trace-log.js";
export { verdictSentence } from "./verdict.js";
