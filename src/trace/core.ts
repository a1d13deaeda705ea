/**
 * The correlator: sightings in, packets out. A pure function of the order of its inputs: no clock, no randomness.
 *
 * A sighting joins an open packet when all that forwarding and NAT leave alone is equal, the topology has a way between
 * the two hops, the TTL fell as that way lowers it, and the addresses are the same or what NAT made of them. Conntrack
 * says what NAT made of them, when it has spoken; until then a join across a router is `unproven`, and teaches the flow
 * table what conntrack would have said. docs/tracing.md tells the rules and their limits.
 */
import type { ConntrackEvent } from "../model/conntrack.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { PacketEvent, TraceEvent, TraceFilter } from "../model/trace.js";
import { AddressBook } from "../packet/address.js";
import { Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { sameInvariants } from "../packet/decode.js";
import { type Cluster, Copies, MAXIMUM_COPIES } from "./copies.js";
import { Endings, type Explain } from "./ending.js";
import { ExchangeBook } from "./exchange.js";
import { sightingFilter, type SightingFilter } from "./filter.js";
import { Direction, Flow } from "./flow.js";
import { FlowIndex } from "./flow-index.js";
import { Latency } from "./latency.js";
import { NONE, Packets, Queue, State } from "./packets.js";
import { isRefusal, refuses } from "./refusal.js";
import { Scene } from "./scene.js";
import { bytesOf, commonBytes, divisible } from "./segment.js";
import { SLACK, Ways } from "./way.js";

export interface CoreOptions {
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  readonly filter: TraceFilter;
  /** Nanoseconds since 1970 that are time 0. */
  readonly epoch: bigint;
  /** Sightings that may be open at once; the oldest packets are given up beyond. Default 262,144. */
  readonly window?: number;
  /** Nanoseconds without a new sighting after which a packet is taken for lost. Default four seconds. */
  readonly timeout?: number;
  /** Finds the cause of a loss; default: what the snapshot's configuration suggests. */
  readonly explain?: Explain;
  /** Takes events as they close, in the order of JSON Lines. */
  readonly emit: (event: TraceEvent) => void;
  /** Takes packets that are still open, each time one of their sightings comes. */
  readonly provisional?: (packet: PacketEvent) => void;
  /** Counts only: no event of a packet is made (benchmarks). */
  readonly countOnly?: boolean;
}

export const noFilter: TraceFilter = { ports: [], hosts: [], protocols: [] };

/** The kernel asks three times for a neighbour, a second apart, while packets wait (neigh mcast_solicit). */
const TIMEOUT = 4e9;
/** How long a packet that arrived may still be refused: the error begins where the packet ended. */
const REFUSAL_WAIT = 50e6;
/** Open packets of one flow that are searched for the other parts of a segment. */
const MAXIMUM_SEARCH = 256;

export class TraceCore {
  readonly columns = new Columns();
  readonly book = new AddressBook();
  readonly #options: CoreOptions;
  readonly #scene: Scene;
  readonly #packets = new Packets();
  readonly #flows: FlowIndex;
  readonly #ways: Ways;
  readonly #latency = new Latency();
  readonly #copies: Copies;
  /** Packets that wait for a sighting; that have arrived; that may be refused all the same. Oldest first. */
  readonly #open = new Queue(this.#packets);
  readonly #arrivals = new Queue(this.#packets);
  readonly #held = new Queue(this.#packets);
  readonly #exchanges: ExchangeBook;
  readonly #endings: Endings;
  readonly #matches: SightingFilter;
  readonly #window: number;
  readonly #timeout: number;
  readonly #seen: number[];
  readonly #dropped: number[];
  #received = 0;
  #now = 0;
  #lastId = 0;
  #rows = 0;
  #lossy = false;
  #ended = false;

  constructor(options: CoreOptions) {
    const { snapshot, hops } = options;
    this.#options = options;
    this.#scene = new Scene(snapshot, hops, this.book);
    this.#exchanges = new ExchangeBook(this.#scene, this.columns, this.book, options.emit);
    this.#flows = new FlowIndex(this.#scene, this.columns, this.book, (keep, give) => {
      this.#packets.hand(give, keep);
      this.#exchanges.unite(keep, give);
    });
    this.#ways = new Ways(this.#scene, this.columns, this.#packets, this.#flows);
    this.#copies = new Copies(this.columns, this.#packets, this.#latency);
    this.#matches = sightingFilter(options.filter, this.columns, this.book, snapshot);
    this.#window = options.window ?? 262_144;
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#seen = hops.map(() => 0);
    this.#dropped = hops.map(() => 0);
    this.#endings = new Endings(
      this.#scene,
      this.columns,
      this.book,
      this.#packets,
      this.#flows.table,
      this.#dropped,
      options,
    );
    options.emit({
      type: "trace",
      version: 1,
      ...(snapshot.lab === undefined ? {} : { lab: snapshot.lab }),
      epoch: options.epoch.toString(),
      hops,
      filter: options.filter,
    });
    for (const node of snapshot.nodes) {
      for (const flow of node.conntrack) this.#flows.conntrack({ kind: "new", node: node.name, flow });
    }
  }

  /** Records received: what `at` of the input log counts. */
  get received(): number {
    return this.#received;
  }

  /** Sightings of packets that are open. */
  get openSightings(): number {
    return this.#rows;
  }

  /** Takes a row of `columns`, with its hop, time and record number set. The core gives it back when its packet closes. */
  record(row: number): void {
    const c = this.columns;
    this.#received++;
    const hop = c.hop[row] ?? 0;
    this.#seen[hop] = (this.#seen[hop] ?? 0) + 1;
    const time = c.time[row] ?? 0;
    if (time > this.#now) this.#now = time;
    this.#expire();
    this.#packets.rows(c.capacity);
    this.#rows++;
    this.#flows.nameFragment(row);
    const entry = this.#flows.entryOf(row);
    if (!this.#join(row, entry) && !this.#joinParts(row, entry)) this.#begin(row, entry);
    if (this.#rows > this.#window) this.#evict();
  }

  conntrack(event: ConntrackEvent): void {
    if (event.kind === "destroy") return;
    const entry = this.#flows.conntrack(event);
    if (entry !== NONE) this.#reconsider(entry);
  }

  /** The wall clock, as nanoseconds since the epoch: lets packets run out of time when nothing comes. */
  tick(time: number): void {
    if (time <= this.#now) return;
    this.#now = time;
    this.#expire();
  }

  /** The tap of a hop lost records. */
  drops(hop: number, records: number): void {
    this.#dropped[hop] = (this.#dropped[hop] ?? 0) + records;
    this.#lossy = true;
  }

  /** Closes everything. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (;;) {
      const next = this.#older(this.#older(this.#held.first, this.#arrivals.first), this.#open.first);
      if (next === NONE) break;
      this.#give(next);
    }
    this.#exchanges.end();
    for (const [hop, name] of this.#scene.names.entries()) {
      this.#options.emit({ type: "hop", hop: name, seen: this.#seen[hop] ?? 0, dropped: this.#dropped[hop] ?? 0 });
    }
    this.#options.emit({ type: "end", time: this.#now, ...this.#endings.totals(), exchanges: this.#exchanges.count });
  }

  // --- joining -------------------------------------------------------------------------------------------------

  /** Joins a row to the open packet that is equal to it. */
  #join(row: number, entry: number): boolean {
    const c = this.columns;
    const packets = this.#packets;
    const fingerprint = c.fingerprint[row] ?? 0;
    let best = NONE;
    let parent = NONE;
    let others: number[] | undefined;
    for (let p = packets.first(fingerprint); p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint || !sameInvariants(c, packets.head[p] ?? 0, row)) continue;
      const from = this.#ways.parentOf(p, row, entry, false);
      if (from === NONE) continue;
      if (best === NONE) {
        best = p;
        parent = from;
      } else (others ??= [best]).push(p);
    }
    if (best === NONE) return false;
    if (others) {
      best = this.#choose(others, row, entry);
      parent = this.#ways.parentOf(best, row, entry, false);
    }
    this.#attach(best, row, entry, parent);
    return true;
  }

  /** Several open packets are equal to a row: for now it goes to the likeliest; `Copies` has the last word. */
  #choose(candidates: readonly number[], row: number, entry: number): number {
    const c = this.columns;
    const flow = entry === NONE ? undefined : this.#flows.table.flow(entry);
    const own = flow ? candidates.filter((packet) => this.#packets.flow[packet] === flow) : [];
    const ports = candidates.filter((packet) => c.sourcePort[this.#packets.head[packet] ?? 0] === c.sourcePort[row]);
    // NAT keeps the source port where it can.
    const likely = own.length > 0 ? own : ports.length > 0 ? ports : candidates;
    const distance = (packet: number): number => {
      const parent = this.#ways.parentOf(packet, row, entry, false);
      const gap = (c.time[row] ?? 0) - (c.time[parent] ?? 0);
      const usual = this.#latency.usual(c.hop[parent] ?? 0, c.hop[row] ?? 0);
      return usual ? Math.abs(gap - usual.gap) : -gap; // the oldest, as long as nothing is known
    };
    const [first = NONE, ...rest] = [...likely].sort((a, b) => distance(a) - distance(b));
    if (this.#decided(first)) return first;
    for (const other of rest) {
      if (this.#decided(other)) continue;
      if (this.#packets.flow[other] === this.#packets.flow[first]) this.#copies.rival(first, other);
      else {
        // Different connections that nothing tells apart behind NAT.
        this.#mark(first, State.ambiguous);
        this.#mark(other, State.ambiguous);
      }
    }
    return first;
  }

  /** Whether a packet has arrived and is not in question any more. */
  #decided(packet: number): boolean {
    return ((this.#packets.state[packet] ?? 0) & State.complete) !== 0 && !this.#copies.of(packet);
  }

  /** Joins a row to the open packets that it carries bytes of: segments of one, or one made of several. */
  #joinParts(row: number, entry: number): boolean {
    const c = this.columns;
    if (entry === NONE || !divisible(c, row)) return false;
    const flow = this.#flows.table.flow(entry);
    if (!flow) return false;
    const reply = this.#flows.table.direction(entry) === Direction.reply;
    const packets = this.#packets;
    const found: number[] = [];
    let searched = 0;
    for (let p = flow.open; p !== NONE && searched < MAXIMUM_SEARCH; p = packets.flowNext[p] ?? NONE, searched++) {
      if ((((packets.state[p] ?? 0) & State.reply) !== 0) !== reply) continue;
      if (commonBytes(c, packets.head[p] ?? 0, row) > 0 && this.#ways.parentOf(p, row, entry, true) !== NONE) {
        found.push(p);
      }
    }
    for (const [index, packet] of found.reverse().entries()) {
      const own = index === 0 ? row : c.copy(row); // one sighting, part of several packets
      if (index > 0) {
        this.#rows++;
        packets.rows(c.capacity);
      }
      this.#mark(packet, State.segmented);
      this.#attach(packet, own, entry, this.#ways.parentOf(packet, own, entry, true));
    }
    return found.length > 0;
  }

  #attach(packet: number, row: number, entry: number, parent: number): void {
    const c = this.columns;
    const packets = this.#packets;
    const flow = packets.flow[packet];
    if (!flow) return;
    this.#ways.insert(packet, row, parent);
    const time = c.time[row] ?? 0;
    if (time > (packets.touched[packet] ?? 0)) packets.touched[packet] = time;
    const state = packets.state[packet] ?? 0;
    const direction = this.#directionOf(packet);
    const learned = this.#flows.learn(flow, direction, row, entry, parent);
    if (learned !== "same") {
      if (learned === "new") this.#mark(packet, State.unproven);
      // Texts are made for the first packets only; the others look the same.
      if (learned === "new" || flow.delivered[direction] === 0) this.#exchanges.translated(flow, row, direction);
    }
    if (!this.#copies.of(packet)) this.#time(packet, row, parent);
    if ((state & State.shown) === 0 && this.#matches(row)) this.#show(packet);
    if ((state & State.complete) === 0) {
      this.#open.remove(packet);
      this.#open.append(packet);
      this.#settle(packet, row);
    }
    this.#report(packet);
  }

  /**
   * Learns how long the gap takes. Where taps lose records, an equal packet may have passed unseen before: a join that
   * took far longer than usual, of a packet without a number of its own, is then a matter of order.
   */
  #time(packet: number, row: number, parent: number): void {
    const c = this.columns;
    const from = c.hop[parent] ?? 0;
    const to = c.hop[row] ?? 0;
    const gap = (c.time[row] ?? 0) - (c.time[parent] ?? 0);
    if (this.#lossy && c.identification[row] === 0 && c.kind[row] !== Kind.echo && c.kind[row] !== Kind.arp) {
      const usual = this.#latency.usual(from, to);
      if (usual && gap > 8 * usual.gap + 1e6) this.#mark(packet, State.ordered);
    }
    this.#latency.note(from, to, gap);
  }

  /** A row that belongs to no open packet begins one. */
  #begin(row: number, entry: number): void {
    const known = entry === NONE ? undefined : this.#flows.table.flow(entry);
    const flow = known ?? new Flow();
    const direction = known ? this.#flows.table.direction(entry) : this.#exchanges.directionOf(row);
    if (!known) this.#flows.enter(row, flow, direction);
    const packet = this.#create(row, flow, direction);
    this.#exchanges.began(flow, row, direction);
    if (this.#matches(row)) this.#show(packet);
    if (isRefusal(this.columns, row)) this.#refuse(packet, flow, direction, row);
    else this.#accept(flow, direction);
    const cluster = this.#rivals(packet, row, flow);
    this.#settle(packet, row);
    this.#report(packet);
    if (cluster && cluster.packets.length > MAXIMUM_COPIES) this.#resolve(cluster);
  }

  #create(row: number, flow: Flow, direction: Direction): number {
    const packet = this.#packets.create(row, this.columns.fingerprint[row] ?? 0, flow, ++this.#lastId);
    this.#packets.touched[packet] = this.columns.time[row] ?? 0;
    if (direction === Direction.reply) this.#mark(packet, State.reply);
    this.#open.append(packet);
    return packet;
  }

  /** Equal packets of the same connection that are on their way as well. */
  #rivals(packet: number, row: number, flow: Flow): Cluster | undefined {
    const c = this.columns;
    const packets = this.#packets;
    const fingerprint = c.fingerprint[row] ?? 0;
    let cluster: Cluster | undefined;
    for (let p = packets.bucketNext[packet] ?? NONE; p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint || packets.flow[p] !== flow) continue;
      if (this.#decided(p)) continue;
      if (sameInvariants(c, packets.head[p] ?? 0, row)) cluster = this.#copies.rival(p, packet);
    }
    return cluster;
  }

  #resolve(cluster: Cluster): void {
    const packets = this.#packets;
    const pattern = cluster.packets[0] ?? NONE;
    const flow = packets.flow[pattern];
    if (!flow) return;
    const reply = this.#directionOf(pattern);
    const resolved = this.#copies.resolve(
      cluster,
      (row) => {
        const packet = this.#create(row, flow, reply);
        this.#exchanges.began(flow, row, reply);
        if ((packets.state[pattern] ?? 0) & State.shown) this.#show(packet);
        return packet;
      },
      (packet) => {
        this.#open.remove(packet);
        packets.remove(packet);
      },
    );
    for (const packet of resolved) this.#settle(packet, packets.tail[packet] ?? 0);
  }

  #refuse(packet: number, flow: Flow, direction: Direction, row: number): void {
    const packets = this.#packets;
    for (let p = flow.open; p !== NONE; p = packets.flowNext[p] ?? NONE) {
      const reply = ((packets.state[p] ?? 0) & State.reply) !== 0;
      if (p === packet || reply === (direction === Direction.reply)) continue;
      if (!refuses(this.columns, row, packets.head[p] ?? 0)) continue;
      const by = this.#endings.refuse(p, row);
      if (!reply) this.#exchanges.refused(flow, by);
    }
  }

  /** An answer that refuses nothing: what came the other way before it will not be refused any more. */
  #accept(flow: Flow, direction: Direction): void {
    const packets = this.#packets;
    const asked = direction === Direction.reply ? Direction.request : Direction.reply;
    for (let p = flow.open; p !== NONE && flow.refusable[asked] > 0; p = packets.flowNext[p] ?? NONE) {
      const state = packets.state[p] ?? 0;
      if ((state & State.refusable) === 0 || this.#directionOf(p) !== asked) continue;
      flow.refusable[asked]--;
      packets.state[p] = state & ~(State.refusable | State.held);
      if ((state & State.held) === 0) continue;
      this.#held.remove(p);
      this.#arrivals.append(p);
    }
  }

  #directionOf(packet: number): Direction {
    return (this.#packets.state[packet] ?? 0) & State.reply ? Direction.reply : Direction.request;
  }

  // --- closing -------------------------------------------------------------------------------------------------

  /** Conntrack has spoken: packets that had seemed to end in a node that translates may be complete. */
  #reconsider(entry: number): void {
    const flow = this.#flows.table.flow(entry);
    const packets = this.#packets;
    for (let p = flow?.open ?? NONE; p !== NONE; p = packets.flowNext[p] ?? NONE) {
      if (((packets.state[p] ?? 0) & State.complete) === 0) this.#settle(p, packets.tail[p] ?? 0);
    }
  }

  /** Lets a packet whose last hop this is wait to be closed. */
  #settle(packet: number, row: number): void {
    if (!this.#arrived(row)) return;
    if ((this.#packets.state[packet] ?? 0) & State.segmented && !this.#whole(packet, row)) return;
    this.#mark(packet, State.complete);
    const cluster = this.#copies.of(packet);
    if (cluster) {
      if (this.#copies.complete(cluster)) this.#resolve(cluster);
      return;
    }
    const c = this.columns;
    const syn = c.kind[row] === Kind.tcp && ((c.flags[row] ?? 0) & (Tcp.syn | Tcp.ack)) === Tcp.syn;
    const flow = this.#packets.flow[packet];
    if (flow && (syn || c.kind[row] === Kind.udp)) {
      this.#mark(packet, State.refusable);
      flow.refusable[this.#directionOf(packet)]++;
    }
    this.#open.remove(packet);
    this.#arrivals.append(packet);
  }

  /** Whether a sighting is the last one that its packet can have. */
  #arrived(row: number): boolean {
    const c = this.columns;
    const scene = this.#scene;
    const hop = c.hop[row] ?? 0;
    if (scene.ports[hop] === 1 || (c.marks[row] ?? 0) & Mark.group) return false;
    const node = scene.nodes[hop] ?? 0;
    const parent = this.#packets.parent[row] ?? NONE;
    if (scene.outward[hop] === 1 && parent !== NONE && scene.nodes[c.hop[parent] ?? 0] === node) return true;
    const family = c.family[row] ?? 0;
    if (family === 0 || !scene.isLocal(node, family, c.destination[row] ?? 0)) return false;
    if (c.kind[row] === Kind.arp || !scene.translates(node)) return true;
    const entry = this.#flows.entryOf(row);
    return entry !== NONE && this.#flows.table.translated(entry) === entry;
  }

  /** Whether the sightings at the hop of `row` carry all the bytes of a packet that was divided. */
  #whole(packet: number, row: number): boolean {
    const c = this.columns;
    const packets = this.#packets;
    const head = packets.head[packet] ?? 0;
    let bytes = 0;
    for (let s = head; s !== NONE; s = packets.next[s] ?? NONE) {
      if (c.hop[s] === c.hop[row]) bytes += commonBytes(c, head, s);
    }
    return bytes >= bytesOf(c, head);
  }

  #expire(): void {
    for (;;) {
      const arrival = this.#arrivals.first;
      const held = this.#held.first;
      const open = this.#open.first;
      if (arrival !== NONE && this.#touched(arrival) + SLACK < this.#now) this.#leave(arrival);
      else if (held !== NONE && this.#touched(held) + REFUSAL_WAIT < this.#now) this.#close(held);
      else if (open !== NONE && this.#touched(open) + this.#timeout < this.#now) this.#give(open);
      else return;
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
    this.#mark(packet, State.held);
    this.#held.append(packet);
  }

  #touched(packet: number): number {
    return this.#packets.touched[packet] ?? 0;
  }

  #older(a: number, b: number): number {
    if (a === NONE) return b;
    if (b === NONE) return a;
    return (this.#packets.id[a] ?? 0) < (this.#packets.id[b] ?? 0) ? a : b;
  }

  #evict(): void {
    while (this.#rows > this.#window) {
      const arrived = this.#older(this.#arrivals.first, this.#held.first);
      const oldest = this.#open.first;
      if (arrived !== NONE) this.#close(arrived);
      else if (oldest === NONE) return;
      else {
        this.#mark(oldest, State.evicted);
        this.#give(oldest);
      }
    }
  }

  /** Nothing more is awaited of a packet; if equal ones are about, that decides all of them first. */
  #give(packet: number): void {
    const cluster = this.#copies.of(packet);
    if (cluster) this.#resolve(cluster);
    else this.#close(packet);
  }

  #close(packet: number): void {
    const packets = this.#packets;
    const state = packets.state[packet] ?? 0;
    (state & State.held ? this.#held : state & State.complete ? this.#arrivals : this.#open).remove(packet);
    const flow = packets.flow[packet];
    if (flow) {
      if (state & State.refusable) flow.refusable[this.#directionOf(packet)]--;
      const event = this.#endings.close(packet, flow);
      if (event) this.#options.emit(event);
      this.#exchanges.closed(flow, this.#directionOf(packet), this.#endings.last, this.#touched(packet));
    }
    this.#rows -= packets.count[packet] ?? 0;
    for (let row = packets.head[packet] ?? NONE; row !== NONE;) {
      const next = packets.next[row] ?? NONE;
      this.columns.release(row);
      row = next;
    }
    packets.remove(packet);
    this.#exchanges.expire(this.#now);
    if (this.#exchanges.stale(this.#flows.table.size)) this.#flows.table.sweep((one) => !one.ended);
  }

  #show(packet: number): void {
    this.#mark(packet, State.shown);
    const flow = this.#packets.flow[packet];
    if (flow) flow.shown = true;
  }

  #mark(packet: number, bit: number): void {
    this.#packets.state[packet] = (this.#packets.state[packet] ?? 0) | bit;
  }

  #report(packet: number): void {
    const { provisional } = this.#options;
    if (!provisional || ((this.#packets.state[packet] ?? 0) & State.shown) === 0) return;
    const flow = this.#packets.flow[packet];
    if (flow) provisional(this.#endings.provisional(packet, flow));
  }
}
