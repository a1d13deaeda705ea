/**
 * Which rows of the columns are free. Rows are given out in runs of neighbours, and a run is given out again once all of it is
 * back: what came together lies together, some sixteen values in one cache line. Single rows, last in first out, lie anywhere
 * after a while, each in lines of its own in every column: with thousands of rows in use joining took twice the time.
 *
 * A row that stays long keeps its run from being whole. So the gaps of such runs are filled before the columns grow, as soon as
 * half of all rows are free.
 */
import { grown } from "./grown.js";

const NONE = -1;
/** Rows of a run, a power of two. */
const SHIFT = 6;
export const RUN = 1 << SHIFT;

export class RowPool {
  /** Rows that were given out. */
  used = 0;
  #capacity: number;
  /** Rows from here on were never given out. */
  #fresh = 0;
  /** What is left of the run that is being given out, and of the gaps: a list by `#next`. */
  #at = 0;
  #end = 0;
  #gap = NONE;
  /** By run: rows that are not free, and the first that is. */
  #taken: Uint8Array;
  #first: Int32Array;
  /** By row: the next one of its run that is free. */
  #next: Int32Array;
  /** Runs all of whose rows are back. */
  readonly #whole: number[] = [];
  /** Runs that had a gap at some time, each once: those that have none any more are passed over. */
  readonly #broken: number[] = [];
  #isListed: Uint8Array;

  /** @param capacity rows that there are, a multiple of `RUN` */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#taken = new Uint8Array(capacity >> SHIFT);
    this.#first = new Int32Array(capacity >> SHIFT).fill(NONE);
    this.#next = new Int32Array(capacity);
    this.#isListed = new Uint8Array(capacity >> SHIFT);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** @returns a free row, -1 where the columns have to grow */
  take(): number {
    if (this.#at === this.#end && this.#gap === NONE && !this.#refill()) return NONE;
    this.used++;
    if (this.#at < this.#end) return this.#at++;
    const row = this.#gap;
    this.#gap = this.#next[row] ?? NONE;
    return row;
  }

  release(row: number): void {
    const run = row >> SHIFT;
    this.used--;
    const left = (this.#taken[run] ?? 0) - 1;
    this.#taken[run] = left;
    if (left === 0) {
      this.#first[run] = NONE;
      this.#whole.push(run);
      return;
    }
    this.#next[row] = this.#first[run] ?? NONE;
    this.#first[run] = row;
    if (this.#isListed[run] === 1) return;
    this.#isListed[run] = 1;
    this.#broken.push(run);
  }

  /** There are more rows now. @param capacity a multiple of `RUN` */
  grow(capacity: number): void {
    const runs = this.#first.length;
    this.#taken = grown(Uint8Array, this.#taken, capacity >> SHIFT);
    this.#first = grown(Int32Array, this.#first, capacity >> SHIFT).fill(NONE, runs);
    this.#next = grown(Int32Array, this.#next, capacity);
    this.#isListed = grown(Uint8Array, this.#isListed, capacity >> SHIFT);
    this.#capacity = capacity;
  }

  #refill(): boolean {
    const whole = this.#whole.pop();
    if (whole !== undefined) this.#begin(whole);
    else if (this.used * 2 > this.#fresh || !this.#fill()) {
      if (this.#fresh === this.#capacity) return false;
      this.#begin(this.#fresh >> SHIFT);
      this.#fresh += RUN;
    }
    return true;
  }

  #begin(run: number): void {
    this.#taken[run] = RUN;
    this.#at = run << SHIFT;
    this.#end = this.#at + RUN;
  }

  /** Takes the gaps of a run that has some. */
  #fill(): boolean {
    for (let run = this.#broken.pop(); run !== undefined; run = this.#broken.pop()) {
      this.#isListed[run] = 0;
      const first = this.#first[run] ?? NONE;
      if (first === NONE) continue;
      this.#gap = first;
      this.#first[run] = NONE;
      let gaps = 0;
      for (let row = first; row !== NONE; row = this.#next[row] ?? NONE) gaps++;
      this.#taken[run] = (this.#taken[run] ?? 0) + gaps;
      return true;
    }
    return false;
  }
}
