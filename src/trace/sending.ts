/**
 * Bytes of a stream that were sent twice (a retransmission, perhaps divided otherwise) are on their way in two packets
 * at once. A segment carries each of its bytes for one of them: for that which was last seen nearest to it, as what is
 * further behind cannot have come by yet; of two that are equally near, for the one that was in such a frame before, then for the
 * older one, unless nothing can have held it back for so long.
 */
import { type Columns, Kind } from "../packet/columns.js";
import { sameInvariants } from "../packet/fingerprint.js";
import { NONE, type Packets } from "./packets.js";
import { bytesOf, commonBytes } from "./segment.js";

/** @param found packets that a TCP segment shares bytes with, the oldest first; @param distance hops from their last sighting to the row's @param quiet not seen for longer than links hold packets back */
export function ofOneSending(
  c: Columns,
  packets: Packets,
  row: number,
  found: readonly number[],
  distance: (packet: number) => number,
  quiet: (packet: number) => boolean,
): readonly number[] {
  if (c.kind[row] !== Kind.tcp || found.length < 2) return found;
  const head = (packet: number): number => packets.head[packet] ?? 0;
  const nearest = found
    .map((packet) => ({
      packet,
      distance: distance(packet),
      other: wasSeenAs(c, packets, packet, row) ? 0 : 1,
      quiet: quiet(packet) ? 1 : 0,
    }))
    .sort((a, b) => a.distance - b.distance || a.other - b.other || a.quiet - b.quiet)
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
