/** What a trace says of a made-up world, beside the truth. */
import { hopName } from "../../../src/model/hop.js";
import type { MatchClass, PacketEvent } from "../../../src/model/trace.js";
import type { Sighted, World } from "./index.js";
import type { Parcel } from "./parcel.js";

/** Stamps may be out of order by so much, and packets as far apart (nanoseconds). */
const SLACK = 50_000;
const WINDOW = 4e9;

export class Tally {
  worlds = 0;
  sightings = 0;
  readonly matches: Record<MatchClass, number> = { exact: 0, strong: 0, ordered: 0, ambiguous: 0, single: 0 };
  /** Packets that hold sightings of several, by class. */
  readonly wrong: Record<MatchClass, number> = { exact: 0, strong: 0, ordered: 0, ambiguous: 0, single: 0 };
  /** Ambiguous ones for which there is no other assignment. */
  decidable = 0;
  /** Verdicts that are not so. */
  falseDrops = 0;
  falseDeliveries = 0;
  /** True packets that are told of as several, where no tap missed anything. */
  split = 0;
  /** Sightings of one packet in another order than it took. */
  disordered = 0;
  /** What is wrong, the first ones. */
  readonly faults: string[] = [];

  get joined(): number {
    const { exact, strong, ordered, ambiguous } = this.matches;
    return exact + strong + ordered + ambiguous;
  }

  /** Joined packets of worlds whose links double nothing (which of two copies came from where cannot be said); how many are exact or strong. */
  plain = 0;
  plainSure = 0;

  /** Part of them. */
  get sure(): number {
    return this.plainSure / this.plain;
  }

  fault(world: World, what: string, packet: PacketEvent): void {
    if (this.faults.length < 20)
      this.faults.push(`seed ${world.options.seed}: ${what}: ${JSON.stringify({ ...packet, rewrites: undefined })}`);
  }
}

export function judge(world: World, packets: readonly PacketEvent[], tally: Tally): void {
  const names = world.hops.map(hopName);
  const number = new Map(names.map((name, hop) => [name, hop]));
  const told = new Map<number, number>();
  tally.worlds++;
  tally.sightings += world.sightings;
  const missed = world.missed.some((records) => records > 0);
  let equals: Map<string, Sighted[][]> | undefined;
  for (const packet of packets) {
    const seen = packet.sightings.map((one) => world.captures[number.get(one.hop)!]![one.record]!);
    const head = seen[0]!;
    const truths = new Set(head.parcel.parts.map(({ truth }) => truth));
    const right = seen.every((one) => one.parcel.parts.some(({ truth }) => truths.has(truth)));
    const certain = packet.match === "exact" || packet.match === "strong";
    tally.matches[packet.match]++;
    if (packet.match !== "single" && world.options.duplicate === 0) {
      tally.plain++;
      if (certain) tally.plainSure++;
    }
    if (!right) {
      tally.wrong[packet.match]++;
      if (certain) tally.fault(world, "wrong join", packet);
    }
    if (packet.match === "ambiguous") {
      equals ??= equalPackets(world);
      if (!isAmbiguous(seen, equals.get(keyOf(head.parcel)) ?? [])) {
        tally.decidable++;
        tally.fault(world, "not ambiguous", packet);
      }
    }
    for (const truth of truths) told.set(truth, (told.get(truth) ?? 0) + 1);
    const [only] = truths;
    if (packet.match === "ambiguous" || !right) continue;
    if (isDisordered(seen)) {
      tally.disordered++;
      tally.fault(world, "disordered", packet);
    }
    if (head.step !== 0 || truths.size > 1 || only === undefined) continue;
    const arrived = world.arrived.has(only);
    const { verdict } = packet;
    if (verdict.kind === "delivered" && !arrived && head.parcel.kind !== "arp") {
      tally.falseDeliveries++;
      tally.fault(world, "false delivery", packet);
    }
    if (verdict.kind === "dropped" && arrived && !missed && world.options.duplicate === 0) {
      tally.falseDrops++;
      tally.fault(world, "false drop", packet);
    }
  }
  const { duplicate } = world.options;
  if (!missed && duplicate === 0) for (const parts of told.values()) if (parts > 1) tally.split++;
}

/** Whether some sighting stands before one that came earlier on the way. Of a divided packet the parts of a hop stand together. */
function isDisordered(seen: readonly Sighted[]): boolean {
  const [head] = seen;
  if (head!.parcel.kind === "arp" || seen.some(({ parcel }) => parcel.payload !== head!.parcel.payload)) return false;
  return seen.some((one, index) => index > 0 && one.step < seen[index - 1]!.step);
}

/** What of a parcel neither forwarding nor NAT changes, as text. */
function keyOf(parcel: Parcel): string {
  const { connection, kind, id, payload, sequence, acknowledgement, flags, window, stamps, content, fragment } = parcel;
  const { family, protocol } = connection;
  const named = family === 4 || fragment ? id : 0;
  return JSON.stringify([
    [family, protocol, kind, named, payload, sequence, acknowledgement, flags, window, ...stamps],
    // An error quotes no bytes of its packet's content here.
    [
      kind === "tcp" || kind === "error" ? 0 : content,
      fragment,
      parcel.inner && keyOf({ ...parcel.inner, content: 0 }),
    ],
  ]);
}

/** True packets by their content; each as its sightings. A copy that a link made is a packet of its own. */
function equalPackets(world: World): Map<string, Sighted[][]> {
  const byTruth = new Map<string, Map<string, Sighted[]>>();
  for (const one of world.captures.flat()) {
    const key = keyOf(one.parcel);
    const truth = String(one.parcel.parts[0]?.truth);
    const packets = byTruth.get(key) ?? new Map<string, Sighted[]>();
    packets.set(truth, [...(packets.get(truth) ?? []), one]);
    byTruth.set(key, packets);
  }
  return new Map([...byTruth].map(([key, packets]) => [key, [...packets.values()]]));
}

/** Whether some sighting could as well be of another packet with the same content. */
function isAmbiguous(seen: readonly Sighted[], equal: readonly Sighted[][]): boolean {
  const own = new Set(seen.map((one) => one.parcel.parts[0]?.truth));
  if (own.size > 1) return true; // joined of several: the truth is another assignment
  const copies = new Set(seen.map(({ hop }) => hop));
  for (const other of equal) {
    if (own.has(other[0]!.parcel.parts[0]?.truth)) {
      // The link made two of it: as many sightings as there are, not all of them here.
      if (other.length > seen.length && other.some((one) => !seen.includes(one) && copies.has(one.hop))) return true;
      continue;
    }
    for (const one of seen) {
      const from = other.find(
        (each) => each.step < one.step && each.time <= one.time + SLACK && one.time - each.time < WINDOW,
      );
      if (from) return true;
    }
    for (const one of other) {
      const from = seen.find(
        (each) => each.step < one.step && each.time <= one.time + SLACK && one.time - each.time < WINDOW,
      );
      if (from) return true;
    }
  }
  return false;
}
