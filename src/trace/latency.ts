/** How long packets usually take from one hop to the next: learned from joins that left no choice. */
import { grown } from "../packet/columns.js";

export interface Usual {
  /** Nanoseconds. */
  readonly gap: number;
  /** Mean distance from it. */
  readonly spread: number;
}

/** Weight of a new value: about the last 32 count. */
const WEIGHT = 1 / 32;
/** Fewer say nothing. */
const ENOUGH = 8;
const NONE = -1;

export class Latency {
  #gap = new Float64Array(64);
  #spread = new Float64Array(64);
  #count = new Uint32Array(64);
  /** By hop, then by the hop after it: place in the columns above, -1 where it has none. A map is asked three times as long. */
  readonly #pairs: (Int32Array | undefined)[];
  #used = 0;

  /** @param hops how many there are: they have numbers from 0 */
  constructor(hops: number) {
    this.#pairs = new Array<Int32Array | undefined>(hops).fill(undefined);
  }

  note(from: number, to: number, gap: number): void {
    const pair = this.#pair(from, to);
    const count = (this.#count[pair] ?? 0) + 1;
    this.#count[pair] = count;
    const weight = count * WEIGHT < 1 ? 1 / count : WEIGHT;
    const difference = gap - (this.#gap[pair] ?? 0);
    this.#gap[pair] = (this.#gap[pair] ?? 0) + weight * difference;
    if (count > 1) {
      this.#spread[pair] = (this.#spread[pair] ?? 0) + weight * (Math.abs(difference) - (this.#spread[pair] ?? 0));
    }
  }

  /** Undefined until enough is known. */
  usual(from: number, to: number): Usual | undefined {
    const pair = this.#pairs[from]?.[to] ?? NONE;
    if (pair === NONE || (this.#count[pair] ?? 0) < ENOUGH) return undefined;
    return { gap: this.#gap[pair] ?? 0, spread: this.#spread[pair] ?? 0 };
  }

  #pair(from: number, to: number): number {
    const known = this.#pairs[from]?.[to] ?? NONE;
    return known === NONE ? this.#add(from, to) : known;
  }

  #add(from: number, to: number): number {
    const pair = this.#used++;
    if (pair === this.#gap.length) {
      this.#gap = grown(Float64Array, this.#gap, pair * 2);
      this.#spread = grown(Float64Array, this.#spread, pair * 2);
      this.#count = grown(Uint32Array, this.#count, pair * 2);
    }
    const row = this.#pairs[from] ?? new Int32Array(this.#pairs.length).fill(NONE);
    row[to] = pair;
    this.#pairs[from] = row;
    return pair;
  }
}
