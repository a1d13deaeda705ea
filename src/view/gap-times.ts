/**
 * How long packets took on each gap: as the hops of a trace tell at its end, and until then (the TUI), or of packets that were
 * picked out of a trace, counted from the packets themselves.
 */
import { DurationHistogram, type Durations } from "../model/duration-histogram.js";
import type { HopEvent, PacketEvent, Sighting } from "../model/trace.js";
import { isDivided } from "./path.js";

export interface GapTime extends Durations {
  readonly from: string;
  readonly to: string;
}

/** Gaps told; a flood over hundreds of ports has more than anybody reads. */
const gapsTold = 64;

export class GapTimes {
  /** By the hop from which, then by that to which. */
  readonly #counted = new Map<string, Map<string, DurationHistogram>>();
  /** In the order in which they were met. */
  readonly #gaps: { readonly from: string; readonly to: string; readonly times: DurationHistogram }[] = [];
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
    return this.#gaps.flatMap(({ from, to, times }) => {
      const summary = times.summary();
      return summary === undefined ? [] : [{ from, to, ...summary }];
    });
  }

  #count(packet: PacketEvent): void {
    const divided = isDivided(packet);
    let before: Sighting | undefined;
    for (const sighting of packet.sightings) {
      if (divided && sighting.hop === before?.hop) continue; // another part of it
      // Equal stamps are one stamp, which is no duration.
      if (before !== undefined && sighting.time !== before.time)
        this.#timesOf(before.hop, sighting.hop)?.add(sighting.time - before.time);
      before = sighting;
    }
  }

  #timesOf(from: string, to: string): DurationHistogram | undefined {
    const known = this.#counted.get(from)?.get(to);
    if (known !== undefined || this.#gaps.length >= gapsTold) return known;
    const times = new DurationHistogram();
    const onward = this.#counted.get(from) ?? new Map<string, DurationHistogram>();
    this.#counted.set(from, onward.set(to, times));
    this.#gaps.push({ from, to, times });
    return times;
  }
}
