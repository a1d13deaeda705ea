/**
 * Messages between a client and yapc-init, as helper/wire.h defines them: u32 length (all of it), u32 kind, u32 serial,
 * then fields. Numbers are little-endian; a string is u32 length, UTF-8 bytes, and a NUL that the length does not count.
 */

export const protocolVersion = 3;
export const headerBytes = 12;
/** The most that one message may have: it must fit a socket buffer of 208 KiB. */
export const messageMax = 160 * 1024;
/** The most descriptors that one message may carry: SCM_MAX_FD (net/scm.h). */
export const descriptorsMax = 253;

export const request = {
  hello: 1,
  createNodes: 2,
  adoptNode: 3,
  removeNode: 4,
  listNodes: 5,
  openNamespaces: 6,
  openSockets: 7,
  readSysctls: 8,
  writeSysctls: 9,
  openProcNet: 10,
  spawn: 11,
  startContainer: 12,
  signal: 13,
  wait: 14,
  commit: 15,
  shutdown: 16,
} as const;

export const answer = { done: 100, failed: 101, started: 102, exited: 103 } as const;

export const spawnFlag = { tied: 1, pty: 2, container: 4, ownView: 8, stdio: 16, user: 32 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Builds the fields of a message. */
export class FieldWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  #room(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    new DataView(this.#bytes.buffer).setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, value, true);
    return this;
  }

  /** u32 length, then the bytes. */
  blob(bytes: Uint8Array): this {
    this.u32(bytes.length);
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Throws where the text holds a NUL: no path, argument or variable may. */
  string(text: string): this {
    if (text.includes("\0")) throw new RangeError(`a NUL in ${JSON.stringify(text)}`);
    return this.blob(encoder.encode(text)).u8(0);
  }

  strings(items: readonly string[]): this {
    this.u32(items.length);
    for (const item of items) this.string(item);
    return this;
  }

  /** A view of what was written. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export function encodeMessage(kind: number, serial: number, fields: Uint8Array): Uint8Array {
  const message = new FieldWriter()
    .u32(headerBytes + fields.length)
    .u32(kind)
    .u32(serial)
    .bytes();
  const whole = new Uint8Array(headerBytes + fields.length);
  whole.set(message);
  whole.set(fields, headerBytes);
  return whole;
}

/** Reads fields; throws a RangeError past the end, which says that init speaks another protocol. */
export class FieldReader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #advance(size: number): number {
    const at = this.#at;
    this.#at += size;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  string(): string {
    const length = this.u32();
    const at = this.#advance(length + 1);
    if (this.#at > this.#view.byteLength) throw new RangeError("a string passes the end of its message");
    return decoder.decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length));
  }
}

export interface Answer {
  readonly kind: number;
  readonly serial: number;
  readonly fields: FieldReader;
}

/** @param message a copy of the datagram: the fields are read later */
export function decodeAnswer(message: Uint8Array): Answer {
  const header = new FieldReader(message);
  const length = header.u32();
  if (length !== message.length) throw new RangeError(`a message of ${message.length} bytes that says ${length}`);
  return { kind: header.u32(), serial: header.u32(), fields: new FieldReader(message.subarray(headerBytes)) };
}
