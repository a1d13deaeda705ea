/** The views that need no terminal of their own. `openPrinter` loads each format when it is asked for; the TUI is `tui/`. */
export { columns, type Column } from "./columns.js";
export { explainPacket } from "./explain-packet.js";
export { failureJson, printFailure } from "./failure.js";
export { drawGraph, graphFormats, graphOfSnapshot, type GraphData, type GraphFormat } from "./graph/index.js";
export { inkFor, noInk, wantsColours, type Ink, type Tone } from "./ink.js";
export { inspectLines, type InspectOptions } from "./inspect.js";
export { junit, type TestCase, type TestOutcome, type TestReport } from "./junit.js";
export { labLines, planLines, type LabListing } from "./listing.js";
export { noPackets, type Field, type FieldTree, type PacketSource } from "./packet-source.js";
export { pingLines, type PingCell, type PingMatrix } from "./ping-matrix.js";
export { openPrinter, traceFormats, type TraceFormat } from "./formats.js";
export type { PrinterOptions, TracePrinter } from "./printer.js";
export { verdictSentence } from "./verdict.js";
