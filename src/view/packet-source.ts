/** Where a view finds the bytes of a sighting again, and what they mean. */
import type { Sighting } from "../model/trace.js";

export interface PacketSource {
  /** The captured bytes, link layer first; undefined where they are not (or no longer) at hand. */
  bytes(sighting: SightingPlace): Uint8Array | undefined;
  describe(sighting: SightingPlace): FieldTree;
}

/** What finds the bytes of a sighting again. */
export type SightingPlace = Pick<Sighting, "hop" | "record" | "capture">;

/** Decoded fields, outermost layer first. */
export type FieldTree = readonly Field[];

export interface Field {
  /** `Internet Protocol`, `ttl`. */
  readonly label: string;
  /** `63`; absent on a layer's own line. */
  readonly value?: string;
  /** Bytes it was read from: first offset, and the one after the last. */
  readonly range?: readonly [start: number, end: number];
  readonly fields?: FieldTree;
}

/** For traces whose bytes are not at hand. */
export const noPackets: PacketSource = { bytes: () => undefined, describe: () => [] };

/**
 * Asks the source once for each sighting that is looked at, however often it is drawn. What the source throws (a
 * capture that is cut off, a recording not begun) becomes a field to be read: a view goes on without the bytes.
 */
export function askedOnce(source: PacketSource): PacketSource {
  let last: { readonly key: string; readonly bytes: Uint8Array | undefined; readonly fields: FieldTree } | undefined;
  const ask = (place: SightingPlace): NonNullable<typeof last> => {
    const key = `${place.hop} ${place.capture ?? ""} ${place.record}`;
    // Live, bytes may come to hand later: only found ones are kept.
    if (last?.key === key && last.bytes !== undefined) return last;
    try {
      last = { key, bytes: source.bytes(place), fields: source.describe(place) };
    } catch (error) {
      const value = error instanceof Error ? error.message : String(error);
      last = { key, bytes: undefined, fields: [{ label: "bytes not at hand", value }] };
    }
    return last;
  };
  return {
    bytes: (place) => ask(place).bytes,
    describe: (place) => ask(place).fields,
  };
}
