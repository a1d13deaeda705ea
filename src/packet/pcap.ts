/**
 * pcap files and streams (pcap-savefile(5)), both byte orders, microseconds and nanoseconds.
 *
 * The reader takes chunks of any size and calls back for each record, with the record's bytes in place: no copy, and
 * no more memory than one record and one chunk.
 */
import { CaptureError } from "./error.js";

export interface CaptureHeader {
  readonly format: "pcap" | "pcapng";
  /** LINKTYPE_* (tcpdump.org/linktypes.html); pcapng: of the first interface. */
  readonly linkType: number;
  readonly snapshotLength: number;
  readonly nanoseconds: boolean;
}

/**
 * Receives records. `bytes` is the reader's own memory and valid during the call only.
 * @param time nanoseconds since the reader's epoch
 * @param length bytes on the wire, `captured` of which are in `bytes` from `offset`
 * @param link number of the pcapng interface; 0 in pcap
 */
export type RecordSink = (
  time: number,
  bytes: Uint8Array,
  offset: number,
  captured: number,
  length: number,
  link: number,
) => void;

export interface CaptureReader {
  /** Absent until it was read. */
  readonly header: CaptureHeader | undefined;
  /** Records delivered. */
  readonly records: number;
  /** LINKTYPE_* of the records that come with `link`; 0 where that is not known yet. */
  linkType(link: number): number;
  /** @throws CaptureError; the records before it were delivered, the reader is of no use after it */
  push(chunk: Uint8Array): void;
  /** The input is over. @throws CaptureError where it ends inside a header or record */
  end(): void;
}

/** Largest record that is believed: snapshot lengths end at 256 KiB (MAXIMUM_SNAPLEN), pcapng blocks a bit above. */
export const MAXIMUM_RECORD = 1 << 20;

const GLOBAL_HEADER = 24;
const RECORD_HEADER = 16;
const NOTHING = new Uint8Array(0);

export class PcapReader implements CaptureReader {
  header: CaptureHeader | undefined;
  records = 0;

  readonly #sink: RecordSink;
  readonly #epochSeconds: number;
  readonly #epochNanoseconds: number;
  #littleEndian = false;
  #fraction = 1;
  /** What the chunk before left unfinished. */
  #rest: Uint8Array = NOTHING;
  /** Bytes of the capture before `#rest`. */
  #consumed = 0;

  /** @param epoch nanoseconds since 1970 that are time 0 of the records */
  constructor(epoch: bigint, sink: RecordSink) {
    this.#sink = sink;
    this.#epochSeconds = Number(epoch / 1_000_000_000n);
    this.#epochNanoseconds = Number(epoch % 1_000_000_000n);
  }

  linkType(): number {
    return this.header?.linkType ?? 0;
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    // Completes the record that straddles two chunks with as few bytes as it needs, then goes on in place.
    while (this.#rest.length > 0 && from < chunk.length) {
      const wanted = this.#wanted(this.#rest);
      const missing = Math.min(wanted - this.#rest.length, chunk.length - from);
      this.#rest = joined(this.#rest, chunk.subarray(from, from + missing));
      from += missing;
      const used = this.#parse(this.#rest, 0);
      this.#consumed += used;
      this.#rest = this.#rest.subarray(used);
    }
    if (from === chunk.length) return;
    const used = this.#parse(chunk, from);
    this.#consumed += used - from;
    this.#rest = used === chunk.length ? NOTHING : chunk.slice(used);
  }

  end(): void {
    if (this.header === undefined) {
      if (this.#rest.length === 0) throw new CaptureError("EMPTY", "the capture is empty", 0);
      throw new CaptureError("TRUNCATED", "the capture ends inside its file header", this.#rest.length);
    }
    if (this.#rest.length > 0) {
      const where = this.#consumed + this.#rest.length;
      throw new CaptureError("TRUNCATED", `the capture ends inside record ${this.records + 1}`, where);
    }
  }

  /** Bytes that must be there before the unfinished thing in `bytes` can be parsed (or parsed further). */
  #wanted(bytes: Uint8Array): number {
    if (this.header === undefined) return GLOBAL_HEADER;
    if (bytes.length < RECORD_HEADER) return RECORD_HEADER;
    return RECORD_HEADER + this.#number(bytes, 8);
  }

  /** Delivers every whole record from `at` on. @returns where the first unfinished one begins */
  #parse(bytes: Uint8Array, from: number): number {
    let at = from;
    if (this.header === undefined) {
      if (bytes.length - at < GLOBAL_HEADER) return at;
      this.header = this.#readHeader(bytes, at);
      at += GLOBAL_HEADER;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const littleEndian = this.#littleEndian;
    while (bytes.length - at >= RECORD_HEADER) {
      const captured = view.getUint32(at + 8, littleEndian);
      if (captured > MAXIMUM_RECORD) {
        throw new CaptureError(
          "CORRUPT",
          `record ${this.records + 1} claims ${captured} captured bytes, more than any capture has`,
          this.#consumed + at - from,
        );
      }
      if (bytes.length - at - RECORD_HEADER < captured) break;
      const seconds = view.getUint32(at, littleEndian) - this.#epochSeconds;
      const nanoseconds = view.getUint32(at + 4, littleEndian) * this.#fraction - this.#epochNanoseconds;
      this.records++;
      this.#sink(
        seconds * 1e9 + nanoseconds,
        bytes,
        at + RECORD_HEADER,
        captured,
        Math.max(view.getUint32(at + 12, littleEndian), captured),
        0,
      );
      at += RECORD_HEADER + captured;
    }
    return at;
  }

  #readHeader(bytes: Uint8Array, at: number): CaptureHeader {
    this.#littleEndian = true;
    let magic = this.#number(bytes, at);
    if (magic === 0xd4c3b2a1 || magic === 0x4d3cb2a1) {
      this.#littleEndian = false;
      magic = this.#number(bytes, at);
    }
    if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) {
      const hex = Array.from(bytes.subarray(at, at + 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
      throw new CaptureError("NOT_PCAP", `this is no pcap file: it begins with ${hex}`, 0);
    }
    const version = this.#number(bytes, at + 4);
    const major = this.#littleEndian ? version & 0xffff : version >>> 16;
    const minor = this.#littleEndian ? version >>> 16 : version & 0xffff;
    if (major !== 2 || minor > 4) {
      throw new CaptureError("NOT_PCAP", `pcap version ${major}.${minor} is not supported, only 2.4 and before`, 4);
    }
    const nanoseconds = magic === 0xa1b23c4d;
    this.#fraction = nanoseconds ? 1 : 1000;
    return {
      format: "pcap",
      // The upper bits tell of a frame check sequence.
      linkType: this.#number(bytes, at + 20) & 0xffff,
      snapshotLength: this.#number(bytes, at + 16),
      nanoseconds,
    };
  }

  #number(bytes: Uint8Array, at: number): number {
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1] ?? 0;
    const c = bytes[at + 2] ?? 0;
    const d = bytes[at + 3] ?? 0;
    return this.#littleEndian
      ? (a | (b << 8) | (c << 16) | (d << 24)) >>> 0
      : ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }
}

/** File header of a nanosecond pcap in little-endian order. */
export function pcapHeader(linkType: number, snapshotLength = 262_144): Uint8Array {
  const view = new DataView(new ArrayBuffer(GLOBAL_HEADER));
  view.setUint32(0, 0xa1b23c4d, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, snapshotLength, true);
  view.setUint32(20, linkType, true);
  return new Uint8Array(view.buffer);
}

/** One record of such a file. @param time nanoseconds since 1970 @param length bytes on the wire */
export function pcapRecord(time: bigint, bytes: Uint8Array, length = bytes.length): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER + bytes.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Number(time / 1_000_000_000n), true);
  view.setUint32(4, Number(time % 1_000_000_000n), true);
  view.setUint32(8, bytes.length, true);
  view.setUint32(12, length, true);
  record.set(bytes, RECORD_HEADER);
  return record;
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
