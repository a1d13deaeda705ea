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

/** Bytes to read, with a view on them, by absolute offsets. A buffer that is received into again and again keeps its one. */
export class Input {
  readonly view: DataView;

  /** @param length how many of the bytes are meant: whoever reads stops there */
  constructor(
    readonly bytes: Uint8Array,
    public length = bytes.length,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A copy of what is meant, by itself. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

const toUtf8 = new TextEncoder();

/** Throws unless `size` bytes lie between start and end. */
export function need(start: number, end: number, size: number, what: string): void {
  if (end - start < size) throw new MalformedError(`${what} of ${size} bytes, only ${end - start} left`, start);
}

/** A buffer that grows as it is written, and can be used again: what costs time is to make one. */
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

  /** What was written, without a copy: valid until more is written, or `reset`. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what was written; the room stays. */
  reset(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
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

  /** Text as UTF-8. Names are short and ASCII: a plain loop is several times faster than TextEncoder on them. */
  text(text: string): void {
    const at = this.reserve(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        // Longer than it was taken for: what stands there now is overwritten, since UTF-8 is never shorter.
        this.#length = at;
        this.bytes(toUtf8.encode(text));
        return;
      }
      this.#bytes[at + i] = code;
    }
  }

  pad4(): void {
    this.reserve(align4(this.#length) - this.#length);
  }
}
