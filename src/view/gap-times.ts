/**
 * How long packets took on each gap: as the hops of a trace tell at its end, and until then (the TUI), or of packets that were
 * picked out of a trace, counted from the packets themselves.
 */
import { DurationHistogram, type Durations } from "../model/duration-histogram.js";
import type { HopEvent, PacketEvent } from "../model/trace.js";
import { isDivided } from "./path.js";

export interface GapTime extends Durations {
  readonly from: string;
  readonly to: string;
}

/** Gaps told; a flood over hundreds of ports has more than anybody reads. */
const gapsTold = 64;

export class GapTimes {
  readonly #counted = new Map<string, { from: string; to: string; times: DurationHistogram }>();
  #told: GapTime[] | undefined;

  push(event: PacketEvent | HopEvent): void {
    if (event.type === "hop") this.#tell(event);
    else if (event.provisional !== true) this.#count(event);
  }

  /** Along the hops of the trace and then back, as a request and its answer go. */
  list(hops: readonly string[]): readonly GapTime[] {
    const place = ({ from, to }: GapTime): number => {
      const [start, end] = [hops.indexOf(from), hops.indexOf(to)];
      return start < end ? start : 2 * hops.length - start;
    };
    return (this.#told ?? this.#fromPackets()).toSorted((a, b) => place(a) - place(b));
  }

  #tell({ hop, next }: HopEvent): void {
    this.#told ??= [];
    for (const { hop: to, ...times } of next)
      if (this.#told.length < gapsTold) this.#told.push({ from: hop, to, ...times });
  }

  #fromPackets(): GapTime[] {
    return [...this.#counted.values()].flatMap(({ from, to, times }) => {
      const summary = times.summary();
      return summary === undefined ? [] : [{ from, to, ...summary }];
    });
  }

  #count(packet: PacketEvent): void {
    const divided = isDivided(packet);
    let before = packet.sightings[0];
    for (const sighting of packet.sightings.slice(1)) {
      if (divided && sighting.hop === before?.hop) continue; // another part of it
      // Equal stamps are one stamp, which is no duration.
      if (before !== undefined && sighting.time !== before.time)
        this.#add(before.hop, sighting.hop, sighting.time - before.time);
      before = sighting;
    }
  }

  #add(from: string, to: string, nanoseconds: number): void {
    const key = `${from} ${to}`;
    let gap = this.#counted.get(key);
    if (gap === undefined) {
      if (this.#counted.size >= gapsTold) return;
      gap = { from, to, times: new DurationHistogram() };
      this.#counted.set(key, gap);
    }
    gap.times.add(nanoseconds);
  }
}
