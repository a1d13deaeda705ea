/**
 * A trace beside the kernel's own word: whether the sightings of each packet were of one packet buffer. Each sighting is
 * looked for among the events of its interface, by direction, length and time; each join of two sightings is then right,
 * wrong, or cannot be checked. Nothing is counted as right or wrong on a guess.
 */
import { type Hop, hopName } from "../model/hop.js";
import type { SkbEvents } from "../model/skb-events.js";
import type { Snapshot } from "../model/snapshot.js";
import type { MatchClass, PacketEvent } from "../model/trace.js";
import { Network, type Place } from "../path/network.js";
import { SkbPlaces } from "./skb-places.js";

export interface CheckedJoins {
  agree: number;
  differ: number;
}

export interface SelfCheckResult {
  readonly classes: Readonly<Record<MatchClass, CheckedJoins>>;
  readonly unchecked: {
    /** Of packets that were divided or merged on the way: the pieces have buffers of their own. */
    readonly divided: number;
    /** The kernel made another buffer of it on the way: a copy, a reassembled packet. */
    readonly replaced: number;
    /** No event of one of the sightings stands out from the others, or the events do not say at which of two interfaces. */
    readonly unclear: number;
  };
  /** The first joins that the kernel denies. */
  readonly differences: readonly { readonly packet: number; readonly from: string; readonly to: string }[];
  /** Events of the kernel that were read, and whether some were lost. */
  readonly events: number;
  readonly incomplete: boolean;
}

/** One sighting: a row of numbers, since a trace may have millions. */
interface Sighted {
  readonly packet: number;
  readonly place: number;
  readonly outgoing: boolean;
  readonly time: number;
  readonly length: number;
}

/** How far the event of a sighting may lie from its stamp, nanoseconds (measured: 1 to 30 µs behind, 1 to 5 before). */
const window = { sent: [-5e3, 300e3], received: [-60e3, 60e3] } as const;
/** An event stands out where no other is about as near as it: within this time. */
const clear = 2e3;
/** How long a buffer is followed from one hop to the next. */
const longestGap = 100e6;
const differencesKept = 10;
const NONE = -1;

export class SelfCheck {
  readonly #network: Network;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #sighted: Sighted[] = [];
  /** Joins to be checked: the number of the sighting before; that behind follows it. */
  readonly #joins: { readonly before: number; readonly match: MatchClass }[] = [];
  #divided = 0;
  #unplaced = 0;

  constructor(snapshot: Snapshot, hops: readonly Hop[]) {
    this.#network = new Network(snapshot);
    this.#places = new Map(
      hops.flatMap((hop) => {
        const place = this.#network.place(hop.node, hop.interface);
        return place === undefined ? [] : [[hopName(hop), place]];
      }),
    );
  }

  push({ id, match, sightings, rewrites }: PacketEvent): void {
    if (sightings.length < 2) return;
    const hops = new Set(sightings.map(({ hop }) => hop));
    if (hops.size < sightings.length || rewrites.some(({ kind }) => kind === "segmentation")) {
      this.#divided += sightings.length - 1;
      return;
    }
    const places = sightings.map(({ hop }) => this.#places.get(hop));
    const outgoing = places.map((_, at) => directionAt(places, at));
    for (const [at, { time, length }] of sightings.entries()) {
      const [place, out] = [places[at], outgoing[at]];
      const last = at === sightings.length - 1;
      if (place === undefined || out === undefined) {
        if (!last) this.#unplaced += 1;
        continue;
      }
      if (!last && places[at + 1] !== undefined && outgoing[at + 1] !== undefined)
        this.#joins.push({ before: this.#sighted.length, match });
      else if (!last) this.#unplaced += 1;
      this.#sighted.push({ packet: id, place: place.number, outgoing: out, time, length });
    }
  }

  judge(events: SkbEvents): SelfCheckResult {
    const skbs = new SkbPlaces(events, this.#network);
    const found = this.#find(events, skbs);
    const claimed = new Map<number, number>();
    for (const [sighting, event] of found.entries()) if (event !== NONE) claimed.set(event, sighting);
    const classes: Record<MatchClass, CheckedJoins> = {
      exact: { agree: 0, differ: 0 },
      strong: { agree: 0, differ: 0 },
      ordered: { agree: 0, differ: 0 },
      ambiguous: { agree: 0, differ: 0 },
      single: { agree: 0, differ: 0 },
    };
    const differences: { packet: number; from: string; to: string }[] = [];
    let replaced = 0;
    let unclear = this.#unplaced;
    for (const { before, match } of this.#joins) {
      const [a, b] = [found[before] ?? NONE, found[before + 1] ?? NONE];
      if (a === NONE || b === NONE) unclear += 1;
      else if (events.skb[a] === events.skb[b]) classes[match].agree += 1;
      else {
        // Two packets have changed places where both of their buffers are seen on the other one's way.
        const onward = this.#other(events, skbs, a, before + 1, 1);
        const back = this.#other(events, skbs, b, before, -1);
        const wrong = [onward, back].every((event) => event !== NONE && claimed.has(event));
        if (!wrong) replaced += 1;
        else {
          classes[match].differ += 1;
          const [from, to] = [this.#sighted[before], this.#sighted[before + 1]];
          if (differences.length < differencesKept && from !== undefined && to !== undefined)
            differences.push({ packet: from.packet, from: this.#name(from), to: this.#name(to) });
        }
      }
    }
    return {
      classes,
      unchecked: { divided: this.#divided, replaced, unclear },
      differences,
      events: events.count,
      incomplete: events.incomplete,
    };
  }

  /** The event of the same buffer as `event` at the place of a sighting, after it or before it. */
  #other(events: SkbEvents, skbs: SkbPlaces, event: number, sighting: number, step: 1 | -1): number {
    const wanted = this.#sighted[sighting];
    const rows = skbs.ofSkb.get(events.skb[event] ?? 0) ?? [];
    if (wanted === undefined) return NONE;
    for (let at = rows.indexOf(event) + step; at >= 0 && at < rows.length; at += step) {
      const row = rows[at] ?? 0;
      if (Math.abs((events.time[row] ?? 0) - (events.time[event] ?? 0)) > longestGap) return NONE;
      const same = (events.outgoing[row] === 1) === wanted.outgoing && skbs.lengthOf(row) === wanted.length;
      if (same && skbs.places[row]?.includes(wanted.place) === true) return row;
    }
    return NONE;
  }

  #name({ place }: Sighted): string {
    const found = this.#network.places[place];
    return found === undefined ? "" : hopName({ node: found.node.name, interface: found.interface.name });
  }

  /** The event of each sighting, NONE where none stands out. */
  #find(events: SkbEvents, skbs: SkbPlaces): number[] {
    const lists = new Map<string, number[]>();
    const keyOf = (place: number, outgoing: boolean, length: number): string =>
      `${place} ${outgoing ? 1 : 0} ${length}`;
    const wanted = new Set(this.#sighted.map(({ place, outgoing, length }) => keyOf(place, outgoing, length)));
    for (let row = 0; row < events.count; row++)
      for (const place of skbs.places[row] ?? []) {
        const key = keyOf(place, events.outgoing[row] === 1, skbs.lengthOf(row));
        if (!wanted.has(key)) continue;
        const list = lists.get(key);
        if (list === undefined) lists.set(key, [row]);
        else list.push(row);
      }
    const candidates = this.#sighted.map(({ place, outgoing, length, time }) => {
      const list = lists.get(keyOf(place, outgoing, length)) ?? [];
      const [from, to] = outgoing ? window.sent : window.received;
      const near: number[] = [];
      for (let at = firstFrom(list, events.time, time + from); at < list.length; at++) {
        const row = list[at] ?? 0;
        if ((events.time[row] ?? 0) > time + to) break;
        near.push(row);
      }
      return near;
    });
    const usual = this.#usualDelays(candidates, events);
    const found = candidates.map((near, sighting) => {
      const { place, outgoing, time } = this.#sighted[sighting] ?? { place: 0, outgoing: false, time: 0 };
      const delay = usual.get(place * 2 + (outgoing ? 1 : 0)) ?? 0;
      const distance = (row: number): number => Math.abs((events.time[row] ?? 0) - time - delay);
      const [best = NONE, next] = near.toSorted((a, b) => distance(a) - distance(b));
      return best === NONE || (next !== undefined && distance(next) - distance(best) < clear) ? NONE : best;
    });
    const claims = new Map<number, number>();
    for (const event of found) claims.set(event, (claims.get(event) ?? 0) + 1);
    return found.map((event) => (claims.get(event) === 1 ? event : NONE));
  }

  /** Median time from a stamp to the nearest event, by place and direction: nearly always that is its own. */
  #usualDelays(candidates: readonly (readonly number[])[], events: SkbEvents): ReadonlyMap<number, number> {
    const delays = new Map<number, number[]>();
    for (const [sighting, near] of candidates.entries()) {
      const one = this.#sighted[sighting];
      if (one === undefined || near.length === 0) continue;
      const key = one.place * 2 + (one.outgoing ? 1 : 0);
      const list = delays.get(key) ?? [];
      const times = near.map((event) => (events.time[event] ?? 0) - one.time);
      list.push(times.reduce((nearest, time) => (Math.abs(time) < Math.abs(nearest) ? time : nearest)));
      delays.set(key, list);
    }
    return new Map([...delays].map(([key, list]) => [key, list.sort((a, b) => a - b)[list.length >> 1] ?? 0]));
  }
}

/** Whether a packet left through an interface or came in by it, as its neighbours on the way say. */
function directionAt(places: readonly (Place | undefined)[], at: number): boolean | undefined {
  const [before, own, after] = [places[at - 1], places[at], places[at + 1]];
  if (own === undefined) return undefined;
  if (before !== undefined && before.node !== own.node) return false;
  if (after !== undefined && after.node !== own.node) return true;
  // All three in one node: ports, their bridge, and what is routed.
  if (after !== undefined && (after === own.master || (own.master !== undefined && after.master === own.master)))
    return false;
  if (before !== undefined && (before === own.master || (own.master !== undefined && before.master === own.master)))
    return true;
  if (before?.master === own) return false;
  if (after?.master === own) return true;
  if (before === undefined && after !== undefined) return false;
  return before !== undefined && after === undefined ? true : undefined;
}

/** Index of the first row of a list, sorted by time, that is not before `time`. */
function firstFrom(list: readonly number[], times: Float64Array, time: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[list[middle] ?? 0] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
