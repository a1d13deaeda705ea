/** Whether all of a divided packet was seen at a hop. */
import type { Columns } from "../packet/columns.js";
import { NONE, type Packets } from "./packets.js";
import { bytesOf, commonBytes } from "./segment.js";

/** Whether two sightings are of one passage: a hop that is passed twice sees another TTL the second time. */
export function samePassage(c: Columns, a: number, b: number): boolean {
  return c.hop[a] === c.hop[b] && c.ttl[a] === c.ttl[b];
}

/** Numbers of the hops that saw a packet. */
export function hopsOf(c: Columns, packets: Packets, packet: number): ReadonlySet<number> {
  const seen = new Set<number>();
  for (let s = packets.head[packet] ?? NONE; s !== NONE; s = packets.next[s] ?? NONE) seen.add(c.hop[s] ?? 0);
  return seen;
}

/** Whether the sightings that are of one passage with `row` carry all the bytes that the first sighting of a packet has. */
export function isWholeAt(c: Columns, packets: Packets, packet: number, row: number): boolean {
  const head = packets.head[packet] ?? 0;
  let bytes = 0;
  const payload = c.payload[head] ?? 0;
  for (let s = head; s !== NONE; s = packets.next[s] ?? NONE) {
    if (!samePassage(c, s, row)) continue;
    const common = commonBytes(c, head, s);
    // In a large datagram only the first of those that were merged has its header.
    if (common >= payload && (c.payload[s] ?? 0) >= payload) return true;
    bytes += common;
  }
  return bytes >= bytesOf(c, head);
}

/** Last sighting at the last hop that saw all of a divided packet: what is missing was lost behind it. */
export function lastWhole(c: Columns, packets: Packets, packet: number): number {
  let last = packets.head[packet] ?? 0;
  let before = last;
  let whole = true;
  for (let s = packets.next[last] ?? NONE; s !== NONE; s = packets.next[s] ?? NONE) {
    if (!samePassage(c, s, before)) whole = isWholeAt(c, packets, packet, s);
    before = s;
    if (whole) last = s;
  }
  return last;
}
