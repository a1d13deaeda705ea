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
import type { LogEvent, PacketEvent, TraceEvent, TraceFilter } from "../model/trace.js";
import { AddressBook } from "../packet/address.js";
import { Columns, Kind, Mark } from "../packet/columns.js";
import { sameInvariants } from "../packet/fingerprint.js";
import { type Cluster, Copies, MAXIMUM_COPIES } from "./copies.js";
import { ofOneDivision } from "./datagram.js";
import { Endings, type Explain } from "./ending.js";
import { ExchangeBook } from "./exchange.js";
import { sightingFilter, type SightingFilter } from "./filter.js";
import { Direction, Flow } from "./flow.js";
import { FlowIndex } from "./flow-index.js";
import { Latency } from "./latency.js";
import { Lifetimes } from "./lifetime.js";
import { NONE, Packets, State } from "./packets.js";
import { longestDelay } from "./patience.js";
import { isRefusal } from "./refusal.js";
import { Scene } from "./scene.js";
import { commonBytes, divisible } from "./segment.js";
import { ofOneSending } from "./sending.js";
import { TapLosses } from "./tap-losses.js";
import { Ways } from "./way.js";

export interface CoreOptions {
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  readonly filter: TraceFilter;
  /** Nanoseconds since 1970 that are time 0. */
  readonly epoch: bigint;
  /** Sightings that may be open at once; the oldest packets are given up beyond. Default 262,144. */
  readonly window?: number;
  /** Nanoseconds without a new sighting after which a packet is taken for lost. Default: 4 s and the longest delay of a gap. */
  readonly timeout?: number;
  /** Ends the trace once so many packets have been told: what is open then is not told. Default: none. */
  readonly count?: number;
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
  readonly #exchanges: ExchangeBook;
  readonly #endings: Endings;
  readonly #lifetimes: Lifetimes;
  readonly #matches: SightingFilter;
  readonly #window: number;
  readonly #seen: number[];
  readonly #losses: TapLosses;
  #received = 0;
  #lastId = 0;
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
    this.#seen = hops.map(() => 0);
    this.#losses = new TapLosses(hops.length);
    this.#endings = new Endings(
      this.#scene,
      this.columns,
      this.book,
      this.#packets,
      this.#flows.table,
      this.#losses,
      options,
    );
    const delay = longestDelay(snapshot, hops);
    this.#lifetimes = new Lifetimes(
      {
        scene: this.#scene,
        columns: this.columns,
        packets: this.#packets,
        flows: this.#flows,
        copies: this.#copies,
        exchanges: this.#exchanges,
        endings: this.#endings,
        resolve: (cluster) => this.#resolve(cluster),
        emit: options.emit,
      },
      options.timeout ?? TIMEOUT + delay,
      delay,
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

  /** Everything has been told: further input is taken and means nothing. */
  get over(): boolean {
    return this.#ended;
  }

  /** Sightings of packets that are open. */
  get openSightings(): number {
    return this.#lifetimes.sightings;
  }

  /** Takes a row of `columns`, with its hop, time and record number set. The core gives it back when its packet closes. */
  record(row: number): void {
    const c = this.columns;
    if (this.#ended) {
      c.release(row);
      return;
    }
    this.#received++;
    const hop = c.hop[row] ?? 0;
    this.#seen[hop] = (this.#seen[hop] ?? 0) + 1;
    this.#lifetimes.advance(c.time[row] ?? 0);
    this.#packets.rows(c.capacity);
    this.#lifetimes.sightings++;
    this.#flows.nameFragment(row);
    if (c.kind[row] === Kind.udp && (c.length[row] ?? 0) > (this.#scene.longest[hop] ?? Infinity))
      c.marks[row] = (c.marks[row] ?? 0) | Mark.oversize;
    const entry = this.#flows.entryOf(row);
    if (!this.#join(row, entry) && !this.#joinParts(row, entry)) this.#begin(row, entry);
    this.#lifetimes.evict(this.#window);
    if (this.#endings.full) this.end();
  }

  conntrack(event: ConntrackEvent): void {
    if (this.#ended || event.kind === "destroy") return;
    const entry = this.#flows.conntrack(event);
    if (entry !== NONE) this.#lifetimes.reconsider(entry);
  }

  /** Whether `tick` with this time would change anything: a packet would close, or an exchange be told. */
  due(time: number): boolean {
    return !this.#ended && (this.#lifetimes.due(time) || this.#exchanges.due(time));
  }

  /** The wall clock, as nanoseconds since the epoch: lets packets run out of time when nothing comes. */
  tick(time: number): void {
    if (this.#ended || time <= this.#lifetimes.now) return;
    this.#lifetimes.advance(time);
    this.#exchanges.expire(time);
    if (this.#endings.full) this.end();
  }

  /** The tap of a hop lost records. */
  drops(hop: number, records: number): void {
    if (this.#ended) return;
    this.#losses.lose(hop, records);
  }

  /** The tap of a hop ended before the trace. */
  died(hop: number): void {
    if (this.#ended) return;
    this.#losses.die(hop);
  }

  /** A container wrote a line: told behind the packets that have come to their end by then. */
  line(line: LogEvent): void {
    if (this.#ended) return;
    this.#lifetimes.advance(line.time);
    if (this.#endings.full) this.end();
    else this.#options.emit(line);
  }

  /** Closes everything; after `count` packets, tells only what those have shown. */
  end(): void {
    if (this.#ended) return;
    this.#lifetimes.end();
    this.#ended = true;
    this.#exchanges.end(this.#endings.full);
    for (const [hop, name] of this.#scene.names.entries()) {
      this.#options.emit({
        type: "hop",
        hop: name,
        seen: this.#seen[hop] ?? 0,
        dropped: this.#losses.lost(hop),
        ...(this.#losses.died(hop) ? { died: true } : {}),
      });
    }
    this.#options.emit({
      type: "end",
      time: this.#lifetimes.now,
      ...this.#endings.totals(),
      exchanges: this.#exchanges.count,
    });
  }

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
        this.#packets.mark(first, State.ambiguous);
        this.#packets.mark(other, State.ambiguous);
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
    const distance = (packet: number): number =>
      this.#scene.reach.distance(c.hop[this.#ways.parentOf(packet, row, entry, true)] ?? 0, c.hop[row] ?? 0);
    const parts = ofOneSending(c, packets, row, ofOneDivision(c, packets, row, found.reverse()), distance);
    for (const [index, packet] of parts.entries()) {
      const own = index === 0 ? row : c.copy(row); // one sighting, part of several packets
      if (index > 0) {
        this.#lifetimes.sightings++;
        packets.rows(c.capacity);
      }
      this.#packets.mark(packet, State.segmented);
      this.#attach(packet, own, entry, this.#ways.parentOf(packet, own, entry, true));
    }
    return parts.length > 0;
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
    const direction = this.#packets.direction(packet);
    const learned = this.#flows.learn(flow, direction, row, entry, parent);
    if (learned !== "same") {
      if (learned === "new") this.#packets.mark(packet, State.unproven);
      // Texts are made for the first packets only; the others look the same.
      if (learned === "new" || flow.delivered[direction] === 0) this.#exchanges.translated(flow, row, direction);
    }
    if (!this.#copies.of(packet)) this.#time(packet, row, parent);
    if ((state & State.shown) === 0 && this.#matches(row)) this.#show(packet);
    if ((state & State.complete) === 0) {
      this.#lifetimes.renew(packet);
      this.#lifetimes.settle(packet, row);
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
    if (this.#losses.any && c.identification[row] === 0 && c.kind[row] !== Kind.echo && c.kind[row] !== Kind.arp) {
      const usual = this.#latency.usual(from, to);
      if (usual && gap > 8 * usual.gap + 1e6) this.#packets.mark(packet, State.ordered);
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
    if (isRefusal(this.columns, row)) this.#lifetimes.refuse(packet, flow, row);
    else this.#lifetimes.accept(flow, direction);
    const cluster = this.#rivals(packet, row, flow);
    this.#lifetimes.settle(packet, row);
    this.#report(packet);
    if (cluster && cluster.packets.length > MAXIMUM_COPIES) this.#resolve(cluster);
  }

  #create(row: number, flow: Flow, direction: Direction): number {
    const packet = this.#packets.create(row, this.columns.fingerprint[row] ?? 0, flow, ++this.#lastId);
    this.#packets.touched[packet] = this.columns.time[row] ?? 0;
    if (direction === Direction.reply) this.#packets.mark(packet, State.reply);
    this.#lifetimes.begin(packet);
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
    const reply = this.#packets.direction(pattern);
    const resolved = this.#copies.resolve(
      cluster,
      (row) => {
        const packet = this.#create(row, flow, reply);
        this.#exchanges.began(flow, row, reply);
        if ((packets.state[pattern] ?? 0) & State.shown) this.#show(packet);
        return packet;
      },
      (packet) => this.#lifetimes.discard(packet),
    );
    for (const packet of resolved) this.#lifetimes.settle(packet, packets.tail[packet] ?? 0);
  }

  #show(packet: number): void {
    this.#packets.mark(packet, State.shown);
  }

  #report(packet: number): void {
    const { provisional } = this.#options;
    if (!provisional || ((this.#packets.state[packet] ?? 0) & State.shown) === 0) return;
    const flow = this.#packets.flow[packet];
    if (flow) provisional(this.#endings.provisional(packet, flow));
  }
}
