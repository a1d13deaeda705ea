/** Packets of one direction of an exchange mostly differ in little but their times: what a printer makes of the rest is kept. */
import type { PacketEvent, Verdict } from "../model/trace.js";
import { sideOf } from "./path.js";

/** Directions of exchanges. When there are more, it starts anew. */
const directionsKept = 1000;
/** Ways of one direction: stamps of neighbouring hops may change places. */
const waysKept = 4;

interface Way<Made> {
  /** The first packet that went it. */
  readonly packet: PacketEvent;
  readonly made: Made;
}

export class ByWay<Made> {
  readonly #make: (packet: PacketEvent) => Made;
  readonly #known = new Map<number, Way<Made>[]>();

  /** @param make must look at nothing of the packet but its hops, rewrites, match and verdict: the next one differs in the rest */
  constructor(make: (packet: PacketEvent) => Made) {
    this.#make = make;
  }

  of(packet: PacketEvent): Made {
    const side = sideOf(packet);
    let ways = this.#known.get(side);
    if (ways === undefined) {
      if (this.#known.size >= directionsKept) this.#known.clear();
      this.#known.set(side, (ways = []));
    }
    for (const way of ways) if (sameWay(way.packet, packet)) return way.made;
    const made = this.#make(packet);
    ways.unshift({ packet, made });
    if (ways.length > waysKept) ways.pop();
    return made;
  }
}

function sameWay(a: PacketEvent, b: PacketEvent): boolean {
  return (
    a.match === b.match &&
    same(a.sightings, b.sightings, (one, other) => one.hop === other.hop) &&
    sameVerdict(a.verdict, b.verdict) &&
    same(a.implied, b.implied, (one, other) => one.hop === other.hop && one.after === other.after) &&
    same(
      a.rewrites,
      b.rewrites,
      (one, other) =>
        one.kind === other.kind &&
        one.from === other.from &&
        one.to === other.to &&
        one.between[0] === other.between[0] &&
        one.between[1] === other.between[1],
    )
  );
}

function same<T>(a: readonly T[], b: readonly T[], equal: (one: T, other: T) => boolean): boolean {
  if (a.length !== b.length) return false;
  return a.every((one, index) => {
    const other = b[index];
    return other !== undefined && equal(one, other);
  });
}

function sameVerdict(a: Verdict, b: Verdict): boolean {
  switch (a.kind) {
    case "delivered":
      return b.kind === "delivered";
    case "refused":
      return b.kind === "refused" && a.by === b.by && a.reason === b.reason;
    case "dropped":
      return (
        b.kind === "dropped" &&
        a.after === b.after &&
        a.before === b.before &&
        a.cause?.code === b.cause?.code &&
        a.cause?.text === b.cause?.text
      );
    case "unknown":
      return b.kind === "unknown" && a.reason === b.reason;
  }
}
