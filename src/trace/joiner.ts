/** Which packet a sighting is of: one that is open, or a new one. */
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { sameInvariants } from "../packet/fingerprint.js";
import { type Carried, Carriers } from "./carriers.js";
import { Choice } from "./choice.js";
import { type Cluster, type Copies, MAXIMUM_COPIES } from "./copies.js";
import type { ExchangeBook } from "./exchange.js";
import type { SightingFilter } from "./filter.js";
import { Direction, Flow } from "./flow.js";
import { type FlowIndex, isHandshake, isOpening } from "./flow-index.js";
import type { Latency } from "./latency.js";
import { Lessons } from "./lessons.js";
import type { Lifetimes } from "./lifetime.js";
import { NONE, type Packets, State } from "./packets.js";
import type { PartIndex } from "./part-index.js";
import { isRefusal } from "./refusal.js";
import type { Scene } from "./scene.js";
import { commonBytes, divisible } from "./segment.js";
import type { TapLosses } from "./tap-losses.js";
import { type Step, Trails } from "./trail.js";
import type { Ways } from "./way.js";

export interface JoinerParts {
  readonly scene: Scene;
  readonly columns: Columns;
  readonly packets: Packets;
  readonly parts: PartIndex;
  readonly flows: FlowIndex;
  readonly ways: Ways;
  readonly latency: Latency;
  readonly copies: Copies;
  readonly exchanges: ExchangeBook;
  readonly losses: TapLosses;
  readonly matches: SightingFilter;
  /** Called when a packet was made, or seen again. */
  readonly report: ((packet: number) => void) | undefined;
}

export class Joiner {
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #parts: PartIndex;
  readonly #flows: FlowIndex;
  readonly #ways: Ways;
  readonly #copies: Copies;
  readonly #exchanges: ExchangeBook;
  readonly #matches: SightingFilter;
  readonly #report: ((packet: number) => void) | undefined;
  readonly #lifetimes: Lifetimes;
  readonly #carriers: Carriers;
  readonly #lessons: Lessons;
  readonly #trails: Trails;
  readonly #choice: Choice;
  #lastId = 0;

  constructor(parts: JoinerParts, lifetimes: Lifetimes) {
    this.#scene = parts.scene;
    this.#columns = parts.columns;
    this.#packets = parts.packets;
    this.#parts = parts.parts;
    this.#flows = parts.flows;
    this.#ways = parts.ways;
    this.#copies = parts.copies;
    this.#exchanges = parts.exchanges;
    this.#matches = parts.matches;
    this.#report = parts.report;
    this.#lifetimes = lifetimes;
    this.#carriers = new Carriers(parts, lifetimes);
    this.#lessons = new Lessons(parts);
    this.#choice = new Choice(parts, lifetimes);
    this.#trails = new Trails(parts.columns, parts.packets, parts.flows);
  }

  /** Takes a sighting. */
  take(row: number): void {
    const c = this.#columns;
    const kind = c.kind[row];
    if (kind === Kind.udp) this.#measure(row);
    if (kind === Kind.fragment || ((c.marks[row] ?? 0) & Mark.firstFragment) !== 0) this.#flows.nameFragment(row);
    if (this.#follow(row)) return;
    const entry = this.#flows.identify(row);
    if (!this.#join(row, entry) && !this.#joinParts(row, entry)) this.#begin(row, entry);
  }

  /** Marks a datagram that its interface would not let out whole. */
  #measure(row: number): void {
    const c = this.#columns;
    if ((c.length[row] ?? 0) > (this.#scene.longest[c.hop[row] ?? 0] ?? Infinity))
      c.marks[row] = (c.marks[row] ?? 0) | Mark.oversize;
  }

  /** Joins a row to the only open packet that is equal to it, if that goes the way of others before it. */
  #follow(row: number): boolean {
    const packets = this.#packets;
    const fingerprint = this.#columns.fingerprint[row] ?? 0;
    let only = NONE;
    for (let p = packets.first(fingerprint); p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint) continue;
      if (only !== NONE) return false;
      only = p;
    }
    if (only === NONE || !sameInvariants(this.#columns, packets.head[only] ?? 0, row)) return false;
    const step = this.#copies.of(only) ? undefined : this.#trails.onward(only, row);
    if (step === undefined) return false;
    this.#goOn(only, row, step);
    return true;
  }

  /** Joins a row to the open packet that is equal to it. */
  #join(row: number, entry: number): boolean {
    const c = this.#columns;
    const packets = this.#packets;
    const fingerprint = c.fingerprint[row] ?? 0;
    let best = NONE;
    let parent = NONE;
    let others: number[] | undefined;
    for (let p = packets.first(fingerprint); p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint || !sameInvariants(c, packets.head[p] ?? 0, row)) continue;
      if (this.#goesBack(p, entry)) continue;
      const from = this.#ways.parentOf(p, row, entry, false);
      if (from === NONE) continue;
      if (best === NONE) {
        best = p;
        parent = from;
      } else (others ??= [best]).push(p);
    }
    if (best === NONE) return false;
    if (others) {
      best = this.#choice.of(others, row, entry);
      parent = this.#ways.parentOf(best, row, entry, false);
    }
    this.#attach(best, row, entry, parent);
    return true;
  }

  /** Whether a packet goes the other way than what has the tuple of an entry. */
  #goesBack(packet: number, entry: number): boolean {
    if (entry === NONE) return false;
    const { table } = this.#flows;
    return (
      table.flow(entry) === this.#packets.flow[packet] && table.direction(entry) !== this.#packets.direction(packet)
    );
  }

  /** Joins a row to the open packets that it carries bytes of: segments of one, or one made of several. */
  #joinParts(row: number, entry: number): boolean {
    if (!divisible(this.#columns, row)) return false;
    const parts = this.#carriers.of(row, entry);
    return parts.packets.length > 0 && this.#share(row, entry, parts);
  }

  /** One sighting, part of several packets. */
  #share(row: number, entry: number, parts: Carried): boolean {
    const c = this.#columns;
    let joined = 0;
    for (const packet of parts.packets) {
      // What the first of them has taught is known to the next.
      const now = joined === 0 ? entry : this.#flows.entryOf(row);
      const parent = this.#ways.parentOf(packet, row, now, true);
      if (parent === NONE) continue;
      const own = joined++ === 0 ? row : c.copy(row);
      if (own !== row) {
        this.#lifetimes.sightings++;
        this.#packets.rows(c.capacity);
      }
      this.#packets.mark(packet, parts.sure ? State.segmented : State.segmented | State.ordered);
      this.#attach(packet, own, now, parent);
    }
    return joined > 0;
  }

  /** Joins a row to a packet that goes the way of others before it. */
  #goOn(packet: number, row: number, step: Step): void {
    const packets = this.#packets;
    const last = packets.tail[packet] ?? 0;
    packets.step[packet] = step;
    this.#columns.entry[row] = step.entry;
    packets.parent[row] = last;
    packets.append(packet, row);
    this.#touch(packet, row);
    this.#lessons.time(packet, row, last);
    if (((packets.state[packet] ?? 0) & State.shown) === 0 && this.#matches(row)) this.#show(packet);
    this.#lifetimes.renew(packet);
    if (step.arrived) this.#lifetimes.arrive(packet, row);
    this.#report?.(packet);
  }

  #attach(packet: number, row: number, entry: number, parent: number): void {
    const c = this.#columns;
    const packets = this.#packets;
    const flow = packets.flow[packet];
    if (!flow) return;
    const plain =
      packets.step[packet] !== undefined && parent === packets.tail[packet] && this.#ways.isPlain(parent, row);
    this.#ways.insert(packet, row, parent);
    if (packets.head[packet] === row && divisible(c, row)) {
      this.#parts.remove(packet);
      this.#parts.add(packet);
    }
    this.#touch(packet, row);
    const state = packets.state[packet] ?? 0;
    const known = this.#lessons.learn(packet, flow, row, entry, parent);
    if (plain && known && (state & State.complete) === 0)
      this.#trails.note(packet, row, entry, this.#lifetimes.hasArrived(row));
    else this.#trails.leave(packet);
    if (!this.#copies.of(packet)) this.#lessons.time(packet, row, parent);
    if ((state & State.shown) === 0 && this.#matches(row)) this.#show(packet);
    if ((state & State.complete) === 0) {
      this.#lifetimes.renew(packet);
      this.#lifetimes.settle(packet, row);
    }
    this.#report?.(packet);
  }

  #touch(packet: number, row: number): void {
    const time = this.#columns.time[row] ?? 0;
    const { touched } = this.#packets;
    if (time > (touched[packet] ?? 0)) touched[packet] = time;
  }

  /** A row that belongs to no open packet begins one. */
  #begin(row: number, entry: number): void {
    const owner = entry === NONE ? undefined : this.#flows.table.flow(entry);
    // Another SYN than the one that began it: its end was not seen.
    if (owner && isOpening(this.#columns, row) && owner.opening >= 0 && owner.opening !== this.#columns.sequence[row])
      owner.finished |= 4;
    const known = owner && !(owner.closed && isHandshake(this.#columns, row)) ? owner : undefined;
    const flow = known ?? new Flow();
    const direction = known ? this.#flows.table.direction(entry) : this.#exchanges.directionOf(row);
    if (!known) this.#flows.enter(row, flow, direction);
    const packet = this.#create(row, flow, direction);
    this.#exchanges.began(flow, row, direction);
    if (known && !this.#scene.bare) this.#trails.begin(packet, flow, row, entry);
    if (this.#matches(row)) this.#show(packet);
    if (isRefusal(this.#columns, row)) this.#lifetimes.refuse(packet, flow, row);
    else this.#lifetimes.accept(flow, direction);
    const cluster = this.#rivals(packet, row, flow);
    this.#lifetimes.settle(packet, row);
    this.#report?.(packet);
    if (cluster && cluster.packets.length > MAXIMUM_COPIES) this.resolve(cluster);
  }

  #create(row: number, flow: Flow, direction: Direction): number {
    const packet = this.#packets.create(row, this.#columns.fingerprint[row] ?? 0, flow, ++this.#lastId);
    this.#packets.touched[packet] = this.#columns.time[row] ?? 0;
    if (direction === Direction.reply) this.#packets.mark(packet, State.reply);
    if (divisible(this.#columns, row)) {
      if (this.#columns.kind[row] === Kind.tcp && this.#columns.identification[row] === 0)
        this.#markSentAgain(packet, row);
      this.#parts.add(packet);
    }
    this.#lifetimes.begin(packet);
    return packet;
  }

  /**
   * Bytes of a stream that are on their way in another packet already: a piece of the one may be equal to the other, or to a
   * piece of it, where their sender does not number them. Then order tells them apart, and nothing else.
   */
  #markSentAgain(packet: number, row: number): void {
    const c = this.#columns;
    const time = c.time[row] ?? 0;
    for (const other of this.#parts.near(row)) {
      // One that has arrived in one piece leaves none on the way.
      const whole = ((this.#packets.state[other] ?? 0) & (State.complete | State.segmented)) === State.complete;
      if (whole || this.#lifetimes.isQuiet(other, time)) continue;
      if (commonBytes(c, this.#packets.head[other] ?? 0, row) === 0) continue;
      this.#packets.mark(other, State.ordered);
      this.#packets.mark(packet, State.ordered);
    }
  }

  /** Equal packets of the same connection that are on their way as well. */
  #rivals(packet: number, row: number, flow: Flow): Cluster | undefined {
    const c = this.#columns;
    const packets = this.#packets;
    const fingerprint = c.fingerprint[row] ?? 0;
    let cluster: Cluster | undefined;
    for (let p = packets.bucketNext[packet] ?? NONE; p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (packets.fingerprint[p] !== fingerprint || packets.flow[p] !== flow) continue;
      if (this.#choice.decided(p, c.time[row] ?? 0)) continue;
      if (sameInvariants(c, packets.head[p] ?? 0, row)) cluster = this.#copies.rival(p, packet);
    }
    return cluster;
  }

  /** Decides which sighting is of which of some equal packets. */
  resolve(cluster: Cluster): void {
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
}
