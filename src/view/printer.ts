/** What every text form of a trace is: a function from events to the text that each adds. */
import type { TraceEvent } from "../model/trace.js";
import type { PacketSource } from "./packet-source.js";

export interface PrinterOptions {
  readonly colours: boolean;
  /** Cells that a line may take. */
  readonly columns: number;
  /** Heading of a document: `docker-bridge, port 80`. */
  readonly title?: string;
  /** Where the decoded fields of an HTML page come from. */
  readonly source?: PacketSource;
}

/** Text that an event adds to the output, line ends included. */
export type TracePrinter = (event: TraceEvent) => string;
