/**
 * The correlator: sightings in, packets out. A pure function of the order of its inputs: no clock, no randomness.
 *
 * A sighting joins an open packet when all that forwarding and NAT leave alone is equal, the topology has a way between
 * the two hops, the TTL fell as that way lowers it, and the addresses are the same or what NAT made of them. Conntrack
 * says what NAT made of them, when it has spoken; until then a join across a router is `unproven`, and teaches the flow
 * table what conntrack would have said. docs/tracing.md tells the rules and their limits.
 */
import type { ConntrackEvent, Tuple } from "../model/conntrack.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { PacketEvent, TraceEvent, TraceFilter } from "../model/trace.js";
import { parseAddress } from "../path/prefix.js";
import { AddressBook } from "../packet/address.js";
import { Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { sameInvariants } from "../packet/decode.js";
import { type Explain, Endings } from "./ending.js";
import { ExchangeBook } from "./exchange.js";
import { sightingFilter, type SightingFilter } from "./filter.js";
import { Direction, Flow, type FlowKey, FlowTable, reversed } from "./flow.js";
import { NONE, Packets, Queue, State } from "./packets.js";
import { Scene } from "./scene.js";

export interface CoreOptions {
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  readonly filter: TraceFilter;
  /** Nanoseconds since 1970 that are time 0. */
  readonly epoch: bigint;
  /** Sightings that may be open at once; the oldest packets are given up beyond. Default 262,144. */
  readonly window?: number;
  /** Nanoseconds without a new sighting after which a packet is taken for lost. Default one second. */
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

const SECOND = 1e9;
/** How long a packet that arrived may still be refused: the error begins where the packet ended. */
const REFUSAL_WAIT = 50e6;
/**
 * Stamps of two hops may be this far out of order (nanoseconds): a packet that arrived waits as long for sightings that
 * carry the same stamp, or an older one.
 */
const SLACK = 50_000;

export class TraceCore {
  readonly columns = new Columns();
  readonly book = new AddressBook();
  readonly #options: CoreOptions;
  readonly #scene: Scene;
  readonly #flows = new FlowTable();
  readonly #packets = new Packets();
  /** Packets that wait for a sighting; that have arrived; that have arrived and may be refused. Oldest first. */
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
  #ended = false;

  constructor(options: CoreOptions) {
    this.#options = options;
    this.#scene = new Scene(options.snapshot, options.hops, this.book);
    this.#exchanges = new ExchangeBook(this.#scene, this.columns, this.book, options.emit);
    this.#matches = sightingFilter(options.filter, this.columns, this.book);
    this.#window = options.window ?? 262_144;
    this.#timeout = options.timeout ?? SECOND;
    this.#seen = options.hops.map(() => 0);
    this.#dropped = options.hops.map(() => 0);
    this.#endings = new Endings(
      this.#scene,
      this.columns,
      this.book,
      this.#packets,
      this.#flows,
      this.#dropped,
      options,
    );
    const { lab } = options.snapshot;
    options.emit({
      type: "trace",
      version: 1,
      ...(lab === undefined ? {} : { lab }),
      epoch: options.epoch.toString(),
      hops: options.hops,
      filter: options.filter,
    });
    for (const node of options.snapshot.nodes) {
      for (const flow of node.conntrack) this.#enterConntrack({ kind: "new", node: node.name, flow });
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
    const entry = this.#entryOf(row);
    if (!this.#join(row, entry)) this.#begin(row, entry);
    if (this.#rows > this.#window) this.#evict();
  }

  conntrack(event: ConntrackEvent): void {
    if (event.kind === "destroy") return;
    const entry = this.#enterConntrack(event);
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
  }

  /** Closes everything. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (;;) {
      const next = this.#older(this.#older(this.#held.first, this.#arrivals.first), this.#open.first);
      if (next === NONE) break;
      this.#close(next);
    }
    this.#exchanges.end();
    for (const [hop, name] of this.#scene.names.entries()) {
      this.#options.emit({ type: "hop", hop: name, seen: this.#seen[hop] ?? 0, dropped: this.#dropped[hop] ?? 0 });
    }
    this.#options.emit({ type: "end", time: this.#now, ...this.#endings.totals(), exchanges: this.#exchanges.count });
  }

  // --- joining -------------------------------------------------------------------------------------------------

  #join(row: number, entry: number): boolean {
    const c = this.columns;
    const packets = this.#packets;
    const fingerprint = c.fingerprint[row] ?? 0;
    let best = NONE;
    let parent = NONE;
    let candidates = 0;
    for (let p = packets.first(fingerprint); p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint || !sameInvariants(c, packets.head[p] ?? 0, row)) continue;
      const from = this.#parentOf(p, row, entry);
      if (from === NONE) continue;
      candidates++;
      // The list has the youngest packet first.
      if (best === NONE) {
        best = p;
        parent = from;
      }
    }
    if (best === NONE) return false;
    if (candidates > 1) this.#mark(best, State.ordered);
    this.#attach(best, row, entry, parent);
    return true;
  }

  /** The sighting of a packet that a row came from, NONE where the row cannot be of this packet. */
  #parentOf(packet: number, row: number, entry: number): number {
    const c = this.columns;
    const packets = this.#packets;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    const ttl = c.ttl[row] ?? 0;
    const time = c.time[row] ?? 0;
    const kind = c.kind[row];
    const plain = kind === Kind.arp || kind === Kind.frame;
    let best = NONE;
    let bestDistance = 255;
    for (let s = packets.head[packet] ?? NONE; s !== NONE; s = packets.next[s] ?? NONE) {
      const lowered = (c.ttl[s] ?? 0) - ttl;
      const same = this.#sameTuple(s, row);
      const from = c.hop[s] ?? 0;
      if (from === hop && lowered === 0 && same) return NONE; // another copy of it
      const distance = from === hop ? 1 : reach.distance(from, hop);
      if (distance === 255 || distance > bestDistance) continue;
      const routes = reach.routes(from, hop);
      if (
        lowered < 0
          ? time - (c.time[s] ?? 0) > SLACK || routes > -lowered
          : lowered === 0
            ? routes > 0
            : routes > lowered
      ) {
        continue;
      }
      if (!same && (plain || lowered === 0 || !this.#translatable(s, entry, hop))) continue;
      bestDistance = distance;
      best = s;
    }
    return best;
  }

  #sameTuple(a: number, b: number): boolean {
    const c = this.columns;
    if (c.sourcePort[a] !== c.sourcePort[b] || c.destinationPort[a] !== c.destinationPort[b]) return false;
    if (c.kind[a] === Kind.icmpError) {
      return (
        c.innerSource[a] === c.innerSource[b] &&
        c.innerDestination[a] === c.innerDestination[b] &&
        c.destination[a] === c.destination[b]
      );
    }
    return c.source[a] === c.source[b] && c.destination[a] === c.destination[b];
  }

  /** Whether NAT may have made the tuple of `entry` from that of sighting `s`: conntrack's word, else perhaps. */
  #translatable(s: number, entry: number, hop: number): boolean {
    const before = this.#lookup(s, this.#scene.nodes[hop] ?? 0);
    if (before === NONE) return true;
    const expected = this.#flows.translated(before);
    return expected === NONE || expected === entry;
  }

  #attach(packet: number, row: number, entry: number, parent: number): void {
    const c = this.columns;
    const packets = this.#packets;
    const after = this.#placeFor(packet, row, parent);
    if (after === NONE) {
      packets.parent[packets.head[packet] ?? 0] = row;
      packets.parent[row] = NONE;
    } else {
      packets.parent[row] = after;
      // What came from there comes from here now, if this one lies between.
      const follower = packets.next[after] ?? NONE;
      if (follower !== NONE && packets.parent[follower] === after && c.time[follower] === c.time[row]) {
        packets.parent[follower] = row;
      }
    }
    packets.insert(packet, row, after);
    const time = c.time[row] ?? 0;
    if (time > (packets.touched[packet] ?? 0)) packets.touched[packet] = time;
    this.#learn(packet, row, entry, parent);
    const state = packets.state[packet] ?? 0;
    if ((state & State.shown) === 0 && this.#matches(row)) this.#show(packet);
    if (state & State.complete) {
      this.#report(packet);
      return;
    }
    this.#open.remove(packet);
    this.#open.append(packet);
    this.#settle(packet, row);
  }

  /** The sighting that a new one stands behind: its parent, or the one before that where stamps tie. */
  #placeFor(packet: number, row: number, parent: number): number {
    const c = this.columns;
    const packets = this.#packets;
    if (parent !== packets.tail[packet]) {
      // A branch of a tree goes last; a sighting that lies upstream of the first one goes first.
      if ((c.ttl[row] ?? 0) > (c.ttl[parent] ?? 0)) return packets.parent[parent] ?? NONE;
      return this.#between(row, parent) ? parent : (packets.tail[packet] ?? NONE);
    }
    const gap = (c.time[row] ?? 0) - (c.time[parent] ?? 0);
    if (gap > 0) return parent;
    // The same stamp (a packet that a bridge passes up keeps that of its port), or out of order.
    if ((c.ttl[row] ?? 0) > (c.ttl[parent] ?? 0)) return packets.parent[parent] ?? NONE;
    const before = packets.parent[parent] ?? NONE;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    const parentHop = c.hop[parent] ?? 0;
    if (before !== NONE) {
      const first = c.hop[before] ?? 0;
      const shorter =
        reach.distance(first, hop) + reach.distance(hop, parentHop) <
        reach.distance(first, parentHop) + reach.distance(parentHop, hop);
      return shorter ? before : parent;
    }
    return this.#comesFirst(row, parent) ? NONE : parent;
  }

  /** A row whose parent is not the last sighting, but which has the stamp of the one behind its parent: between them. */
  #between(row: number, parent: number): boolean {
    const c = this.columns;
    const next = this.#packets.next[parent] ?? NONE;
    if (next === NONE || (c.time[row] ?? 0) > (c.time[next] ?? 0)) return false;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    const from = c.hop[parent] ?? 0;
    const to = c.hop[next] ?? 0;
    return reach.distance(from, hop) + reach.distance(hop, to) <= reach.distance(from, to);
  }

  /** Two sightings, one stamp, nothing else known: the frame goes towards its link-layer destination. */
  #comesFirst(row: number, other: number): boolean {
    const c = this.columns;
    const marks = (c.marks[row] ?? 0) & (c.marks[other] ?? 0);
    if ((marks & Mark.macs) === 0) return false;
    const destination = c.destinationMac[other] ?? -1;
    return this.#scene.macs[c.hop[other] ?? 0] === destination && this.#scene.macs[c.hop[row] ?? 0] !== destination;
  }

  #begin(row: number, entry: number): void {
    const c = this.columns;
    const known = entry === NONE ? undefined : this.#flows.flow(entry);
    let flow: Flow;
    let direction: Direction;
    if (known) {
      flow = known;
      direction = this.#flows.direction(entry);
    } else {
      flow = new Flow();
      direction = this.#exchanges.directionOf(row);
      this.#enter(this.#keyOf(row), flow, direction);
    }
    const packet = this.#packets.create(row, c.fingerprint[row] ?? 0, flow, ++this.#lastId);
    this.#packets.touched[packet] = c.time[row] ?? 0;
    if (direction === Direction.reply) this.#mark(packet, State.reply);
    this.#exchanges.began(flow, row, direction);
    this.#open.append(packet);
    if (this.#matches(row)) this.#show(packet);
    this.#answer(packet, flow, direction, row);
    this.#settle(packet, row);
  }

  /** A packet that refuses others: a RST, or an ICMP error. */
  #answer(packet: number, flow: Flow, direction: Direction, row: number): void {
    const c = this.columns;
    const packets = this.#packets;
    const error = c.kind[row] === Kind.icmpError;
    if (!error && (c.kind[row] !== Kind.tcp || ((c.flags[row] ?? 0) & Tcp.rst) === 0)) return;
    for (let p = flow.open; p !== NONE;) {
      const other = p;
      p = packets.flowNext[p] ?? NONE;
      const state = packets.state[other] ?? 0;
      if (other === packet || ((state & State.reply) !== 0) === (direction === Direction.reply)) continue;
      const first = packets.head[other] ?? 0;
      if (error ? this.#quotes(row, first) : this.#resets(row, first)) {
        this.#exchanges.refused(flow, this.#endings.refuse(other, row));
      }
    }
  }

  /** Whether an ICMP error is about a packet, as the node that sent it saw the packet. */
  #quotes(error: number, row: number): boolean {
    const c = this.columns;
    if (c.innerProtocol[error] !== c.protocol[row]) return false;
    if (c.family[row] === 4 && c.innerIdentification[error] !== c.identification[row]) return false;
    switch (c.kind[row]) {
      case Kind.tcp:
      case Kind.echo:
        return c.innerSequence[error] === c.sequence[row];
      case Kind.udp:
        return c.innerSequence[error] === (c.payload[row] ?? 0) + 8;
      default:
        return c.kind[row] !== Kind.icmpError;
    }
  }

  /** Whether a RST answers a segment: it acknowledges it, or takes its sequence number from its acknowledgement. */
  #resets(reset: number, row: number): boolean {
    const c = this.columns;
    if (c.kind[row] !== Kind.tcp || (c.flags[row] ?? 0) & Tcp.rst) return false;
    if ((c.flags[reset] ?? 0) & Tcp.ack) {
      const length = (c.payload[row] ?? 0) + ((c.flags[row] ?? 0) & (Tcp.syn | Tcp.fin) ? 1 : 0);
      return c.acknowledgement[reset] === ((c.sequence[row] ?? 0) + length) >>> 0;
    }
    return c.sequence[reset] === c.acknowledgement[row];
  }

  // --- flows ---------------------------------------------------------------------------------------------------

  #keyOf(row: number): FlowKey {
    const c = this.columns;
    const error = c.kind[row] === Kind.icmpError;
    return {
      node: this.#scene.nodes[c.hop[row] ?? 0] ?? 0,
      family: c.family[row] ?? 0,
      protocol: (error ? c.innerProtocol[row] : c.protocol[row]) ?? 0,
      source: (error ? c.innerDestination[row] : c.source[row]) ?? 0,
      destination: (error ? c.innerSource[row] : c.destination[row]) ?? 0,
      sourcePort: (error ? c.destinationPort[row] : c.sourcePort[row]) ?? 0,
      destinationPort: (error ? c.sourcePort[row] : c.destinationPort[row]) ?? 0,
    };
  }

  /** Entry of a sighting's tuple in a node. An ICMP error has the tuple of an answer to the packet it quotes. */
  #lookup(row: number, node: number): number {
    const c = this.columns;
    if (c.kind[row] === Kind.icmpError) {
      return this.#flows.find(
        node,
        c.family[row] ?? 0,
        c.innerProtocol[row] ?? 0,
        c.innerDestination[row] ?? 0,
        c.innerSource[row] ?? 0,
        c.destinationPort[row] ?? 0,
        c.sourcePort[row] ?? 0,
      );
    }
    return this.#flows.find(
      node,
      c.family[row] ?? 0,
      c.protocol[row] ?? 0,
      c.source[row] ?? 0,
      c.destination[row] ?? 0,
      c.sourcePort[row] ?? 0,
      c.destinationPort[row] ?? 0,
    );
  }

  #entryOf(row: number): number {
    return this.#lookup(row, this.#scene.nodes[this.columns.hop[row] ?? 0] ?? 0);
  }

  #enter(key: FlowKey, flow: Flow, direction: Direction): number {
    const entry = this.#flows.put(key, flow, direction);
    this.#flows.put(reversed(key), flow, direction === 0 ? 1 : 0);
    return entry;
  }

  /** What a join teaches: this tuple in this node is of this flow too, and NAT made it from that one. */
  #learn(packet: number, row: number, entry: number, parent: number): void {
    const c = this.columns;
    const flows = this.#flows;
    const flow = this.#packets.flow[packet];
    if (!flow) return;
    const direction = (this.#packets.state[packet] ?? 0) & State.reply ? 1 : 0;
    const owner = entry === NONE ? undefined : flows.flow(entry);
    let own = entry;
    if (!owner) own = this.#enter(this.#keyOf(row), flow, direction);
    else if (owner !== flow) this.#unite(flow, owner);
    if (this.#sameTuple(parent, row)) return;
    const node = this.#scene.nodes[c.hop[row] ?? 0] ?? 0;
    const before = this.#lookup(parent, node);
    if (before !== NONE && flows.translated(before) === own) {
      // Conntrack told before the packet came; the exchange says it once, from its first packet.
      if (flow.packets === 1 || flow.translatedServer === "") this.#exchanges.translated(flow, row, direction);
      return;
    }
    if (before === NONE || flows.translated(before) === NONE) {
      this.#mark(packet, State.unproven);
      if (before !== NONE) this.#translate(before, own);
    }
    this.#exchanges.translated(flow, row, direction);
  }

  /** The node sends on what comes with tuple `before` under tuple `after`, and the answers the other way. */
  #translate(before: number, after: number): void {
    const flows = this.#flows;
    flows.translate(before, after);
    const back = flows.findKey(reversed(flows.keyOf(after)));
    const home = flows.findKey(reversed(flows.keyOf(before)));
    if (back !== NONE && home !== NONE) flows.translate(back, home);
  }

  /** Two flows turn out to be one. The one that has packets gives its number. */
  #unite(a: Flow, b: Flow): void {
    const keep = b.exchange !== 0 && (a.exchange === 0 || b.exchange < a.exchange) ? b : a;
    const give = keep === a ? b : a;
    this.#packets.hand(give, keep);
    this.#exchanges.unite(keep, give);
    give.joined = keep;
  }

  #enterConntrack({ node, flow: entry }: ConntrackEvent): number {
    const number = this.#scene.nodeNumber(node);
    this.#scene.sawConntrack(number);
    const original = this.#tupleKey(number, entry.family, entry.original);
    const reply = this.#tupleKey(number, entry.family, entry.reply);
    if (!original || !reply) return NONE;
    const keys = [original, reversed(reply), reply, reversed(original)];
    const known = keys.flatMap((key) => {
      const found = this.#flows.findKey(key);
      return (found === NONE ? undefined : this.#flows.flow(found)) ?? [];
    });
    const flow = known[0] ?? new Flow();
    for (const other of known) if (other.root !== flow.root) this.#unite(flow.root, other.root);
    const root = flow.root;
    const [sent, passed, answer, returned] = keys.map((key, index) =>
      this.#flows.put(key, root, index < 2 ? Direction.request : Direction.reply),
    );
    this.#flows.translate(sent ?? NONE, passed ?? NONE);
    this.#flows.translate(answer ?? NONE, returned ?? NONE);
    return sent ?? NONE;
  }

  #tupleKey(node: number, family: 4 | 6, tuple: Tuple): FlowKey | undefined {
    const source = parseAddress(tuple.source);
    const destination = parseAddress(tuple.destination);
    if (!source || !destination) return undefined;
    return {
      node,
      family,
      protocol: tuple.protocol,
      source: this.book.numberOf(family, source.value),
      destination: this.book.numberOf(family, destination.value),
      sourcePort: tuple.icmp?.id ?? tuple.sourcePort ?? 0,
      destinationPort: tuple.icmp?.id ?? tuple.destinationPort ?? 0,
    };
  }

  // --- closing -------------------------------------------------------------------------------------------------

  /** Conntrack has spoken: packets that had seemed to end in a node that translates may be complete. */
  #reconsider(entry: number): void {
    const flow = this.#flows.flow(entry);
    if (!flow) return;
    for (let p = flow.open; p !== NONE;) {
      const packet = p;
      p = this.#packets.flowNext[p] ?? NONE;
      if (((this.#packets.state[packet] ?? 0) & State.complete) === 0) {
        this.#settle(packet, this.#packets.tail[packet] ?? 0);
      }
    }
  }

  /** Lets a packet whose last hop this is wait to be closed. */
  #settle(packet: number, row: number): void {
    if (!this.#arrived(row)) {
      this.#report(packet);
      return;
    }
    const c = this.columns;
    const kind = c.kind[row];
    const refusable =
      kind === Kind.udp || (kind === Kind.tcp && ((c.flags[row] ?? 0) & (Tcp.syn | Tcp.ack)) === Tcp.syn);
    this.#mark(packet, State.complete | (refusable ? State.refusable : 0));
    this.#open.remove(packet);
    (refusable ? this.#held : this.#arrivals).append(packet);
    this.#report(packet);
  }

  /** Whether a sighting is the last one that its packet can have. */
  #arrived(row: number): boolean {
    const c = this.columns;
    const scene = this.#scene;
    const hop = c.hop[row] ?? 0;
    if (scene.ports[hop] === 1 || (c.marks[row] ?? 0) & Mark.group) return false;
    const node = scene.nodes[hop] ?? 0;
    if (scene.outward[hop] === 1) {
      const parent = this.#packets.parent[row] ?? NONE;
      if (parent !== NONE && scene.nodes[c.hop[parent] ?? 0] === node) return true;
    }
    const family = c.family[row] ?? 0;
    if (family === 0 || !scene.isLocal(node, family, c.destination[row] ?? 0)) return false;
    if (c.kind[row] === Kind.arp || !scene.translates(node)) return true;
    const entry = this.#entryOf(row);
    return entry !== NONE && this.#flows.translated(entry) === entry;
  }

  #expire(): void {
    for (;;) {
      const arrival = this.#arrivals.first;
      const held = this.#held.first;
      const open = this.#open.first;
      if (arrival !== NONE && this.#touched(arrival) + SLACK < this.#now) this.#close(arrival);
      else if (held !== NONE && this.#touched(held) + REFUSAL_WAIT < this.#now) this.#close(held);
      else if (open !== NONE && this.#touched(open) + this.#timeout < this.#now) this.#close(open);
      else return;
    }
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
      if (arrived !== NONE) this.#close(arrived);
      else {
        const oldest = this.#open.first;
        if (oldest === NONE) return;
        this.#mark(oldest, State.evicted);
        this.#close(oldest);
      }
    }
  }

  #close(packet: number): void {
    const packets = this.#packets;
    const state = packets.state[packet] ?? 0;
    (state & State.refusable ? this.#held : state & State.complete ? this.#arrivals : this.#open).remove(packet);
    const flow = packets.flow[packet];
    if (flow) {
      const event = this.#endings.close(packet, flow);
      if (event) this.#options.emit(event);
      this.#exchanges.closed(
        flow,
        (state & State.reply) !== 0 ? 1 : 0,
        this.#endings.last,
        packets.touched[packet] ?? 0,
      );
    }
    this.#rows -= packets.count[packet] ?? 0;
    for (let row = packets.head[packet] ?? NONE; row !== NONE;) {
      const next = packets.next[row] ?? NONE;
      this.columns.release(row);
      row = next;
    }
    packets.remove(packet);
    this.#exchanges.expire(this.#now);
    if (this.#exchanges.stale(this.#flows.size)) this.#flows.sweep((one) => !one.ended);
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
