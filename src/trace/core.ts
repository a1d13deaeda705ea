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
import type { LogEvent, PacketEvent, PacketsTold, TraceEvent, TraceFilter } from "../model/trace.js";
import { AddressBook } from "../packet/address.js";
import { Columns } from "../packet/columns.js";
import { Copies } from "./copies.js";
import { Endings, type Explain } from "./ending.js";
import { ExchangeBook } from "./exchange.js";
import { sightingFilter } from "./filter.js";
import { FlowIndex } from "./flow-index.js";
import { Gaps } from "./gaps.js";
import { Joiner } from "./joiner.js";
import { Latency } from "./latency.js";
import { Lifetimes } from "./lifetime.js";
import { NONE, Packets, State } from "./packets.js";
import { PartIndex } from "./part-index.js";
import { longestDelay } from "./patience.js";
import { Scene } from "./scene.js";
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
  /** The hops stand in the order of the way, and nothing else is known of the network: captures that others made. */
  readonly bare?: boolean;
  /** Default: all. */
  readonly tell?: PacketsTold;
}

export const noFilter: TraceFilter = { ports: [], hosts: [], protocols: [] };

/** The kernel asks three times for a neighbour, a second apart, while packets wait (neigh mcast_solicit). */
const TIMEOUT = 4e9;

export class TraceCore {
  readonly columns = new Columns();
  readonly book = new AddressBook();
  readonly #options: CoreOptions;
  readonly #scene: Scene;
  readonly #packets = new Packets();
  readonly #flows: FlowIndex;
  readonly #exchanges: ExchangeBook;
  readonly #endings: Endings;
  readonly #lifetimes: Lifetimes;
  readonly #joiner: Joiner;
  readonly #window: number;
  readonly #seen: number[];
  readonly #losses: TapLosses;
  readonly #gaps: Gaps;
  #received = 0;
  #ended = false;

  constructor(options: CoreOptions) {
    const { snapshot, hops, provisional } = options;
    const { columns, book } = this;
    const packets = this.#packets;
    const scene = new Scene(snapshot, hops, book, options.bare);
    const exchanges = new ExchangeBook(scene, columns, book, options.emit);
    const flows = new FlowIndex(scene, columns, book, (keep, give, turned) => {
      packets.hand(give, keep, turned);
      exchanges.unite(keep, give, turned);
    });
    const delay = longestDelay(snapshot, hops);
    const timeout = options.timeout ?? TIMEOUT + delay;
    const losses = new TapLosses(hops.length, timeout);
    const gaps = new Gaps(columns, packets, hops.length);
    const latency = new Latency(hops.length);
    const copies = new Copies(columns, packets, latency, scene.reach);
    const parts = new PartIndex(columns, packets);
    const endings = new Endings(scene, columns, book, packets, flows, losses, gaps, options);
    this.#options = options;
    this.#scene = scene;
    this.#exchanges = exchanges;
    this.#flows = flows;
    this.#losses = losses;
    this.#gaps = gaps;
    this.#endings = endings;
    this.#window = options.window ?? 262_144;
    this.#seen = hops.map(() => 0);
    this.#lifetimes = new Lifetimes(
      {
        scene,
        columns,
        packets,
        parts,
        flows,
        copies,
        exchanges,
        endings,
        resolve: (cluster) => this.#joiner.resolve(cluster),
        emit: options.emit,
      },
      timeout,
      delay,
    );
    this.#joiner = new Joiner(
      {
        scene,
        columns,
        packets,
        parts,
        flows,
        ways: new Ways(scene, columns, packets, flows),
        latency,
        copies,
        exchanges,
        losses,
        matches: sightingFilter(options.filter, columns, book, snapshot),
        report: provisional && ((packet) => this.#report(packet, provisional)),
      },
      this.#lifetimes,
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
    this.#joiner.take(row);
    this.#lifetimes.evict(this.#window);
    if (this.#endings.full) this.end();
  }

  conntrack(event: ConntrackEvent): void {
    if (this.#ended) return;
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

  /** Every tap has begun by `time`: what was seen last before then may have passed others unseen. */
  listening(time: number): void {
    if (this.#ended) return;
    this.#losses.listen(time);
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

  /** The tap of a hop does not answer: others go on without what it saw from `since` on. */
  silent(hop: number, since: number): void {
    if (this.#ended) return;
    this.#losses.silence(hop, since);
  }

  /** It answers again, and has delivered what it saw before `time`. */
  answers(hop: number, time: number): void {
    if (this.#ended) return;
    this.#losses.answer(hop, time);
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
      const silent = this.#losses.silent(hop, this.#lifetimes.now);
      this.#options.emit({
        type: "hop",
        hop: name,
        seen: this.#seen[hop] ?? 0,
        dropped: this.#losses.lost(hop),
        missing: this.#gaps.missing(hop),
        next: this.#gaps.after(hop).map((next) => ({ ...next, hop: this.#scene.names[next.hop] ?? "" })),
        ...(silent > 0 ? { silent } : {}),
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

  #report(packet: number, provisional: (event: PacketEvent) => void): void {
    if (((this.#packets.state[packet] ?? 0) & State.shown) === 0) return;
    const flow = this.#packets.flow[packet];
    if (flow) provisional(this.#endings.provisional(packet, flow));
  }
}
