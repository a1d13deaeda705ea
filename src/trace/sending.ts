/**
 * Bytes of a stream that were sent twice (a retransmission, perhaps divided otherwise) are on their way in two packets
 * at once. A segment carries each of its bytes for one of them: for that which was last seen nearest to it, as what is
 * further behind cannot have come by yet; of two that are equally near, for the one that was in such a frame before, then for
 * the one that nothing need have held back, whose time is the usual one, and where none is known for the older one.
 */
import { type Columns, Kind } from "../packet/columns.js";
import { sameInvariants } from "../packet/fingerprint.js";
import { NONE, type Packets } from "./packets.js";
import { bytesOf, commonBytes } from "./segment.js";

/** Of a segment from the last sighting of a packet. */
export interface Distance {
  readonly hops: number;
  /** Nanoseconds by which the time between the two is not the usual one; 0 where that is not known. */
  readonly strange: number;
  /** The packet was not seen for longer than links hold packets back. */
  readonly quiet: boolean;
}

/** @param found packets that a TCP segment shares bytes with, the oldest first */
export function ofOneSending(
  c: Columns,
  packets: Packets,
  row: number,
  found: readonly number[],
  distanceTo: (packet: number) => Distance,
): readonly number[] {
  if (c.kind[row] !== Kind.tcp || found.length < 2) return found;
  const head = (packet: number): number => packets.head[packet] ?? 0;
  const nearest = found
    .map((packet) => {
      const { hops, strange, quiet } = distanceTo(packet);
      return { packet, order: [hops, wasSeenAs(c, packets, packet, row) ? 0 : 1, quiet ? 1 : 0, strange] };
    })
    .sort((a, b) => compare(a.order, b.order))
    .map(({ packet }) => packet);
  const whole = nearest.find((packet) => commonBytes(c, head(packet), row) === bytesOf(c, row));
  if (whole !== undefined) return [whole];
  // Merged of several: each byte from one.
  const taken: (readonly [from: number, to: number])[] = [];
  const parts = new Set<number>();
  for (const packet of nearest) {
    const from = ((c.sequence[head(packet)] ?? 0) - (c.sequence[row] ?? 0)) | 0;
    const to = from + bytesOf(c, head(packet));
    if (taken.some((other) => from < other[1] && other[0] < to)) continue;
    taken.push([from, to]);
    parts.add(packet);
  }
  return found.filter((packet) => parts.has(packet));
}

/** Whether a sighting of a packet is equal to the row: a frame that passed whole. */
function wasSeenAs(c: Columns, packets: Packets, packet: number, row: number): boolean {
  for (let s = packets.head[packet] ?? NONE; s !== NONE; s = packets.next[s] ?? NONE)
    if (sameInvariants(c, s, row)) return true;
  return false;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
