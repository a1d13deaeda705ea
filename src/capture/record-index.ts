/** Where the records of a capture lie that is in memory as a whole: ten bytes for each. */
import { grown } from "../packet/grown.js";

export class RecordIndex {
  readonly #bytes: Uint8Array;
  #starts = new Uint32Array(1024);
  #lengths = new Uint32Array(1024);
  #links = new Uint16Array(1024);
  #count = 0;

  /** @param bytes of the whole capture, less than 4 GiB */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** @param chunk that the record was read from, a part of the capture's memory @param link number of its interface */
  add(chunk: Uint8Array, offset: number, length: number, link: number): void {
    if (chunk.buffer !== this.#bytes.buffer) throw new RangeError("the record lies elsewhere");
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts[this.#count] = chunk.byteOffset - this.#bytes.byteOffset + offset;
    this.#lengths[this.#count] = length;
    this.#links[this.#count] = link;
    this.#count += 1;
  }

  /** @returns undefined where there is no such record */
  bytes(record: number): Uint8Array | undefined {
    const start = this.#starts[record];
    if (start === undefined || record >= this.#count) return undefined;
    return this.#bytes.subarray(start, start + (this.#lengths[record] ?? 0));
  }

  /** Number of the interface that a record was captured at. */
  link(record: number): number {
    return this.#links[record] ?? 0;
  }

  #grow(): void {
    const capacity = this.#starts.length * 2;
    this.#starts = grown(Uint32Array, this.#starts, capacity);
    this.#lengths = grown(Uint32Array, this.#lengths, capacity);
    this.#links = grown(Uint16Array, this.#links, capacity);
  }
}
