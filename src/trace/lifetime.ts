/**
 * How long packets stay open. One waits for its next sighting until it runs out of time or out of the window; one that
 * arrived waits a moment for sightings of the same stamp and, where it asked for something, for a refusal. Then it
 * closes: its verdict is told and its rows are given back.
 */
import type { TraceEvent } from "../model/trace.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import type { Cluster, Copies } from "./copies.js";
import type { Endings } from "./ending.js";
import type { ExchangeBook } from "./exchange.js";
import { Direction, type Flow, opposite } from "./flow.js";
import type { FlowIndex } from "./flow-index.js";
import { NONE, type Packets, Queue, State } from "./packets.js";
import type { PartIndex } from "./part-index.js";
import { refuses } from "./refusal.js";
import type { Scene } from "./scene.js";
import { SLACK } from "./way.js";
import { hopsOf, isWholeAt } from "./whole.js";

export interface LifetimeParts {
  readonly scene: Scene;
  readonly columns: Columns;
  readonly packets: Packets;
  readonly parts: PartIndex;
  readonly flows: FlowIndex;
  readonly copies: Copies;
  readonly exchanges: ExchangeBook;
  readonly endings: Endings;
  /** Decides which sighting is of which of some equal packets. */
  readonly resolve: (cluster: Cluster) => void;
  readonly emit: (event: TraceEvent) => void;
}

/** How long a packet that arrived may still be refused: the error begins where the packet ended. */
const REFUSAL_WAIT = 50e6;

export class Lifetimes {
  /** Sightings of packets that are open. */
  sightings = 0;
  /** Trace time in nanoseconds: the latest stamp, or the wall clock where that is later. */
  now = 0;
  readonly #parts: LifetimeParts;
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #timeout: number;
  readonly #refusalWait: number;
  readonly #holdBack: number;
  /** Packets that wait for a sighting; that have arrived; that may be refused all the same. Oldest first. */
  readonly #open: Queue;
  readonly #arrivals: Queue;
  readonly #held: Queue;

  /**
   * @param timeout nanoseconds without a new sighting after which a packet is taken for lost
   * @param delay nanoseconds that a refusal may be held back by a link
   */
  constructor(parts: LifetimeParts, timeout: number, delay: number) {
    this.#parts = parts;
    this.#columns = parts.columns;
    this.#packets = parts.packets;
    this.#timeout = timeout;
    this.#holdBack = REFUSAL_WAIT + delay;
    // How far away those are who refuse is not known of a network that nobody has described.
    this.#refusalWait = parts.scene.bare ? timeout : REFUSAL_WAIT + delay;
    this.#open = new Queue(parts.packets);
    this.#arrivals = new Queue(parts.packets);
    this.#held = new Queue(parts.packets);
  }

  /** A packet was seen for the first time. */
  begin(packet: number): void {
    this.#open.append(packet);
  }

  /** A packet that has not arrived was seen again: its time begins anew. */
  renew(packet: number): void {
    this.#open.remove(packet);
    this.#open.append(packet);
  }

  /** Whether a packet was not seen for longer than links hold packets back. */
  isQuiet(packet: number, time: number): boolean {
    return this.#touched(packet) + this.#holdBack < time;
  }

  /** Takes away a packet whose sightings went to others. */
  discard(packet: number): void {
    this.#open.remove(packet);
    this.#parts.parts.remove(packet);
    this.#packets.remove(packet);
  }

  // --- arriving ------------------------------------------------------------------------------------------------

  /** Lets a packet whose last hop this is wait to be closed. */
  settle(packet: number, row: number): void {
    if (this.#parts.scene.bare ? this.#seenEverywhere(packet) : this.hasArrived(row)) this.arrive(packet, row);
  }

  /** A packet was seen at its last hop. */
  arrive(packet: number, row: number): void {
    const c = this.#columns;
    if ((this.#packets.state[packet] ?? 0) & State.segmented && !isWholeAt(c, this.#packets, packet, row)) return;
    this.#packets.mark(packet, State.complete);
    const { copies, resolve } = this.#parts;
    const cluster = copies.of(packet);
    if (cluster) {
      if (copies.complete(cluster)) resolve(cluster);
      return;
    }
    const syn = c.kind[row] === Kind.tcp && ((c.flags[row] ?? 0) & (Tcp.syn | Tcp.ack)) === Tcp.syn;
    const flow = this.#packets.flow[packet];
    if (flow && (syn || c.kind[row] === Kind.udp)) {
      this.#packets.mark(packet, State.refusable);
      flow.refusable[this.#packets.direction(packet)]++;
    }
    this.#open.remove(packet);
    this.#arrivals.append(packet);
  }

  /** Conntrack has spoken: packets that had seemed to end in a node that translates may be complete. */
  reconsider(entry: number): void {
    const flow = this.#parts.flows.table.flow(entry);
    const packets = this.#packets;
    for (let p = flow?.open ?? NONE; p !== NONE; p = packets.flowNext[p] ?? NONE) {
      if (((packets.state[p] ?? 0) & State.complete) === 0) this.settle(p, packets.tail[p] ?? 0);
    }
  }

  /** Of a network that nobody has described that is all: a place that a packet passes twice is not foreseen. */
  #seenEverywhere(packet: number): boolean {
    const { length } = this.#parts.scene.hops;
    if (length === 1 || (this.#packets.count[packet] ?? 0) < length) return false;
    return hopsOf(this.#columns, this.#packets, packet).size === length;
  }

  /** Whether a sighting is the last one that its packet can have. */
  hasArrived(row: number): boolean {
    const c = this.#columns;
    const { scene, flows } = this.#parts;
    const hop = c.hop[row] ?? 0;
    if (scene.ports[hop] === 1 || (c.marks[row] ?? 0) & Mark.group) return false;
    const node = scene.nodes[hop] ?? 0;
    const parent = this.#packets.parent[row] ?? NONE;
    if (scene.outward[hop] === 1 && parent !== NONE && scene.nodes[c.hop[parent] ?? 0] === node) return true;
    const family = c.family[row] ?? 0;
    if (family === 0 || !scene.isLocal(node, family, c.destination[row] ?? 0)) return false;
    if (c.kind[row] === Kind.arp || !scene.translates(node)) return true;
    const entry = flows.entryOf(row);
    return entry !== NONE && flows.table.isSure(entry) && flows.table.translated(entry) === entry;
  }

  // --- being refused -------------------------------------------------------------------------------------------

  /** `packet`, seen as `row`, is an error or a RST: what it answers was refused. */
  refuse(packet: number, flow: Flow, row: number): void {
    const packets = this.#packets;
    const { endings, exchanges } = this.#parts;
    const direction = packets.direction(packet);
    for (let p = flow.open; p !== NONE; p = packets.flowNext[p] ?? NONE) {
      const asked = packets.direction(p);
      if (asked === direction || !refuses(this.#columns, row, packets.head[p] ?? 0)) continue;
      const by = endings.refuse(p, row);
      if (asked === Direction.request) exchanges.refused(flow, by);
    }
  }

  /** An answer that refuses nothing: what came the other way before it will not be refused any more. */
  accept(flow: Flow, direction: Direction): void {
    const asked = opposite(direction);
    if (flow.refusable[asked] > 0) this.#letGo(flow, asked);
  }

  #letGo(flow: Flow, asked: Direction): void {
    const packets = this.#packets;
    for (let p = flow.open; p !== NONE && flow.refusable[asked] > 0; p = packets.flowNext[p] ?? NONE) {
      const state = packets.state[p] ?? 0;
      if ((state & State.refusable) === 0 || packets.direction(p) !== asked) continue;
      flow.refusable[asked]--;
      packets.state[p] = state & ~(State.refusable | State.held);
      if ((state & State.held) === 0) continue;
      this.#held.remove(p);
      this.#arrivals.append(p);
    }
  }

  // --- closing -------------------------------------------------------------------------------------------------

  /** Closes what has waited long enough. @param time as `now` */
  advance(time: number): void {
    if (time > this.now) this.now = time;
    this.#expire();
  }

  /** Apart from `advance`, which is then small enough to be inlined: its time needs no box. */
  #expire(): void {
    while (!this.#parts.endings.full) {
      const arrival = this.#arrivals.first;
      const held = this.#held.first;
      const open = this.#open.first;
      if (arrival !== NONE && this.#touched(arrival) + SLACK < this.now) this.#leave(arrival);
      else if (held !== NONE && this.#touched(held) + this.#refusalWait < this.now) this.#close(held);
      else if (open !== NONE && this.#touched(open) + this.#timeout < this.now) this.#give(open);
      else return;
    }
  }

  /** Whether something would close at this time. */
  due(time: number): boolean {
    const [arrival, held, open] = [this.#arrivals.first, this.#held.first, this.#open.first];
    return (
      (arrival !== NONE && this.#touched(arrival) + SLACK < time) ||
      (held !== NONE && this.#touched(held) + this.#refusalWait < time) ||
      (open !== NONE && this.#touched(open) + this.#timeout < time)
    );
  }

  /** Closes the oldest packets, those that arrived first, until no more than `window` sightings are open. */
  evict(window: number): void {
    while (this.sightings > window && !this.#parts.endings.full) {
      const arrived = this.#older(this.#arrivals.first, this.#held.first);
      const oldest = this.#open.first;
      if (arrived !== NONE) this.#close(arrived);
      else if (oldest === NONE) return;
      else {
        this.#packets.mark(oldest, State.evicted);
        this.#give(oldest);
      }
    }
  }

  /** Closes everything. */
  end(): void {
    while (!this.#parts.endings.full) {
      const next = this.#older(this.#older(this.#held.first, this.#arrivals.first), this.#open.first);
      if (next === NONE) return;
      this.#give(next);
    }
  }

  /** No further sighting of a packet is awaited: it closes, or is held for a refusal. */
  #leave(packet: number): void {
    if (((this.#packets.state[packet] ?? 0) & State.refusable) === 0) {
      this.#close(packet);
      return;
    }
    this.#arrivals.remove(packet);
    this.#packets.unhash(packet);
    this.#parts.parts.remove(packet);
    this.#packets.mark(packet, State.held);
    this.#held.append(packet);
  }

  /** Nothing more is awaited of a packet; if equal ones are about, that decides all of them first. */
  #give(packet: number): void {
    const cluster = this.#parts.copies.of(packet);
    if (cluster) this.#parts.resolve(cluster);
    else this.#close(packet);
  }

  #close(packet: number): void {
    const packets = this.#packets;
    const { parts, flows, exchanges, endings, emit } = this.#parts;
    const state = packets.state[packet] ?? 0;
    (state & State.held ? this.#held : state & State.complete ? this.#arrivals : this.#open).remove(packet);
    const flow = packets.flow[packet];
    if (flow) {
      const direction = packets.direction(packet);
      if (state & State.refusable) flow.refusable[direction]--;
      const event = endings.close(packet, flow);
      if (event) emit(event);
      if (state & State.shown) flow.shown = true;
      exchanges.closed(flow, direction, endings.last, this.#touched(packet));
    }
    this.sightings -= packets.count[packet] ?? 0;
    for (let row = packets.head[packet] ?? NONE; row !== NONE;) {
      const next = packets.next[row] ?? NONE;
      this.#columns.release(row);
      row = next;
    }
    parts.remove(packet);
    packets.remove(packet);
    exchanges.expire(this.now);
    if (exchanges.stale(flows.table.size)) flows.sweep();
  }

  #touched(packet: number): number {
    return this.#packets.touched[packet] ?? 0;
  }

  #older(a: number, b: number): number {
    if (a === NONE) return b;
    if (b === NONE) return a;
    return (this.#packets.id[a] ?? 0) < (this.#packets.id[b] ?? 0) ? a : b;
  }
}
