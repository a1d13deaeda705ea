/**
 * The ways that packets of a connection have taken, so that the next ones are not asked everything again: whether a hop may
 * follow another, with that TTL and with what NAT made of the addresses, whether that teaches anything, and whether a packet
 * has arrived there, depend on nothing but the steps before, as long as nobody learns anything new of the connection. A
 * trail is a tree of such steps. `FlowTable` lets the trail of a connection go where it learns something of it.
 *
 * Only what is plain makes a trail: one line from hop to hop, in order, of packets that nothing is equal to.
 */
import { type Columns, Kind, Mark } from "../packet/columns.js";
import type { Flow } from "./flow.js";
import type { FlowIndex } from "./flow-index.js";
import { NONE, type Packets, State } from "./packets.js";

/** Of one connection: its steps are worth something as long as it is the connection's own. */
export class Trail {
  readonly first: Step[] = [];
}

/** A sighting that others like it came before: at this hop, with this TTL and this tuple, behind the same steps. */
export class Step {
  readonly trail: Trail;
  readonly hop: number;
  readonly ttl: number;
  /** Of the flow table. */
  readonly entry: number;
  /** Packets have arrived here. */
  readonly arrived: boolean;
  readonly next: Step[] = [];

  constructor(trail: Trail, hop: number, ttl: number, entry: number, arrived: boolean) {
    this.trail = trail;
    this.hop = hop;
    this.ttl = ttl;
    this.entry = entry;
    this.arrived = arrived;
  }
}

/** Packets of a connection and direction that are not remembered: most connections have no more. */
const FEW = 4;
/** Steps that go on from one: a sender that tries every TTL makes no more. */
const MOST = 8;
/** States in which a packet does as no other. */
const PECULIAR = State.complete | State.contested | State.segmented | State.ambiguous;

export class Trails {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #flows: FlowIndex;

  constructor(columns: Columns, packets: Packets, flows: FlowIndex) {
    this.#columns = columns;
    this.#packets = packets;
    this.#flows = flows;
  }

  /** A packet of a connection that is known began with a row. */
  begin(packet: number, flow: Flow, row: number, entry: number): void {
    if (flow.sent[this.#packets.direction(packet)] < FEW || !this.#isPlain(row)) return;
    const trail = (flow.trail ??= new Trail());
    this.#packets.step[packet] =
      this.#find(trail.first, row, entry) ?? this.#add(trail, trail.first, row, entry, false);
  }

  /** The step that others of its connection took with a sighting like this one, where it is one step behind the last. */
  onward(packet: number, row: number): Step | undefined {
    const packets = this.#packets;
    const step = packets.step[packet];
    if (step === undefined || step.trail !== packets.flow[packet]?.trail) return undefined;
    if (((packets.state[packet] ?? 0) & PECULIAR) !== 0) return undefined;
    const { time, marks, hop, ttl } = this.#columns;
    const later = (time[row] ?? 0) - (time[packets.tail[packet] ?? 0] ?? 0);
    // The first two of the same stamp may stand either way.
    if (later < 0 || (later === 0 && packets.count[packet] === 1)) return undefined;
    if (((marks[row] ?? 0) & Mark.group) !== 0) return undefined;
    for (const next of step.next)
      if (next.hop === hop[row] && next.ttl === ttl[row] && this.#flows.isOf(row, next.entry)) return next;
    return undefined;
  }

  /** A packet took a step that is plain, and taught nothing. */
  note(packet: number, row: number, entry: number, arrived: boolean): void {
    const { step, flow } = this.#packets;
    const before = step[packet];
    if (before === undefined) return;
    const { trail, next } = before;
    const own = trail === flow[packet]?.trail && this.#isPlain(row);
    step[packet] = own ? (this.#find(next, row, entry) ?? this.#add(trail, next, row, entry, arrived)) : undefined;
  }

  /** A packet leaves the trail. */
  leave(packet: number): void {
    this.#packets.step[packet] = undefined;
  }

  #isPlain(row: number): boolean {
    const { kind, marks } = this.#columns;
    if (kind[row] !== Kind.tcp && kind[row] !== Kind.udp && kind[row] !== Kind.echo) return false;
    return ((marks[row] ?? 0) & (Mark.group | Mark.moreFragments)) === 0;
  }

  #find(steps: readonly Step[], row: number, entry: number): Step | undefined {
    const { hop, ttl } = this.#columns;
    for (const step of steps) if (step.hop === hop[row] && step.entry === entry && step.ttl === ttl[row]) return step;
    return undefined;
  }

  #add(trail: Trail, steps: Step[], row: number, entry: number, arrived: boolean): Step | undefined {
    const { hop, ttl } = this.#columns;
    if (entry === NONE || steps.length >= MOST) return undefined;
    const step = new Step(trail, hop[row] ?? 0, ttl[row] ?? 0, entry, arrived);
    steps.push(step);
    return step;
  }
}
