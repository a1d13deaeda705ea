/**
 * How long packets usually take from one hop to the next: learned from joins that left no choice. The mean is for what
 * lies near it; how common a time is, whatever the mean, is counted by octaves: of two ways that share a gap one may be
 * a thousand times slower.
 */
import { grown } from "../packet/grown.js";

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
/** Octaves of nanoseconds that are told apart: up to 9 minutes. */
const OCTAVES = 40;
/** Counts are halved when one pair has so many, so that what was usual once does not count for ever. */
const MAXIMUM = 4096;
/** An octave that has less than this part of its pair's joins, its neighbours counted, is none that the pair uses. */
const RARE = 1 / 256;
const NONE = -1;
const MEANS = 3;

export class Latency {
  /** Three numbers a pair, which are read together: the mean, the mean distance from it, and how many joins there were. */
  #means = new Float64Array(64 * MEANS);
  #octaves = new Uint16Array(64 * OCTAVES);
  /** By pair: the sum of its octaves. */
  #sum = new Uint16Array(64);
  /** By hop, then by the hop after it: place in the columns above, -1 where it has none. Asked in 2 ns; a map took 5. */
  readonly #pairs: (Int32Array | undefined)[];
  #used = 0;

  /** @param hops how many there are: they have numbers from 0 */
  constructor(hops: number) {
    this.#pairs = new Array<Int32Array | undefined>(hops).fill(undefined);
  }

  note(from: number, to: number, gap: number): void {
    const at = this.#pair(from, to) * MEANS;
    const means = this.#means;
    const count = (means[at + 2] ?? 0) + 1;
    means[at + 2] = count;
    const weight = count * WEIGHT < 1 ? 1 / count : WEIGHT;
    const mean = means[at] ?? 0;
    const difference = gap - mean;
    means[at] = mean + weight * difference;
    if (count === 1) return;
    const spread = means[at + 1] ?? 0;
    means[at + 1] = spread + weight * (Math.abs(difference) - spread);
  }

  /** Counts how common a time is: asked for where taps lose records, and counted from then on. */
  count(from: number, to: number, gap: number): void {
    const pair = this.#pair(from, to);
    const octave = pair * OCTAVES + octaveOf(gap);
    this.#octaves[octave] = (this.#octaves[octave] ?? 0) + 1;
    const sum = (this.#sum[pair] ?? 0) + 1;
    this.#sum[pair] = sum;
    if (sum === MAXIMUM) this.#halve(pair);
  }

  /** Whether hardly any packet took about so long. False until enough is known. */
  isRare(from: number, to: number, gap: number): boolean {
    const pair = this.#pairs[from]?.[to] ?? NONE;
    const sum = this.#sum[pair] ?? 0;
    if (sum < ENOUGH) return false;
    const octave = octaveOf(gap);
    let near = 0;
    for (let each = Math.max(0, octave - 1); each <= Math.min(OCTAVES - 1, octave + 1); each++)
      near += this.#octaves[pair * OCTAVES + each] ?? 0;
    return near < sum * RARE;
  }

  /** Undefined until enough is known. */
  usual(from: number, to: number): Usual | undefined {
    const pair = this.#pairs[from]?.[to] ?? NONE;
    const at = pair * MEANS;
    const means = this.#means;
    if (pair === NONE || (means[at + 2] ?? 0) < ENOUGH) return undefined;
    return { gap: means[at] ?? 0, spread: means[at + 1] ?? 0 };
  }

  /** Nanoseconds by which a time is not the usual one, undefined until enough is known. */
  strangeness(from: number, to: number, gap: number): number | undefined {
    const usual = this.usual(from, to);
    return usual && Math.abs(gap - usual.gap);
  }

  #halve(pair: number): void {
    let sum = 0;
    for (let octave = pair * OCTAVES; octave < (pair + 1) * OCTAVES; octave++)
      sum += this.#octaves[octave] = (this.#octaves[octave] ?? 0) >>> 1;
    this.#sum[pair] = sum;
  }

  #pair(from: number, to: number): number {
    const known = this.#pairs[from]?.[to] ?? NONE;
    return known === NONE ? this.#add(from, to) : known;
  }

  #add(from: number, to: number): number {
    const pair = this.#used++;
    if (pair * MEANS === this.#means.length) {
      this.#means = grown(Float64Array, this.#means, pair * 2 * MEANS);
      this.#octaves = grown(Uint16Array, this.#octaves, pair * 2 * OCTAVES);
      this.#sum = grown(Uint16Array, this.#sum, pair * 2);
    }
    const row = this.#pairs[from] ?? new Int32Array(this.#pairs.length).fill(NONE);
    row[to] = pair;
    this.#pairs[from] = row;
    return pair;
  }
}

/** @param gap nanoseconds; stamps out of order count as none */
function octaveOf(gap: number): number {
  if (gap < 1) return 0;
  return gap < 2 ** 31 ? 31 - Math.clz32(gap) : Math.min(OCTAVES - 1, Math.floor(Math.log2(gap)));
}
