/**
 * The packets that are open: typed arrays again, linked lists by index. A packet is a list of rows in path order, each
 * with the row it came from as its parent (a line for most packets, a tree where a frame is flooded).
 */
import { grown } from "../packet/grown.js";
import { Direction, type Flow } from "./flow.js";
import type { Step } from "./trail.js";

export const NONE = -1;

/** Bits of `Packets.state`. */
export const State = {
  /** Arrived for good; it only waits for a refusal that may come. */
  complete: 1,
  /** Two sightings were joined across NAT without conntrack's word. */
  unproven: 2,
  /** Equal packets were about: time and order decided. */
  ordered: 4,
  ambiguous: 8,
  segmented: 16,
  /** Matches the trace's filter. */
  shown: 32,
  evicted: 64,
  reply: 128,
  /** One that may still be refused once it is complete. */
  refusable: 256,
  /** Complete, and waiting for a refusal. */
  held: 512,
  /** Its sightings may be those of an equal packet of another connection: what NAT does is not learned from it. */
  contested: 1024,
} as const;

const FIRST = 1024;
/** Stands in `bucketPrevious` of a packet that is in no bucket. */
const UNHASHED = -2;

export class Packets {
  /** First and last row, in path order. */
  head = new Int32Array(FIRST);
  tail = new Int32Array(FIRST);
  count = new Uint16Array(FIRST);
  state = new Uint16Array(FIRST);
  id = new Float64Array(FIRST);
  /** Stamp of the sighting that came last. */
  touched = new Float64Array(FIRST);
  fingerprint = new Uint32Array(FIRST);
  flow: (Flow | undefined)[] = [];
  /** Where on the trail of its connection a packet is, if it is on it. */
  step: (Step | undefined)[] = [];
  /** Packets of one hash bucket. */
  bucketNext = new Int32Array(FIRST);
  bucketPrevious = new Int32Array(FIRST);
  /** Open packets of one flow. */
  flowNext = new Int32Array(FIRST);
  flowPrevious = new Int32Array(FIRST);
  /** Packets in order of their last sighting. */
  queueNext = new Int32Array(FIRST);
  queuePrevious = new Int32Array(FIRST);

  /** By row: the next row of its packet, and the row it came from. */
  next = new Int32Array(FIRST);
  parent = new Int32Array(FIRST);

  #buckets = new Int32Array(4096).fill(NONE);
  #free: number[] = [];
  #fresh = 0;
  #used = 0;

  get used(): number {
    return this.#used;
  }

  /** Makes room for rows up to `capacity`. */
  rows(capacity: number): void {
    if (this.next.length >= capacity) return;
    this.next = grown(Int32Array, this.next, capacity);
    this.parent = grown(Int32Array, this.parent, capacity);
  }

  create(row: number, fingerprint: number, flow: Flow, id: number): number {
    const packet = this.#free.pop() ?? this.#take();
    this.#used++;
    this.head[packet] = row;
    this.tail[packet] = row;
    this.count[packet] = 1;
    this.state[packet] = 0;
    this.id[packet] = id;
    this.fingerprint[packet] = fingerprint;
    this.next[row] = NONE;
    this.parent[row] = NONE;

    this.flow[packet] = flow;
    this.step[packet] = undefined;
    this.flowNext[packet] = flow.open;
    this.flowPrevious[packet] = NONE;
    if (flow.open !== NONE) this.flowPrevious[flow.open] = packet;
    flow.open = packet;

    const bucket = fingerprint & (this.#buckets.length - 1);
    const first = this.#buckets[bucket] ?? NONE;
    this.bucketNext[packet] = first;
    this.bucketPrevious[packet] = NONE;
    if (first !== NONE) this.bucketPrevious[first] = packet;
    this.#buckets[bucket] = packet;
    if (this.#used > this.#buckets.length) this.#rehash();
    return packet;
  }

  /** @param bit one of `State` */
  mark(packet: number, bit: number): void {
    this.state[packet] = (this.state[packet] ?? 0) | bit;
  }

  direction(packet: number): Direction {
    return (this.state[packet] ?? 0) & State.reply ? Direction.reply : Direction.request;
  }

  /** First packet of the bucket of a fingerprint; others may be in it as well. */
  first(fingerprint: number): number {
    return this.#buckets[fingerprint & (this.#buckets.length - 1)] ?? NONE;
  }

  /** Puts a row behind another one of the same packet that is not its last, or before all where `after` is NONE. */
  insert(packet: number, row: number, after: number): void {
    if (after === NONE) {
      this.next[row] = this.head[packet] ?? NONE;
      this.head[packet] = row;
    } else {
      this.next[row] = this.next[after] ?? NONE;
      this.next[after] = row;
    }
    this.count[packet] = (this.count[packet] ?? 0) + 1;
  }

  /** Puts a row behind all others of a packet. */
  append(packet: number, row: number): void {
    this.next[row] = NONE;
    this.next[this.tail[packet] ?? 0] = row;
    this.tail[packet] = row;
    this.count[packet] = (this.count[packet] ?? 0) + 1;
  }

  /** Takes a packet out of its bucket: no sighting can be of it any more. */
  unhash(packet: number): void {
    const next = this.bucketNext[packet] ?? NONE;
    const previous = this.bucketPrevious[packet] ?? NONE;
    if (previous === UNHASHED) return;
    if (previous !== NONE) this.bucketNext[previous] = next;
    else this.#buckets[(this.fingerprint[packet] ?? 0) & (this.#buckets.length - 1)] = next;
    if (next !== NONE) this.bucketPrevious[next] = previous;
    this.bucketPrevious[packet] = UNHASHED;
  }

  remove(packet: number): void {
    const flow = this.flow[packet];
    const flowNext = this.flowNext[packet] ?? NONE;
    const flowPrevious = this.flowPrevious[packet] ?? NONE;
    if (flowPrevious !== NONE) this.flowNext[flowPrevious] = flowNext;
    else if (flow) flow.open = flowNext;
    if (flowNext !== NONE) this.flowPrevious[flowNext] = flowPrevious;
    this.flow[packet] = undefined;
    this.step[packet] = undefined;

    this.unhash(packet);
    this.#free.push(packet);
    this.#used--;
  }

  /** Gives the open packets of one flow to another. @param turned the other calls its requests replies */
  hand(from: Flow, to: Flow, turned: boolean): void {
    let last = NONE;
    for (let packet = from.open; packet !== NONE; packet = this.flowNext[packet] ?? NONE) {
      this.flow[packet] = to;
      if (turned) this.state[packet] = (this.state[packet] ?? 0) ^ State.reply;
      last = packet;
    }
    if (last === NONE) return;
    this.flowNext[last] = to.open;
    if (to.open !== NONE) this.flowPrevious[to.open] = last;
    to.open = from.open;
    from.open = NONE;
  }

  #take(): number {
    if (this.#fresh === this.head.length) this.#grow();
    return this.#fresh++;
  }

  #grow(): void {
    const capacity = this.head.length * 2;
    this.head = grown(Int32Array, this.head, capacity);
    this.tail = grown(Int32Array, this.tail, capacity);
    this.count = grown(Uint16Array, this.count, capacity);
    this.state = grown(Uint16Array, this.state, capacity);
    this.id = grown(Float64Array, this.id, capacity);
    this.touched = grown(Float64Array, this.touched, capacity);
    this.fingerprint = grown(Uint32Array, this.fingerprint, capacity);
    this.bucketNext = grown(Int32Array, this.bucketNext, capacity);
    this.bucketPrevious = grown(Int32Array, this.bucketPrevious, capacity);
    this.flowNext = grown(Int32Array, this.flowNext, capacity);
    this.flowPrevious = grown(Int32Array, this.flowPrevious, capacity);
    this.queueNext = grown(Int32Array, this.queueNext, capacity);
    this.queuePrevious = grown(Int32Array, this.queuePrevious, capacity);
  }

  #rehash(): void {
    const packets: number[] = [];
    for (const first of this.#buckets) {
      for (let packet = first; packet !== NONE; packet = this.bucketNext[packet] ?? NONE) packets.push(packet);
    }
    this.#buckets = new Int32Array(this.#buckets.length * 4).fill(NONE);
    for (const packet of packets) {
      const bucket = (this.fingerprint[packet] ?? 0) & (this.#buckets.length - 1);
      const first = this.#buckets[bucket] ?? NONE;
      this.bucketNext[packet] = first;
      this.bucketPrevious[packet] = NONE;
      if (first !== NONE) this.bucketPrevious[first] = packet;
      this.#buckets[bucket] = packet;
    }
  }
}

/** Packets in order of their last sighting: the first one is the next to run out of time. */
export class Queue {
  first = NONE;
  last = NONE;
  readonly #packets: Packets;

  constructor(packets: Packets) {
    this.#packets = packets;
  }

  append(packet: number): void {
    const { queueNext, queuePrevious } = this.#packets;
    queueNext[packet] = NONE;
    queuePrevious[packet] = this.last;
    if (this.last === NONE) this.first = packet;
    else queueNext[this.last] = packet;
    this.last = packet;
  }

  remove(packet: number): void {
    const { queueNext, queuePrevious } = this.#packets;
    const next = queueNext[packet] ?? NONE;
    const previous = queuePrevious[packet] ?? NONE;
    if (previous === NONE) this.first = next;
    else queueNext[previous] = next;
    if (next === NONE) this.last = previous;
    else queuePrevious[next] = previous;
  }
}
