/**
 * How long packets took on each gap. Counts in buckets that grow by 2 %, so that the memory is bounded however long the
 * trace is, and a quantile is right to 1 %.
 */
import type { PacketEvent } from "../model/trace.js";
import { isDivided } from "./path.js";

/** Nanoseconds. */
export interface GapTime {
  readonly from: string;
  readonly to: string;
  readonly packets: number;
  readonly least: number;
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

/** Gaps counted; a flood over hundreds of ports has more than anybody reads. */
const gapsCounted = 64;
const growth = Math.log(1.02);

export class GapTimes {
  readonly #gaps = new Map<string, Gap>();

  push(packet: PacketEvent): void {
    if (packet.provisional === true) return;
    const divided = isDivided(packet);
    let before = packet.sightings[0];
    for (const sighting of packet.sightings.slice(1)) {
      if (divided && sighting.hop === before?.hop) continue; // another part of it
      // Equal stamps are one stamp, which is no duration.
      if (before !== undefined && sighting.time !== before.time) {
        this.#add(before.hop, sighting.hop, sighting.time - before.time);
      }
      before = sighting;
    }
  }

  /** Along the hops of the trace and then back, as a request and its answer go. */
  list(hops: readonly string[]): readonly GapTime[] {
    const place = ({ from, to }: Gap): number => {
      const [start, end] = [hops.indexOf(from), hops.indexOf(to)];
      return start < end ? start : 2 * hops.length - start;
    };
    return [...this.#gaps.values()].sort((a, b) => place(a) - place(b)).map((gap) => gap.summary());
  }

  #add(from: string, to: string, nanoseconds: number): void {
    const key = `${from} ${to}`;
    let gap = this.#gaps.get(key);
    if (gap === undefined) {
      if (this.#gaps.size >= gapsCounted) return;
      gap = new Gap(from, to);
      this.#gaps.set(key, gap);
    }
    gap.add(nanoseconds);
  }
}

class Gap {
  readonly #buckets = new Map<number, number>();
  #packets = 0;
  #least = Infinity;
  #most = -Infinity;

  constructor(
    readonly from: string,
    readonly to: string,
  ) {}

  add(nanoseconds: number): void {
    this.#packets += 1;
    this.#least = Math.min(this.#least, nanoseconds);
    this.#most = Math.max(this.#most, nanoseconds);
    // One bucket for all that took less than no time: two processors gave the stamps in the wrong order.
    const bucket = nanoseconds < 1 ? -1 : Math.floor(Math.log(nanoseconds) / growth);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
  }

  summary(): GapTime {
    return {
      from: this.from,
      to: this.to,
      packets: this.#packets,
      least: this.#least,
      median: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      most: this.#most,
    };
  }

  /** The middle of the bucket in which the packet of that rank lies, within what was seen. */
  #quantile(share: number): number {
    const rank = Math.ceil(this.#packets * share);
    let passed = 0;
    for (const [bucket, packets] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      passed += packets;
      if (passed < rank) continue;
      const middle = bucket < 0 ? 0 : Math.exp((bucket + 0.5) * growth);
      return Math.max(this.#least, Math.min(this.#most, middle));
    }
    return this.#most;
  }
}
