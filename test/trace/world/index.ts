/**
 * A made-up network with traffic whose truth is known: captures at every hop, with the true packet behind each byte of
 * each record, conntrack events, and what the taps missed.
 */
import type { ConntrackEvent } from "../../../src/model/conntrack.js";
import { type Hop, hopName } from "../../../src/model/hop.js";
import type { Snapshot } from "../../../src/model/snapshot.js";
import { chain, type RouterKind } from "./chain.js";
import { docker } from "./docker.js";
import { cross, type Gap } from "./gap.js";
import { type Connection, type Frame, frameOf, type Parcel, tupleOf, turned } from "./parcel.js";
import type { Flood, Place, Way } from "./place.js";
import { between, pick, type Random, random } from "./random.js";
import { type Talk, talks, type TrafficOptions, Truths } from "./traffic.js";

export interface WorldOptions extends TrafficOptions {
  readonly seed: number;
  readonly place: "chain" | "docker";
  /** Of a chain: what each router does. */
  readonly routers: readonly RouterKind[];
  readonly bridged: boolean;
  /** Probability that a packet dies in a gap; that a link makes two of it; that a tap misses a record. */
  readonly loss: number;
  readonly duplicate: number;
  readonly tapLoss: number;
  /** Nanoseconds of random extra time a gap: reorders packets. */
  readonly jitter: number;
  /** Nanoseconds that one link holds everything back. */
  readonly delay: number;
  /** Interfaces that let no large segments out, and some that merge what comes in. */
  readonly segmentation: boolean;
  /** Frames carry a VLAN tag at some hops. */
  readonly tagged: boolean;
  /** Conntrack says nothing, or speaks up to 3 ms after a packet has passed. */
  readonly conntrack: "none" | "late";
}

export interface Sighted {
  readonly hop: number;
  readonly time: number;
  readonly frame: Frame;
  readonly parcel: Parcel;
  /** Positions of its hop on the way, the first ones to come. */
  readonly step: number;
}

export interface World {
  readonly options: WorldOptions;
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  /** By hop, in the order of the capture. */
  readonly captures: readonly (readonly Sighted[])[];
  /** Records that each tap missed. */
  readonly missed: readonly number[];
  /** Conntrack events, with the time at which they come. */
  readonly events: readonly { readonly time: number; readonly event: ConntrackEvent }[];
  /** True packets all of whose bytes reached their last hop. */
  readonly arrived: ReadonlySet<number>;
  readonly sightings: number;
}

export function makeWorld(options: WorldOptions): World {
  const next = random(options.seed);
  const place: Place =
    options.place === "chain" ? chain(options.family, options.routers, options.bridged) : docker(options.family);
  const truths = new Truths();
  const recorder = new Recorder(place, options, next);
  const events: { time: number; event: ConntrackEvent }[] = [];
  const slow: SlowLink = {};
  for (const [way, talk] of byWay(talks(place.ways, options, truths, next))) {
    const crossed = travel(way, talk, options, recorder, slow, next);
    if (options.conntrack === "late") conntrack(way, talk, crossed, events, next);
  }
  for (const flood of place.floods) spread(flood, options, truths, recorder, next);
  events.sort((a, b) => a.time - b.time);
  return {
    options,
    snapshot: place.snapshot,
    hops: place.hops,
    captures: recorder.captures.map((capture) => capture.sort((a, b) => a.time - b.time)),
    missed: recorder.missed,
    events,
    arrived: recorder.arrived(truths.sizes),
    sightings: recorder.captures.reduce((sum, capture) => sum + capture.length, 0),
  };
}

function byWay(all: readonly Talk[]): Map<Way, Talk[]> {
  const ways = new Map<Way, Talk[]>();
  for (const talk of all) ways.set(talk.way, [...(ways.get(talk.way) ?? []), talk]);
  return ways;
}

class Recorder {
  readonly captures: Sighted[][];
  readonly missed: number[];
  readonly #hops: ReadonlyMap<string, number>;
  readonly #tags: readonly (number | undefined)[];
  readonly #loss: number;
  readonly #next: Random;
  /** By truth: byte ranges that arrived, by their start. */
  readonly #arrived = new Map<number, Map<number, number>>();
  /** By hop: records that its tap goes on to miss. */
  readonly #burst: number[];

  constructor(place: Place, options: WorldOptions, next: Random) {
    this.captures = place.hops.map(() => []);
    this.missed = place.hops.map(() => 0);
    this.#burst = place.hops.map(() => 0);
    this.#hops = new Map(place.hops.map((hop, number) => [hopName(hop), number]));
    this.#tags = place.hops.map(() => (options.tagged && next() < 0.5 ? between(next, 1, 4094) : undefined));
    this.#loss = options.tapLoss;
    this.#next = next;
  }

  see(name: string, step: number, parcel: Parcel, look: Omit<Parameters<typeof frameOf>[1], "vlan">): void {
    const hop = this.#hops.get(name)!;
    if (this.#next() < this.#loss) this.#burst[hop] = this.#next() < 0.1 ? between(this.#next, 2, 40) : 1;
    if (this.#burst[hop]! > 0) {
      this.#burst[hop]!--;
      this.missed[hop]!++;
      return;
    }
    const vlan = this.#tags[hop];
    const frame = frameOf(parcel, vlan === undefined ? look : { ...look, vlan });
    this.captures[hop]!.push({ hop, time: parcel.time, frame, parcel, step });
  }

  arrive(parcel: Parcel): void {
    for (const part of parcel.parts) {
      const ranges = this.#arrived.get(part.truth) ?? new Map<number, number>();
      ranges.set(part.from, Math.max(ranges.get(part.from) ?? 0, part.length));
      this.#arrived.set(part.truth, ranges);
    }
  }

  arrived(sizes: readonly number[]): Set<number> {
    const whole = new Set<number>();
    for (const [truth, ranges] of this.#arrived) {
      let end = 0;
      for (const [from, length] of [...ranges].sort((a, b) => a[0] - b[0])) {
        if (from <= end) end = Math.max(end, from + length);
      }
      if (end >= sizes[truth]!) whole.add(truth);
    }
    return whole;
  }
}

/** The link that holds everything back, whichever way leads over it: the first way that is travelled says which. */
interface SlowLink {
  ends?: ReadonlySet<string>;
}

/** Sends what some connections say along their way, in both directions. @returns when each was first behind a router */
function travel(
  way: Way,
  talks: readonly Talk[],
  options: WorldOptions,
  recorder: Recorder,
  slow: SlowLink,
  next: Random,
): ReadonlyMap<Connection, readonly number[]> {
  const { stations } = way;
  const crossed = new Map<Connection, number[]>();
  /** When the first request of a connection came to its end. */
  const reached = new Map<Connection, number>();
  const isBridge = (hop: string): boolean => hop.endsWith(":br0") || hop.endsWith(":yapc0");
  const drawn = between(next, 1, stations.length - 1);
  const ends = (slow.ends ??= new Set(stations.slice(drawn - 1, drawn + 1).map(({ hop }) => hop)));
  for (const reply of [false, true]) {
    const order = reply ? [...stations.keys()].reverse() : [...stations.keys()];
    let parcels = talks.flatMap((talk) => (reply ? answers(talk, reached, options.delay > 0) : talk.requests));
    parcels = [...parcels].sort((a, b) => a.time - b.time);
    let lowered = 0;
    let size = 1480;
    for (const [index, at] of order.entries()) {
      const station = stations[at]!;
      const before = order[index - 1];
      if (before !== undefined) {
        const { routed, up } = stations[Math.max(at, before)]!;
        if (routed) {
          lowered++;
          // No router makes fragments larger than those that came.
          size = Math.min(size, options.family === 4 ? pick(next, [1480, 1480, 1400]) : 1448);
        }
        const gap: Gap = {
          loss: options.loss,
          duplicate: options.duplicate,
          base: 1500 + (ends.has(stations[before]!.hop) && ends.has(station.hop) ? options.delay : 0),
          jitter: options.jitter + 500,
          tie: up && isBridge(station.hop),
          cut: options.segmentation && next() < 0.4 ? 1428 : 0,
          merge: options.segmentation && next() < 0.4,
          refragment: routed && way.routers.length > 0 ? size : 0,
        };
        parcels = cross(parcels, gap, next);
      }
      for (const parcel of parcels) {
        const { side, sourceMac, destinationMac } = station;
        const look = reply
          ? { side, lowered, sourceMac: destinationMac, destinationMac: sourceMac }
          : { side, lowered, sourceMac, destinationMac };
        recorder.see(station.hop, index, parcel, look);
        if (!reply && side > 0) {
          const times = crossed.get(parcel.connection) ?? [];
          times[side - 1] ??= parcel.time;
          crossed.set(parcel.connection, times);
        }
      }
    }
    for (const parcel of parcels) {
      recorder.arrive(parcel);
      if (!reply && !reached.has(parcel.connection)) reached.set(parcel.connection, parcel.time);
    }
  }
  return crossed;
}

/** What a server says to those whose requests have reached it. @param slowly not before they have, on a slow way */
function answers(talk: Talk, reached: ReadonlyMap<Connection, number>, slowly: boolean): readonly Parcel[] {
  const since = reached.get(talk.connection);
  if (since === undefined) return [];
  const late = slowly ? since - talk.start : 0;
  return talk.replies.map((parcel) => ({ ...parcel, time: parcel.time + late }));
}

/** What the routers' conntracks tell of some connections. */
function conntrack(
  way: Way,
  talks: readonly Talk[],
  crossed: ReadonlyMap<Connection, readonly number[]>,
  events: { time: number; event: ConntrackEvent }[],
  next: Random,
): void {
  const eventOf = (kind: ConntrackEvent["kind"], router: number, connection: Connection): ConntrackEvent => ({
    kind,
    node: way.routers[router]!,
    flow: {
      id: connection.number + 1,
      zone: 0,
      family: connection.family,
      original: tupleOf(connection.tuples[router]!, connection.protocol),
      reply: tupleOf(turned(connection.tuples[router + 1]!), connection.protocol),
      status: 0,
    },
  });
  for (const { connection, after } of talks) {
    for (const router of way.routers.keys()) {
      const time = crossed.get(connection)?.[router];
      if (time === undefined) continue;
      const late = time + between(next, 0, 3_000_000);
      const previous = after && crossed.get(after)?.[router] !== undefined ? after : undefined;
      // A new connection of the same tuple makes the kernel end the old one first.
      const ended = connection.protocol === 6 ? late : time - between(next, 1_000_000, 10_000_000);
      if (previous) events.push({ time: ended, event: eventOf("destroy", router, previous) });
      events.push({ time: late, event: eventOf("new", router, connection) });
    }
  }
}

/** Frames to all on a link-layer network: questions for neighbours, now and then. */
function spread(flood: Flood, options: WorldOptions, truths: Truths, recorder: Recorder, next: Random): void {
  let clock = 1_000_000 + between(next, 0, 10_000_000);
  let repeats = 0;
  let target = flood.targets[0]!;
  for (let count = Math.ceil(options.packets / 100); count > 0; count--) {
    // Linux asks three times, a second apart, and what it has learned it does not ask again for a while.
    clock += repeats > 0 ? 1_000_000_000 : between(next, 5_000_000_000, 20_000_000_000);
    if (repeats > 0) repeats--;
    else {
      target = pick(next, flood.targets);
      if (next() < 0.1) repeats = 2;
    }
    const connection: Connection = {
      number: -1,
      family: 4,
      protocol: 17,
      tuples: [{ source: flood.source, sourcePort: 0, destination: target, destinationPort: 0 }],
    };
    const parcel: Parcel = {
      connection,
      reply: false,
      time: clock,
      kind: "arp",
      operation: 1,
      parts: [{ truth: truths.add(0), from: 0, length: 0 }],
      id: 0,
      payload: 0,
      sequence: 0,
      acknowledgement: 0,
      flags: 0,
      window: 0,
      stamps: [0, 0],
      content: 0,
    };
    const times: (number | undefined)[] = [];
    for (const [index, { hop, parent, tie }] of flood.stations.entries()) {
      const before = parent < 0 ? clock : times[parent];
      const time = before === undefined || (parent >= 0 && next() < options.loss) ? undefined : before;
      times[index] = time === undefined || parent < 0 || tie ? time : time + 1500 + between(next, 0, options.jitter);
      if (times[index] === undefined) continue;
      const look = { side: 0, lowered: 0, sourceMac: flood.sourceMac, destinationMac: "ff:ff:ff:ff:ff:ff" };
      recorder.see(hop, index, { ...parcel, time: times[index] }, look);
    }
    recorder.arrive(parcel);
  }
}
