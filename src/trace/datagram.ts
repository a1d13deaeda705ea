/**
 * UDP segmentation offload (udp(7), UDP_SEGMENT): a datagram larger than any frame is cut into datagrams of one size, the
 * last one perhaps shorter, numbered on from its own identification. Nothing in a segment says where it belongs, so only
 * what fits such a division is one, and only of a datagram that its interface could not have sent whole.
 */
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { DIGEST_BYTES } from "../packet/fingerprint.js";
import { NONE, type Packets } from "./packets.js";

/** UDP_MAX_SEGMENTS of linux/udp.h. */
export const MAXIMUM_SEGMENTS = 128;
/** Ports, length and checksum: they stand once in a large datagram, and in each of its segments. */
const HEADER = 8;

/** Whether a row is a whole UDP datagram, no fragment of one. */
export function isDatagram(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.udp && ((c.marks[row] ?? 0) & Mark.moreFragments) === 0;
}

/** Bytes that two rows have in common: a large datagram and one of its segments, or one segment at two hops; else 0. */
export function datagramBytes(c: Columns, a: number, b: number): number {
  if (isOversize(c, a)) return segmentBytes(c, a, b);
  if (isOversize(c, b)) return segmentBytes(c, b, a);
  return placeOf(c, a, b) === 0 && c.payload[a] === c.payload[b] && c.digest[a] === c.digest[b]
    ? (c.payload[a] ?? 0) + HEADER
    : 0;
}

function segmentBytes(c: Columns, large: number, segment: number): number {
  const whole = c.payload[large] ?? 0;
  const size = c.payload[segment] ?? 0;
  const place = placeOf(c, large, segment);
  if (c.identification[large] === 0 || size === 0 || size >= whole || place >= MAXIMUM_SEGMENTS) return 0;
  if (place === 0) return size < DIGEST_BYTES || c.digest[segment] === c.digest[large] ? size + HEADER : 0;
  const others = (whole - size) / place; // their size, were it the last one
  return (place + 1) * size <= whole || (Number.isInteger(others) && others >= size) ? size : 0;
}

/**
 * Those of some packets that a datagram shares bytes with by all that is known of them together: a segment has one large
 * datagram, the nearest before it, and all segments but the last are of one size.
 */
export function ofOneDivision(c: Columns, packets: Packets, row: number, found: readonly number[]): readonly number[] {
  if (!isDatagram(c, row) || found.length === 0) return found;
  const head = (packet: number): number => packets.head[packet] ?? 0;
  if (isOversize(c, row)) {
    const size = Math.max(...found.map((packet) => c.payload[head(packet)] ?? 0));
    return found.filter((packet) => fits(c, row, head(packet), size));
  }
  const divisions = found.map((packet) => ({ packet, ...divisionOf(c, packets, packet, row) }));
  const [nearest] = divisions.toSorted((a, b) => placeOf(c, a.large, row) - placeOf(c, b.large, row));
  return nearest !== undefined && fits(c, nearest.large, row, nearest.size) ? [nearest.packet] : [];
}

/** The large datagram of a packet, and the size of its segments, that of `row` among them. */
function divisionOf(c: Columns, packets: Packets, packet: number, row: number): { large: number; size: number } {
  let large = packets.head[packet] ?? 0;
  let size = c.payload[row] ?? 0;
  for (let s = large; s !== NONE; s = packets.next[s] ?? NONE) {
    if (isOversize(c, s)) large = s;
    else size = Math.max(size, c.payload[s] ?? 0);
  }
  return { large, size };
}

/** Whether a row is a segment of a datagram that is cut every `size` bytes. */
function fits(c: Columns, large: number, segment: number, size: number): boolean {
  const [whole, own, place] = [c.payload[large] ?? 0, c.payload[segment] ?? 0, placeOf(c, large, segment)];
  return own === size ? (place + 1) * size <= whole : place * size + own === whole;
}

function placeOf(c: Columns, large: number, segment: number): number {
  return ((c.identification[segment] ?? 0) - (c.identification[large] ?? 0)) & 0xffff;
}

/** Whether a row is larger than its interface lets out: segmentation offload will cut it. */
export function isOversize(c: Columns, row: number): boolean {
  return ((c.marks[row] ?? 0) & Mark.oversize) !== 0;
}
