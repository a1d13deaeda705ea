/** How long packets usually take from one hop to the next: learned from joins that left no choice. */
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

export class Latency {
  #gap = new Float64Array(64);
  #spread = new Float64Array(64);
  #count = new Uint32Array(64);
  readonly #pairs = new Map<number, number>();

  note(from: number, to: number, gap: number): void {
    const pair = this.#pair(from, to);
    const count = (this.#count[pair] ?? 0) + 1;
    this.#count[pair] = count;
    const weight = Math.max(WEIGHT, 1 / count);
    const difference = gap - (this.#gap[pair] ?? 0);
    this.#gap[pair] = (this.#gap[pair] ?? 0) + weight * difference;
    if (count > 1) {
      this.#spread[pair] = (this.#spread[pair] ?? 0) + weight * (Math.abs(difference) - (this.#spread[pair] ?? 0));
    }
  }

  /** Undefined until enough is known. */
  usual(from: number, to: number): Usual | undefined {
    const pair = this.#pairs.get(from * 65_536 + to);
    if (pair === undefined || (this.#count[pair] ?? 0) < ENOUGH) return undefined;
    return { gap: this.#gap[pair] ?? 0, spread: this.#spread[pair] ?? 0 };
  }

  #pair(from: number, to: number): number {
    const key = from * 65_536 + to;
    const known = this.#pairs.get(key);
    if (known !== undefined) return known;
    const pair = this.#pairs.size;
    if (pair === this.#gap.length) {
      const gap = new Float64Array(pair * 2);
      gap.set(this.#gap);
      this.#gap = gap;
      const spread = new Float64Array(pair * 2);
      spread.set(this.#spread);
      this.#spread = spread;
      const count = new Uint32Array(pair * 2);
      count.set(this.#count);
      this.#count = count;
    }
    this.#pairs.set(key, pair);
    return pair;
  }
}
