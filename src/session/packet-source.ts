/** Where the TUI finds the bytes of a sighting again, and what they mean: the captures of a recording. */
import { RecordBytes } from "../capture/record-bytes.js";
import { readRecordingHeader, capturePaths } from "../capture/recording.js";
import { hopName } from "../model/hop.js";
import type { TraceStarted } from "../model/trace.js";
import { describe, type Field } from "../packet/describe.js";

export interface OpenPacketSource extends Disposable {
  bytes(hop: string, record: number): Uint8Array | undefined;
  describe(hop: string, record: number): readonly Field[];
  /** What the trace began with; undefined while there is no recording. */
  started(): TraceStarted | undefined;
  /** LINKTYPE_* of a hop's capture. */
  linkType(hop: string): number;
}

/** @param folder of a recording; it may still be in the making, or not begun */
export function openPacketSource(folder: string): OpenPacketSource {
  let captures: Map<string, RecordBytes> | undefined;
  const find = (hop: string): RecordBytes | undefined => {
    if (captures === undefined) {
      const header = readRecordingHeader(folder);
      const paths = capturePaths(folder, header);
      captures = new Map(header.hops.map((each, index) => [hopName(each), new RecordBytes(paths[index] ?? "")]));
    }
    return captures.get(hop);
  };
  return {
    bytes: (hop, record) => find(hop)?.bytes(record),
    describe(hop, record) {
      const capture = find(hop);
      const bytes = capture?.bytes(record);
      return capture === undefined || bytes === undefined ? [] : describe(bytes, capture.linkType);
    },
    started() {
      try {
        const { count: _, ...header } = readRecordingHeader(folder);
        return { type: "trace", ...header };
      } catch {
        return undefined; // not begun
      }
    },
    linkType: (hop) => find(hop)?.linkType ?? 1,
    [Symbol.dispose]() {
      for (const capture of captures?.values() ?? []) capture[Symbol.dispose]();
    },
  };
}
