/** What travels through a made-up network: a frame whose identity is known. */
import type { Tuple } from "../../../src/model/conntrack.js";
import { address, mac } from "../frames.js";

export interface Ends {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

export function turned(ends: Ends): Ends {
  return {
    source: ends.destination,
    sourcePort: ends.destinationPort,
    destination: ends.source,
    destinationPort: ends.sourcePort,
  };
}

export function tupleOf(ends: Ends, protocol: number): Tuple {
  if (protocol !== 1 && protocol !== 58) return { ...ends, protocol };
  const { source, destination, sourcePort: id } = ends;
  return { source, destination, protocol, icmp: { type: protocol === 1 ? 8 : 128, code: 0, id } };
}

/** One connection. `tuples` are its requests' behind 0, 1, … routers that may translate. */
export interface Connection {
  readonly number: number;
  readonly family: 4 | 6;
  readonly protocol: 1 | 6 | 17 | 58;
  readonly tuples: readonly Ends[];
}

/** Bytes [from, from + length) of true packet `truth`, at `at` in the parcel's own coordinates. */
export interface Part {
  readonly truth: number;
  readonly from: number;
  readonly length: number;
}

export interface Parcel {
  readonly connection: Connection;
  readonly reply: boolean;
  readonly time: number;
  readonly kind: "tcp" | "udp" | "echo" | "error" | "arp";
  readonly parts: readonly Part[];
  readonly id: number;
  /** Payload bytes (UDP: without its header). Of an IP fragment: bytes behind the IP header. */
  readonly payload: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  readonly stamps: readonly [number, number];
  /** What the payload's bytes are made from. */
  readonly content: number;
  /** Of a fragment: its offset, and whether more follow. */
  readonly fragment?: { readonly offset: number; readonly more: boolean };
  /** What an ICMP error quotes. */
  readonly inner?: Parcel;
  /** ARP operation. */
  readonly operation?: number;
}

/** How a parcel looks at a station. */
export interface Look {
  /** Number of its tuple. */
  readonly side: number;
  /** By how much its TTL has fallen. */
  readonly lowered: number;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly vlan?: number;
}

export interface Frame {
  readonly bytes: Uint8Array;
  /** Bytes on the wire. */
  readonly length: number;
}

/** Payload bytes that are captured. */
const CAPTURED = 72;

const known = new Map<string, readonly number[]>();
function bytesOf(text: string, make: (text: string) => number[]): readonly number[] {
  let bytes = known.get(text);
  if (!bytes) {
    bytes = make(text);
    if (known.size > 20_000) known.clear();
    known.set(text, bytes);
  }
  return bytes;
}

class Writer {
  readonly bytes = new Uint8Array(400);
  at = 0;
  u8(value: number): void {
    this.bytes[this.at++] = value;
  }
  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value);
  }
  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value);
  }
  all(values: readonly number[]): void {
    for (const value of values) this.u8(value);
  }
}

/** Byte `at` of the payload that `content` stands for. */
function contentByte(content: number, at: number): number {
  return ((content >>> ((at & 3) * 8)) ^ (at >>> 2)) & 255;
}

export function frameOf(parcel: Parcel, look: Look): Frame {
  const w = new Writer();
  w.all(bytesOf(look.destinationMac, mac));
  w.all(bytesOf(look.sourceMac, mac));
  if (look.vlan !== undefined) {
    w.u16(0x8100);
    w.u16(look.vlan);
  }
  const ends = endsOf(parcel, look.side);
  if (parcel.kind === "arp") {
    w.u16(0x0806);
    w.all([0, 1, 8, 0, 6, 4, 0, parcel.operation ?? 1]);
    w.all(bytesOf(look.sourceMac, mac));
    w.all(bytesOf(ends.source, address));
    w.all(parcel.operation === 2 ? bytesOf(look.destinationMac, mac) : [0, 0, 0, 0, 0, 0]);
    w.all(bytesOf(ends.destination, address));
    return { bytes: w.bytes.slice(0, w.at), length: w.at };
  }
  w.u16(parcel.connection.family === 4 ? 0x0800 : 0x86dd);
  const link = w.at;
  const length = packet(w, parcel, ends, 64 - look.lowered, look.side);
  return { bytes: w.bytes.slice(0, w.at), length: link + length };
}

function endsOf(parcel: Parcel, side: number): Ends {
  const ends = parcel.connection.tuples[side]!;
  return parcel.reply ? turned(ends) : ends;
}

/** IP header and what is behind it. @returns its length on the wire */
function packet(w: Writer, parcel: Parcel, ends: Ends, ttl: number, side: number): number {
  const v4 = parcel.connection.family === 4;
  const { fragment } = parcel;
  const protocol = parcel.kind === "error" ? (v4 ? 1 : 58) : parcel.connection.protocol;
  const quoted = v4 ? 28 : 48;
  const transport = fragment
    ? 0
    : { tcp: 20 + (parcel.stamps[0] === 0 ? 0 : 12), udp: 8, echo: 8, error: 8 + quoted, arp: 0 }[parcel.kind];
  const extension = !v4 && fragment ? 8 : 0;
  const length = transport + extension + (parcel.kind === "error" ? 0 : parcel.payload);
  if (v4) {
    w.all([0x45, 0]);
    w.u16(20 + length);
    w.u16(parcel.id & 0xffff);
    w.u16(fragment ? (fragment.more ? 0x2000 : 0) | (fragment.offset >>> 3) : 0x4000);
    w.all([ttl, protocol, 0, 0]);
  } else {
    w.all([0x60, 0, 0, 0]);
    w.u16(length);
    w.all([extension ? 44 : protocol, ttl]);
  }
  w.all(bytesOf(ends.source, address));
  w.all(bytesOf(ends.destination, address));
  if (extension && fragment) {
    w.all([protocol, 0]);
    w.u16(fragment.offset | (fragment.more ? 1 : 0));
    w.u32(parcel.id);
  }
  if (fragment && fragment.offset > 0) content(w, parcel.content, fragment.offset, parcel.payload);
  else segment(w, parcel, ends, side);
  return length + (v4 ? 20 : 40);
}

function segment(w: Writer, parcel: Parcel, ends: Ends, side: number): void {
  const v4 = parcel.connection.family === 4;
  switch (parcel.kind) {
    case "tcp": {
      w.u16(ends.sourcePort);
      w.u16(ends.destinationPort);
      w.u32(parcel.sequence);
      w.u32(parcel.acknowledgement);
      w.u8((parcel.stamps[0] === 0 ? 5 : 8) << 4);
      w.u8(parcel.flags);
      w.u16(parcel.window);
      w.u32(0);
      if (parcel.stamps[0] !== 0) {
        w.all([1, 1, 8, 10]);
        w.u32(parcel.stamps[0]);
        w.u32(parcel.stamps[1]);
      }
      return;
    }
    case "udp":
      w.u16(ends.sourcePort);
      w.u16(ends.destinationPort);
      // The length stands in the header of the whole datagram, so only the first fragment is without it here.
      w.u16(parcel.fragment ? 0 : 8 + parcel.payload);
      w.u16(0);
      content(w, parcel.content, 8, parcel.fragment ? parcel.payload - 8 : parcel.payload);
      return;
    case "echo":
      w.all([v4 ? (parcel.reply ? 0 : 8) : parcel.reply ? 129 : 128, 0, 0, 0]);
      w.u16(parcel.reply ? ends.destinationPort : ends.sourcePort);
      w.u16(parcel.sequence);
      content(w, parcel.content, 8, parcel.payload);
      return;
    case "error": {
      w.all([v4 ? 3 : 1, v4 ? 3 : 4, 0, 0, 0, 0, 0, 0]);
      const { inner } = parcel;
      if (!inner) return;
      const from = w.at;
      // The error is seen where its quote has the look of the same station.
      packet(w, inner, endsOf(inner, side), 60, side);
      w.at = from + (v4 ? 28 : 48);
      return;
    }
    default:
  }
}

function content(w: Writer, seed: number, from: number, length: number): void {
  for (let at = from; at < from + Math.min(length, CAPTURED); at++) w.u8(contentByte(seed, at));
}
