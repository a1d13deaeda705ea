/**
 * What goes to one output, in large pieces: a write for each event takes longer than making its text. What one turn of the
 * event loop brings is written at its end, so that nobody who reads along waits.
 */
import type { Writable } from "node:stream";

/** UTF-16 units or bytes that are written at once, at the latest. */
const piece = 65_536;
/** Bytes that may wait for a reader who is slower than we are. */
const backlog = 16 << 20;

export class Outflow {
  #text = "";
  #bytes: Uint8Array[] = [];
  #size = 0;
  #due = false;
  #taken: Promise<void> | undefined;

  constructor(private readonly stream: Writable) {}

  write(part: string | Uint8Array): void {
    if (part.length === 0) return;
    if (typeof part === "string") this.#text += part;
    else this.#bytes.push(part);
    this.#size += part.length;
    if (this.#size >= piece) this.flush();
    else if (!this.#due) {
      this.#due = true;
      setImmediate(() => this.flush());
    }
  }

  /** Writes what waits. */
  flush(): void {
    this.#due = false;
    if (this.#size === 0) return;
    const [text, bytes] = [this.#text, this.#bytes];
    this.#text = "";
    this.#bytes = [];
    this.#size = 0;
    // An output is all text or all bytes.
    this.stream.write(bytes.length === 0 ? text : Buffer.concat(bytes));
  }

  /** Where too much waits for the reader: settles when it has been taken, or the reader is gone. Else undefined. */
  get pressure(): Promise<void> | undefined {
    const { stream } = this;
    if (stream.writableLength < backlog || stream.destroyed) return undefined;
    return (this.#taken ??= new Promise((resolve) => {
      const settle = (): void => {
        stream.off("drain", settle).off("close", settle);
        this.#taken = undefined;
        resolve();
      };
      stream.on("drain", settle).on("close", settle);
    }));
  }
}
