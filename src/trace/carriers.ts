/** Which open packets a sighting carries bytes of: it is a piece of one, or was merged of several. */
import { type Columns, Kind } from "../packet/columns.js";
import { ofOneDivision } from "./datagram.js";
import { Direction } from "./flow.js";
import { type FlowIndex, isNameless } from "./flow-index.js";
import type { JoinerParts } from "./joiner.js";
import type { Latency } from "./latency.js";
import type { Lifetimes } from "./lifetime.js";
import { NONE, type Packets, State } from "./packets.js";
import type { PartIndex } from "./part-index.js";
import type { Scene } from "./scene.js";
import { commonBytes, tellsItself } from "./segment.js";
import { type Distance, ofOneSending } from "./sending.js";
import type { Ways } from "./way.js";

export interface Carried {
  /** The oldest first. */
  readonly packets: readonly number[];
  /** No others could have been meant. */
  readonly sure: boolean;
}

const NOBODY: Carried = { packets: [], sure: true };

export class Carriers {
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #parts: PartIndex;
  readonly #flows: FlowIndex;
  readonly #ways: Ways;
  readonly #latency: Latency;
  readonly #lifetimes: Lifetimes;

  constructor({ scene, columns, packets, parts, flows, ways, latency }: JoinerParts, lifetimes: Lifetimes) {
    this.#scene = scene;
    this.#columns = columns;
    this.#packets = packets;
    this.#parts = parts;
    this.#flows = flows;
    this.#ways = ways;
    this.#latency = latency;
    this.#lifetimes = lifetimes;
  }

  of(row: number, entry: number): Carried {
    const near = this.#parts.near(row);
    if (near.length === 0) return NOBODY;
    const found = this.#found(row, entry, near);
    if (found.length === 0) return NOBODY;
    const candidates = ofOneDivision(this.#columns, this.#packets, row, found);
    const distance = (packet: number): Distance => this.#farOff(packet, row, entry);
    const packets = ofOneSending(this.#columns, this.#packets, row, candidates, distance);
    return { packets, sure: packets.length === candidates.length };
  }

  /** How far a row is from the last sighting of a packet: hops; and whether, and by how much, the time is strange. */
  #farOff(packet: number, row: number, entry: number): Distance {
    const c = this.#columns;
    const parent = this.#ways.parentOf(packet, row, entry, true);
    const [from, to, time] = [c.hop[parent] ?? 0, c.hop[row] ?? 0, c.time[row] ?? 0];
    return {
      hops: this.#scene.reach.distance(from, to),
      quiet: this.#lifetimes.isQuiet(packet, time),
      strange: this.#latency.strangeness(from, to, time - (c.time[parent] ?? 0)) ?? 0,
    };
  }

  /** Those of some packets that a row may carry bytes of, the oldest first. */
  #found(row: number, entry: number, near: readonly number[]): readonly number[] {
    const c = this.#columns;
    const packets = this.#packets;
    const flow = entry === NONE || isNameless(c, row) ? undefined : this.#flows.table.flow(entry);
    const reply = flow && this.#flows.table.direction(entry) === Direction.reply;
    let found: number[] | undefined;
    let strangers: number[] | undefined;
    // Where NAT has made a tuple that nobody knows yet, the bytes alone must say enough.
    const alone = tellsItself(c, row);
    if (!flow && !alone) return [];
    for (const p of near) {
      const own = packets.flow[p] === flow;
      if (own ? (((packets.state[p] ?? 0) & State.reply) !== 0) !== reply : !alone) continue;
      if (commonBytes(c, packets.head[p] ?? 0, row) === 0) continue;
      if (this.#ways.parentOf(p, row, entry, true) === NONE) continue;
      if (own) (found ??= []).push(p);
      else (strangers ??= []).push(p);
    }
    const known = found !== undefined;
    found ??= strangers;
    if (!found) return [];
    if (found.length > 1) found.sort((a, b) => (packets.id[a] ?? 0) - (packets.id[b] ?? 0));
    const [oldest = NONE] = found;
    const kin = found.filter((p) => packets.flow[p] === packets.flow[oldest] || this.#ofOneDatagram(p, oldest));
    if (!known && kin.length < found.length) {
      // Different connections that nothing tells apart behind NAT.
      for (const p of found) packets.mark(p, State.ambiguous | State.contested);
    }
    return kin;
  }

  /** Whether two packets are fragments of one datagram: one that came before its first is not known to be of its connection. */
  #ofOneDatagram(a: number, b: number): boolean {
    const c = this.#columns;
    const [one, other] = [this.#packets.head[a] ?? 0, this.#packets.head[b] ?? 0];
    const addresses = c.source[one] === c.source[other] && c.destination[one] === c.destination[other];
    return addresses && c.kind[one] !== Kind.tcp && c.identification[one] === c.identification[other];
  }
}
