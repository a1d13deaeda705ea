/**
 * Open packets by the bytes they carry, so that the other parts of a divided one are found without a look at every open
 * packet of its connection. TCP by the place in the stream, that of the first byte. All else by the IP identification, which
 * fragments share; datagrams of segmentation offload, whose segments are numbered on, by the range of theirs.
 */
import { finish, mix } from "../packet/address.js";
import { type Columns, Kind } from "../packet/columns.js";
import { grown } from "../packet/grown.js";
import { Protocol } from "../packet/protocol.js";
import { NONE, type Packets } from "./packets.js";
import { isOversize, MAXIMUM_SEGMENTS } from "./datagram.js";
import { bytesOf } from "./segment.js";

/** Bytes of a stream, and identifications of large datagrams, that share a bucket, as powers of two. */
const STREAM_SHIFT = 16;
/** Not as a power where it is used: V8 makes a call of that, which took a twentieth of all joining. */
const STREAM_BYTES = 1 << STREAM_SHIFT;
const RANGE_SHIFT = 7;
const BUCKETS = 1 << 14;
/** Packets of one bucket that are looked at, and buckets for one row: tiny segments and forged headers stay affordable. */
const MAXIMUM_SEARCH = 2048;
const MAXIMUM_BUCKETS = 64;
/** Stands in `#previous` of a packet that is in no bucket. */
const OUTSIDE = -2;
const NOBODY: readonly number[] = [];
/** Stands in a key in place of a protocol: large datagrams are of UDP. */
const LARGE = 256;
/** Stands in `#bytes` of what is no TCP segment. */
const NO_STREAM = 0xffff_ffff;

export class PartIndex {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  #next = new Int32Array(1024);
  #previous = new Int32Array(1024).fill(OUTSIDE);
  #key = new Uint32Array(1024);
  /** Where the bytes of a TCP segment begin in the stream, and how many they are; of all else the identification. */
  #start = new Uint32Array(1024);
  #bytes = new Uint32Array(1024);
  /** Buckets that the longest packet so far lies in, beyond its first. */
  #span = 1;

  constructor(columns: Columns, packets: Packets) {
    this.#columns = columns;
    this.#packets = packets;
  }

  /** Enters a packet by its first row. */
  add(packet: number): void {
    const c = this.#columns;
    const row = this.#packets.head[packet] ?? 0;
    if (packet >= this.#next.length) this.#grow(packet + 1);
    const tcp = c.kind[row] === Kind.tcp;
    const key = tcp ? streamKey(streamPlace(c, row)) : isOversize(c, row) ? rangeKey(c, row, 0) : numberKey(c, row, 0);
    const first = this.#buckets[key] ?? NONE;
    this.#key[packet] = key;
    this.#start[packet] = (tcp ? c.sequence[row] : c.identification[row]) ?? 0;
    this.#bytes[packet] = tcp ? bytesOf(c, row) : NO_STREAM;
    this.#next[packet] = first;
    this.#previous[packet] = NONE;
    if (first !== NONE) this.#previous[first] = packet;
    this.#buckets[key] = packet;
    if (!tcp) return;
    const span = streamSpan(c, row);
    if (span > this.#span) this.#span = Math.min(span, MAXIMUM_BUCKETS);
  }

  remove(packet: number): void {
    const previous = this.#previous[packet] ?? OUTSIDE;
    if (previous === OUTSIDE) return;
    const next = this.#next[packet] ?? NONE;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#buckets[this.#key[packet] ?? 0] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#previous[packet] = OUTSIDE;
  }

  /** Packets that may carry bytes of a row, in no order; others that share their buckets may be among them. */
  near(row: number): readonly number[] {
    const found = this.#columns.kind[row] === Kind.tcp ? this.#inStream(row) : this.#numbered(row);
    return found ?? NOBODY;
  }

  #inStream(row: number): number[] | undefined {
    const c = this.#columns;
    const place = streamPlace(c, row);
    const start = c.sequence[row] ?? 0;
    const bytes = bytesOf(c, row);
    let found: number[] | undefined;
    const last = Math.min(streamSpan(c, row), MAXIMUM_BUCKETS);
    for (let bucket = -this.#span; bucket <= last; bucket++) {
      let searched = 0;
      const first = this.#buckets[streamKey(place + bucket)] ?? NONE;
      for (let p = first; p !== NONE && searched < MAXIMUM_SEARCH; p = this.#next[p] ?? NONE) {
        searched++;
        // Most segments that share a bucket are apart, as `commonBytes` has it: of those it need not be asked.
        const length = this.#bytes[p] ?? 0;
        const shift = (start - (this.#start[p] ?? 0)) | 0;
        if (length !== NO_STREAM && shift < length && shift + bytes > 0) (found ??= []).push(p);
      }
    }
    return found;
  }

  /** Those of a row's number and large datagrams whose numbers reach to it; of a large datagram all that its own reach to. */
  #numbered(row: number): number[] | undefined {
    const c = this.#columns;
    const large = isOversize(c, row);
    let found: number[] | undefined;
    for (let further = 0; further < (large ? MAXIMUM_SEGMENTS : 1); further++)
      found = this.#ofNumbers(numberKey(c, row, further), (c.identification[row] ?? 0) + further, 1, found);
    const from = (c.identification[row] ?? 0) - MAXIMUM_SEGMENTS;
    for (let range = -1; range <= (large ? 1 : 0); range++)
      found = this.#ofNumbers(rangeKey(c, row, range), from, (large ? 2 : 1) * MAXIMUM_SEGMENTS + 1, found);
    return found;
  }

  /** Adds those of a bucket whose numbers are from `from` on, fewer than `count` further. */
  #ofNumbers(key: number, from: number, count: number, found: number[] | undefined): number[] | undefined {
    let all = found;
    let searched = 0;
    for (let p = this.#buckets[key] ?? NONE; p !== NONE && searched < MAXIMUM_SEARCH; p = this.#next[p] ?? NONE) {
      searched++;
      const near = (((this.#start[p] ?? 0) - from) & 0xffff) < count;
      if (near && this.#bytes[p] === NO_STREAM) (all ??= []).push(p);
    }
    return all;
  }

  #grow(least: number): void {
    const from = this.#previous.length;
    const capacity = Math.max(least, from * 2);
    this.#next = grown(Int32Array, this.#next, capacity);
    this.#previous = grown(Int32Array, this.#previous, capacity);
    this.#previous.fill(OUTSIDE, from);
    this.#key = grown(Uint32Array, this.#key, capacity);
    this.#start = grown(Uint32Array, this.#start, capacity);
    this.#bytes = grown(Uint32Array, this.#bytes, capacity);
  }
}

function streamPlace(c: Columns, row: number): number {
  return (c.sequence[row] ?? 0) >>> STREAM_SHIFT;
}

/** Buckets behind its first that a segment has bytes in. */
function streamSpan(c: Columns, row: number): number {
  const offset = (c.sequence[row] ?? 0) & (STREAM_BYTES - 1);
  return Math.floor((offset + bytesOf(c, row)) / STREAM_BYTES);
}

/** Bucket of a place in the streams, of a number of an IP protocol, or of a range of numbers. */
function streamKey(place: number): number {
  return finish(mix(Protocol.tcp, place & (0xffff_ffff >>> STREAM_SHIFT))) & (BUCKETS - 1);
}

function numberKey(c: Columns, row: number, further: number): number {
  const number = ((c.identification[row] ?? 0) + further) & 0xffff;
  return finish(mix(c.protocol[row] ?? 0, number)) & (BUCKETS - 1);
}

function rangeKey(c: Columns, row: number, further: number): number {
  const range = (((c.identification[row] ?? 0) >>> RANGE_SHIFT) + further) & (0xffff >>> RANGE_SHIFT);
  return finish(mix(LARGE, range)) & (BUCKETS - 1);
}
