/**
 * Segmentation offload and fragmentation: one packet may be one frame at a hop and several at the next (TSO, IP
 * fragmentation), or the other way round (GRO, reassembly). Such sightings are joined by the bytes they carry.
 */
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { datagramBytes, isDatagram } from "./datagram.js";

/** Segments take IP identifications in sequence from that of the large one; no super-packet has more than these. */
const MAXIMUM_SEGMENTS = 128;

/** Whether a row can be part of another one, or contain some, at all. */
export function divisible(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.tcp ? (c.payload[row] ?? 0) > 0 : (c.identification[row] ?? 0) !== 0;
}

/**
 * Whether what `commonBytes` compares of a row is enough without its connection: 64 random bits of a TCP stream, or the
 * identification of a fragment.
 */
export function tellsItself(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.tcp ? c.acknowledgement[row] !== 0 : isFragment(c, row);
}

/** Bytes that both rows carry of one and the same packet or stream; 0 where they have nothing in common. */
export function commonBytes(c: Columns, a: number, b: number): number {
  if (c.protocol[a] !== c.protocol[b] || c.family[a] !== c.family[b]) return 0;
  if (isDatagram(c, a) && isDatagram(c, b)) return datagramBytes(c, a, b);
  const start = startOf(c, a);
  // Distance on the circle of sequence numbers, as a signed number.
  const shift = (startOf(c, b) - start) | 0;
  const from = Math.max(0, shift);
  const to = Math.min(bytesOf(c, a), shift + bytesOf(c, b));
  if (to <= from) return 0;
  const idA = c.identification[a] ?? 0;
  const idB = c.identification[b] ?? 0;
  if (c.kind[a] === Kind.tcp && c.kind[b] === Kind.tcp) {
    // Offloads copy the options into each segment, and merge only what has the same ones (timestamps among them).
    if (c.acknowledgement[a] !== c.acknowledgement[b] || c.digest[a] !== c.digest[b]) return 0;
    // Pieces of one that begin with its first byte have its number.
    const distance = Math.abs(((idB - idA) << 16) >> 16);
    const numbered = distance <= (shift === 0 ? 0 : MAXIMUM_SEGMENTS);
    return idA !== 0 && idB !== 0 && !numbered ? 0 : to - from;
  }
  const fragmented = isFragment(c, a) || isFragment(c, b);
  return fragmented && idA === idB && idA !== 0 ? to - from : 0;
}

/** Bytes of a row as `commonBytes` counts them. */
export function bytesOf(c: Columns, row: number): number {
  const payload = c.payload[row] ?? 0;
  switch (c.kind[row]) {
    case Kind.udp:
    case Kind.echo:
    case Kind.icmpError:
      return payload + 8;
    case Kind.icmp:
      return payload + 4;
    default:
      return payload;
  }
}

function startOf(c: Columns, row: number): number {
  return (c.kind[row] === Kind.tcp ? c.sequence[row] : c.fragmentOffset[row]) ?? 0;
}

function isFragment(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.fragment || ((c.marks[row] ?? 0) & Mark.moreFragments) !== 0;
}
