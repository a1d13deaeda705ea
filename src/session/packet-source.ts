/** Where the TUI finds the bytes of a sighting again, and what they mean: the captures of a recording. */
import { RecordBytes } from "../capture/record-bytes.js";
import { findCapture, readRecordingHeader } from "../capture/recording.js";
import { hopName } from "../model/hop.js";
import type { Sighting, TraceStarted } from "../model/trace.js";
import { describe, type Field } from "../packet/describe.js";

/** What finds the bytes of a sighting again. */
export type SightingPlace = Pick<Sighting, "hop" | "record" | "capture">;

export interface OpenPacketSource extends Disposable {
  bytes(sighting: SightingPlace): Uint8Array | undefined;
  describe(sighting: SightingPlace): readonly Field[];
  /** What the trace began with; undefined while there is no recording. */
  started(): TraceStarted | undefined;
  /** LINKTYPE_* of the capture that a sighting stands in. */
  linkType(sighting: SightingPlace): number;
}

/** @param folder of a recording; it may still be in the making, or not begun */
export function openPacketSource(folder: string): OpenPacketSource {
  let hops: ReadonlyMap<string, number> | undefined;
  const captures = new Map<number, RecordBytes>();
  const find = ({ hop, capture }: SightingPlace): RecordBytes | undefined => {
    hops ??= new Map(readRecordingHeader(folder).hops.map((each, index) => [hopName(each), index]));
    const number = capture ?? hops.get(hop);
    if (number === undefined) return undefined;
    const known = captures.get(number);
    if (known !== undefined) return known;
    const file = findCapture(folder, number);
    if (file === undefined) return undefined;
    const opened = new RecordBytes(file);
    captures.set(number, opened);
    return opened;
  };
  return {
    bytes: (sighting) => find(sighting)?.bytes(sighting.record),
    describe(sighting) {
      const capture = find(sighting);
      const bytes = capture?.bytes(sighting.record);
      return capture === undefined || bytes === undefined ? [] : describe(bytes, capture.linkType);
    },
    started() {
      try {
        const { count: _, taps: _taps, ...header } = readRecordingHeader(folder);
        return { type: "trace", ...header };
      } catch {
        return undefined; // not begun
      }
    },
    linkType: (sighting) => find(sighting)?.linkType ?? 1,
    [Symbol.dispose]() {
      for (const capture of captures.values()) capture[Symbol.dispose]();
    },
  };
}
