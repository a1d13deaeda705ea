/** The bytes of single records of a capture file, also while it is still being written: for the detail pane. */
import { closeSync, openSync, readSync } from "node:fs";

const globalHeader = 24;
const recordHeader = 16;

/** Finds records by their number. Reads the headers once, in order, and only as far as was asked for. */
export class RecordBytes implements Disposable {
  #descriptor: number | undefined;
  #littleEndian = true;
  /** File offset of each record's header. */
  readonly #offsets: number[] = [];
  #next = globalHeader;

  constructor(private readonly path: string) {}

  /** @returns undefined where the file has no such record (yet) */
  bytes(record: number): Uint8Array | undefined {
    if (this.#descriptor === undefined && !this.#open()) return undefined;
    while (this.#offsets.length <= record) if (!this.#step()) return undefined;
    const at = this.#offsets[record];
    if (at === undefined) return undefined;
    const length = this.#capturedLength(at);
    if (length === undefined) return undefined;
    return this.#read(at + recordHeader, length);
  }

  /** LINKTYPE_* of the file. */
  get linkType(): number {
    const header = this.#read(20, 4);
    return header === undefined ? 1 : this.#number(header, 0) & 0xffff;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): boolean {
    try {
      this.#descriptor = openSync(this.path, "r");
    } catch {
      return false; // not there yet
    }
    const magic = this.#read(0, 4);
    if (magic === undefined) {
      this[Symbol.dispose]();
      return false;
    }
    this.#littleEndian = magic[3] === 0xa1;
    return true;
  }

  #step(): boolean {
    const length = this.#capturedLength(this.#next);
    if (length === undefined) return false;
    this.#offsets.push(this.#next);
    this.#next += recordHeader + length;
    return true;
  }

  #capturedLength(at: number): number | undefined {
    const header = this.#read(at, recordHeader);
    return header === undefined ? undefined : this.#number(header, 8);
  }

  #number(bytes: Uint8Array, at: number): number {
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, this.#littleEndian);
  }

  /** All of it, or undefined where the file ends before. */
  #read(at: number, length: number): Uint8Array | undefined {
    if (this.#descriptor === undefined) return undefined;
    const bytes = new Uint8Array(length);
    return readSync(this.#descriptor, bytes, 0, length, at) === length ? bytes : undefined;
  }
}
