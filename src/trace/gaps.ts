/**
 * What the hops of a trace tell of the gaps between them: how long packets took to the next hop that saw them, and how many
 * were lost in front of a hop. Of the packets that are told, when they close.
 */
import { DurationHistogram, type Durations } from "../model/duration-histogram.js";
import type { Columns } from "../packet/columns.js";
import { NONE, type Packets, State } from "./packets.js";
import { samePassage } from "./whole.js";

/** Pairs of hops that are timed, 10 kB each: a flood over a thousand ports has more. */
const PAIRS = 1024;

export class Gaps {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #missing: number[];
  /** By hop, then by the hop after it. Asked for each sighting, in 2 ns; a map took 5. */
  readonly #pairs: (readonly (DurationHistogram | undefined)[] | undefined)[];
  #used = 0;

  constructor(columns: Columns, packets: Packets, hops: number) {
    this.#columns = columns;
    this.#packets = packets;
    this.#missing = new Array<number>(hops).fill(0);
    this.#pairs = new Array<undefined>(hops).fill(undefined);
  }

  /** A packet was lost in front of a hop. */
  lose(hop: number): void {
    this.#missing[hop] = this.missing(hop) + 1;
  }

  missing(hop: number): number {
    return this.#missing[hop] ?? 0;
  }

  /** Takes the times of a packet that closes, each from the sighting that it came from. */
  time(packet: number): void {
    const packets = this.#packets;
    if ((packets.state[packet] ?? 0) & State.segmented) {
      this.#timeDivided(packet);
      return;
    }
    for (let row = packets.head[packet] ?? NONE; row !== NONE; row = packets.next[row] ?? NONE) {
      const parent = packets.parent[row] ?? NONE;
      if (parent !== NONE) this.#add(parent, row);
    }
  }

  /** From and to each hop. @returns in the order of hops */
  after(hop: number): readonly (Durations & { readonly hop: number })[] {
    return (this.#pairs[hop] ?? []).flatMap((times, next) => {
      const summary = times?.summary();
      return summary === undefined ? [] : [{ hop: next, ...summary }];
    });
  }

  /** Of a divided packet the first part at each hop counts, once. */
  #timeDivided(packet: number): void {
    const c = this.#columns;
    const packets = this.#packets;
    const firsts: number[] = [];
    const firstOf = (row: number): number | undefined => firsts.find((first) => samePassage(c, first, row));
    for (let row = packets.head[packet] ?? NONE; row !== NONE; row = packets.next[row] ?? NONE) {
      if (firstOf(row) !== undefined) continue;
      firsts.push(row);
      const parent = packets.parent[row] ?? NONE;
      if (parent !== NONE) this.#add(firstOf(parent) ?? parent, row);
    }
  }

  #add(before: number, row: number): void {
    const c = this.#columns;
    const gap = (c.time[row] ?? 0) - (c.time[before] ?? 0);
    // Equal stamps are one stamp, which is no duration: a packet that a bridge passes up keeps that of its port.
    if (gap === 0) return;
    const from = c.hop[before] ?? 0;
    const to = c.hop[row] ?? 0;
    (this.#pairs[from]?.[to] ?? this.#pair(from, to))?.add(gap);
  }

  /** @returns undefined where enough pairs are timed */
  #pair(from: number, to: number): DurationHistogram | undefined {
    if (this.#used >= PAIRS) return undefined;
    this.#used++;
    const pair = new DurationHistogram();
    this.#pairs[from] = (this.#pairs[from] ?? this.#missing.map(() => undefined)).with(to, pair);
    return pair;
  }
}
