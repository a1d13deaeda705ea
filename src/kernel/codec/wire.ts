/**
 * Bytes in and bytes out. Netlink speaks in the machine's own byte order, but for the attributes that say otherwise.
 */

/** Byte order of this machine. */
export const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Attributes and messages begin at multiples of four. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/** Bytes that do not have the form that their schema says. `offset` counts from the start of the input. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
  readonly code = "MALFORMED";

  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

/** Bytes with a view on them: made once for a buffer, read with absolute offsets. */
export class Input {
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }
}

/** Throws unless `size` bytes lie between start and end. */
export function need(start: number, end: number, size: number, what: string): void {
  if (end - start < size) throw new MalformedError(`${what} of ${size} bytes, only ${end - start} left`, start);
}

/** A buffer that grows as it is written. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Makes room for zeroed bytes. @returns where they begin */
  reserve(size: number): number {
    const at = this.#length;
    const needed = at + size;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return at;
  }

  /** The view on everything so far; stale after the next `reserve`. */
  get view(): DataView {
    return this.#view;
  }

  bytes(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  pad4(): void {
    this.reserve(align4(this.#length) - this.#length);
  }
}
