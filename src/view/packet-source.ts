/** Where a view finds the bytes of a sighting again, and what they mean. */

export interface PacketSource {
  /** The captured bytes, link layer first; undefined where they are not (or no longer) at hand. */
  bytes(hop: string, record: number): Uint8Array | undefined;
  describe(hop: string, record: number): FieldTree;
}

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
