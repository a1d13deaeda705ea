/**
 * Open packets by the bytes they carry, so that the other parts of a divided one are found without a look at every open
 * packet of its connection. TCP by the place in the stream, all else by the IP identification; each packet stands in one
 * bucket, that of its first byte.
 */
import { finish, mix } from "../packet/address.js";
import { type Columns, grown, Kind } from "../packet/columns.js";
import { NONE, type Packets } from "./packets.js";
import { bytesOf } from "./segment.js";

/** Bytes of a stream, and identifications, that share a bucket, as powers of two. */
const STREAM_SHIFT = 16;
const IDENTIFICATION_SHIFT = 7;
const BUCKETS = 1 << 14;
/** Packets of one bucket that are looked at, and buckets for one row: tiny segments and forged headers stay affordable. */
const MAXIMUM_SEARCH = 2048;
const MAXIMUM_BUCKETS = 64;
/** Stands in `#previous` of a packet that is in no bucket. */
const OUTSIDE = -2;
const NOBODY: readonly number[] = [];
/** Stands in `#bytes` of what is no TCP segment. */
const NO_STREAM = 0xffff_ffff;

export class PartIndex {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  #next = new Int32Array(1024);
  #previous = new Int32Array(1024).fill(OUTSIDE);
  #key = new Uint32Array(1024);
  /** Where the bytes of a TCP segment begin in the stream, and how many they are. */
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
    const row = this.#packets.head[packet] ?? 0;
    if (packet >= this.#next.length) this.#grow(packet + 1);
    const key = this.#keyOf(row, placeOf(this.#columns, row));
    const first = this.#buckets[key] ?? NONE;
    this.#key[packet] = key;
    this.#start[packet] = this.#columns.sequence[row] ?? 0;
    this.#bytes[packet] = this.#columns.kind[row] === Kind.tcp ? bytesOf(this.#columns, row) : NO_STREAM;
    this.#next[packet] = first;
    this.#previous[packet] = NONE;
    if (first !== NONE) this.#previous[first] = packet;
    this.#buckets[key] = packet;
    const span = this.#spanOf(row);
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
    const c = this.#columns;
    const place = placeOf(c, row);
    const tcp = c.kind[row] === Kind.tcp;
    const start = c.sequence[row] ?? 0;
    const bytes = bytesOf(c, row);
    let found: number[] | undefined;
    const last = Math.min(this.#spanOf(row), MAXIMUM_BUCKETS);
    for (let bucket = -this.#span; bucket <= last; bucket++) {
      let searched = 0;
      const key = this.#keyOf(row, place + bucket);
      for (let p = this.#buckets[key] ?? NONE; p !== NONE && searched < MAXIMUM_SEARCH; p = this.#next[p] ?? NONE) {
        searched++;
        // Most segments that share a bucket are apart, as `commonBytes` has it: of those it need not be asked.
        const length = this.#bytes[p] ?? 0;
        const shift = (start - (this.#start[p] ?? 0)) | 0;
        if (!tcp || length === NO_STREAM || (shift < length && shift + bytes > 0)) (found ??= []).push(p);
      }
    }
    return found ?? NOBODY;
  }

  #keyOf(row: number, place: number): number {
    const tcp = this.#columns.kind[row] === Kind.tcp;
    const mask = tcp ? 0xffff_ffff >>> STREAM_SHIFT : 0xffff >>> IDENTIFICATION_SHIFT;
    return finish(mix(this.#columns.protocol[row] ?? 0, place & mask)) & (BUCKETS - 1);
  }

  /** Buckets behind its first that a row has bytes in. */
  #spanOf(row: number): number {
    const c = this.#columns;
    if (c.kind[row] !== Kind.tcp) return 1; // UDP_MAX_SEGMENTS
    const sequence = c.sequence[row] ?? 0;
    return Math.floor((sequence + bytesOf(c, row)) / 2 ** STREAM_SHIFT) - (sequence >>> STREAM_SHIFT);
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

function placeOf(c: Columns, row: number): number {
  return c.kind[row] === Kind.tcp
    ? (c.sequence[row] ?? 0) >>> STREAM_SHIFT
    : ((c.identification[row] ?? 0) & 0xffff) >>> IDENTIFICATION_SHIFT;
}
