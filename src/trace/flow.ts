/** Connections, and which of them a sighting belongs to. */
import { grown } from "../packet/grown.js";
import { finish, part } from "../packet/address.js";
import type { Trail } from "./trail.js";

export const Direction = { request: 0, reply: 1 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

export function opposite(direction: Direction): Direction {
  return direction === Direction.request ? Direction.reply : Direction.request;
}

/** Five numbers that name a connection in one direction, in one node. Ports are 0 where there are none. */
export interface FlowKey {
  node: number;
  family: number;
  protocol: number;
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
}

export function reversed(key: FlowKey): FlowKey {
  return {
    ...key,
    source: key.destination,
    destination: key.source,
    sourcePort: key.destinationPort,
    destinationPort: key.sourcePort,
  };
}

/** A connection with all its tuples. The same one behind NAT, in every node that it crosses. */
export class Flow {
  /** Number of its exchange, 0 until a packet of it is seen. */
  exchange = 0;
  /** Set when this turned out to be the same connection as another. */
  joined: Flow | undefined = undefined;
  /** Its requests are the replies of the one that it joined: both had guessed who asks. */
  turned = false;
  ended = false;
  /** First of its open packets, -1 where there is none: `Packets.flowNext` leads on. */
  open = -1;

  /** By direction: open packets that may be refused. */
  readonly refusable: [number, number] = [0, 0];

  protocol = "";
  client = "";
  server = "";
  translatedClient = "";
  translatedServer = "";
  packets = 0;
  start = 0;
  end = 0;
  /** By direction: packets that closed delivered, packets in all. */
  readonly delivered: [number, number] = [0, 0];
  readonly sent: [number, number] = [0, 0];
  /** Who refused it, and with what. */
  refusal = "";
  /** The last thing that went wrong, by direction. */
  readonly trouble: [string, string] = ["", ""];
  /** Sequence number of the SYN that began it, -1 where none was seen. */
  opening = -1;
  /** Directions that have sent a FIN, as bits; 4: a RST was seen, or another SYN. */
  finished = 0;
  /** Whether packets can come that answer: what is sent to a group needs none. */
  answerable = true;
  /** A packet of it matched the trace's filter. */
  shown = false;
  /** The ways that its packets have taken, as long as nothing new is learned of it. */
  trail: Trail | undefined = undefined;

  /** Both sides have said FIN, or one RST: a SYN with its tuple is of another connection. */
  get closed(): boolean {
    return (this.finished & 4) !== 0 || (this.finished & 3) === 3;
  }

  /** The flow that this one is now part of. */
  get root(): Flow {
    return this.joined === undefined ? this : this.joined.root;
  }

  /** What a direction of this flow is in its root. */
  rooted(direction: Direction): Direction {
    if (this.joined === undefined) return direction;
    return this.joined.rooted(this.turned ? opposite(direction) : direction);
  }
}

const NONE = -1;

/** Finds the flow of a tuple. Open addressing over columns; entries of ended flows go when the table is made anew. */
export class FlowTable {
  /** Four words an entry, which are read together: node and kind, source, destination, ports. */
  #keys = new Uint32Array(4 * 1024);
  #flows: Flow[] = [];
  #direction = new Uint8Array(1024);
  /** Entry under which the node sends on what arrives with this one; itself where there is no NAT; -1 unknown. */
  #translated = new Int32Array(1024);
  /** 1: `#translated` was so for a connection that has ended; the next one may get another. */
  #doubtful = new Uint8Array(1024);
  /** Hop at which a packet with this tuple has arrived for good; -1 unknown. */
  #terminal = new Int32Array(1024);
  #slots = new Int32Array(4096).fill(NONE);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  find(
    node: number,
    family: number,
    protocol: number,
    source: number,
    destination: number,
    sourcePort: number,
    destinationPort: number,
  ): number {
    const where = placeOf(node, family, protocol);
    const ports = portsOf(sourcePort, destinationPort);
    const keys = this.#keys;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hashOf(where, source, destination, ports) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] ?? NONE;
      if (entry === NONE) return NONE;
      const at = entry * 4;
      if (keys[at] === where && keys[at + 1] === source && keys[at + 2] === destination && keys[at + 3] === ports)
        return entry;
    }
  }

  /** Whether an entry has these addresses and ports. */
  is(entry: number, source: number, destination: number, sourcePort: number, destinationPort: number): boolean {
    const keys = this.#keys;
    const at = entry * 4;
    return (
      keys[at + 1] === source && keys[at + 2] === destination && keys[at + 3] === portsOf(sourcePort, destinationPort)
    );
  }

  findKey(key: FlowKey): number {
    return this.find(
      key.node,
      key.family,
      key.protocol,
      key.source,
      key.destination,
      key.sourcePort,
      key.destinationPort,
    );
  }

  /** Enters a tuple, or gives an entry that is there to the flow. */
  put(key: FlowKey, flow: Flow, direction: Direction): number {
    const known = this.findKey(key);
    if (known !== NONE) {
      if (this.#flows[known] === flow && this.#direction[known] === direction) return known;
      this.#leaveTrails(known);
      if (this.#flows[known]?.root !== flow.root) {
        this.#terminal[known] = NONE;
        this.#doubtful[known] = 1;
      }
      this.#flows[known] = flow;
      this.#direction[known] = direction;
      this.#leaveTrails(known);
      return known;
    }
    if (this.#count === this.#direction.length) this.#grow();
    const entry = this.#count++;
    const keys = this.#keys;
    keys[entry * 4] = placeOf(key.node, key.family, key.protocol);
    keys[entry * 4 + 1] = key.source;
    keys[entry * 4 + 2] = key.destination;
    keys[entry * 4 + 3] = portsOf(key.sourcePort, key.destinationPort);
    this.#flows[entry] = flow;
    this.#direction[entry] = direction;
    this.#translated[entry] = NONE;
    this.#doubtful[entry] = 0;
    this.#terminal[entry] = NONE;
    this.#enter(entry);
    return entry;
  }

  flow(entry: number): Flow | undefined {
    const flow = this.#flows[entry]?.root;
    return flow === undefined || flow.ended ? undefined : flow;
  }

  direction(entry: number): Direction {
    const direction = this.#direction[entry] === 1 ? Direction.reply : Direction.request;
    return this.#flows[entry]?.rooted(direction) ?? direction;
  }

  translated(entry: number): number {
    return this.#translated[entry] ?? NONE;
  }

  translate(entry: number, to: number): void {
    if (this.#translated[entry] === to && this.#doubtful[entry] === 0) return;
    this.#leaveTrails(entry);
    this.#translated[entry] = to;
    this.#doubtful[entry] = 0;
    this.#leaveTrails(entry);
  }

  /** Whether what `translated` says is sure: it is known, and of the connection that has the tuple now. */
  isSure(entry: number): boolean {
    return this.translated(entry) !== NONE && this.#doubtful[entry] === 0;
  }

  /** The connection has ended: the next one with this tuple may be translated otherwise. */
  doubt(entry: number): void {
    this.#leaveTrails(entry);
    this.#doubtful[entry] = 1;
  }

  /** What all connections have learned of their ways is worth nothing any more. */
  leaveAllTrails(): void {
    for (let entry = 0; entry < this.#count; entry++) this.#leaveTrails(entry);
  }

  /** Something new is known of an entry, or is about to be: of the connection that has it, and the one that NAT leads it to. */
  #leaveTrails(entry: number): void {
    for (const flow of [this.#flows[entry], this.#flows[this.translated(entry)]])
      if (flow !== undefined) flow.root.trail = undefined;
  }

  terminal(entry: number): number {
    return this.#terminal[entry] ?? NONE;
  }

  setTerminal(entry: number, hop: number): void {
    this.#terminal[entry] = hop;
  }

  keyOf(entry: number): FlowKey {
    const [where = 0, source = 0, destination = 0, ports = 0] = this.#keys.subarray(entry * 4, entry * 4 + 4);
    return {
      node: where >>> 16,
      family: (where >>> 8) & 255,
      protocol: where & 255,
      source,
      destination,
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
  }

  /** Forgets the entries of flows that `keep` says no to. */
  sweep(keep: (flow: Flow) => boolean): void {
    this.leaveAllTrails();
    const kept: number[] = [];
    for (let entry = 0; entry < this.#count; entry++) {
      const flow = this.#flows[entry]?.root;
      if (flow && keep(flow)) kept.push(entry);
    }
    const place = new Map(kept.map((entry, index) => [entry, index]));
    for (const [index, entry] of kept.entries()) {
      this.#keys.copyWithin(index * 4, entry * 4, entry * 4 + 4);
      const flow = this.#flows[entry]?.root;
      this.#direction[index] = this.direction(entry);
      if (flow) this.#flows[index] = flow;
      this.#translated[index] = place.get(this.#translated[entry] ?? NONE) ?? NONE;
      this.#doubtful[index] = this.#doubtful[entry] ?? 0;
      this.#terminal[index] = this.#terminal[entry] ?? NONE;
    }
    this.#count = kept.length;
    this.#flows.length = kept.length;
    this.#rehash(this.#slots.length);
  }

  #grow(): void {
    const capacity = this.#direction.length * 2;
    this.#keys = grown(Uint32Array, this.#keys, capacity * 4);
    this.#direction = grown(Uint8Array, this.#direction, capacity);
    this.#translated = grown(Int32Array, this.#translated, capacity);
    this.#doubtful = grown(Uint8Array, this.#doubtful, capacity);
    this.#terminal = grown(Int32Array, this.#terminal, capacity);
    this.#rehash(capacity * 4);
  }

  #rehash(slots: number): void {
    this.#slots = new Int32Array(slots).fill(NONE);
    for (let entry = 0; entry < this.#count; entry++) this.#enter(entry);
  }

  #enter(entry: number): void {
    const keys = this.#keys;
    const at = entry * 4;
    const mask = this.#slots.length - 1;
    let slot = hashOf(keys[at] ?? 0, keys[at + 1] ?? 0, keys[at + 2] ?? 0, keys[at + 3] ?? 0) & mask;
    while (this.#slots[slot] !== NONE) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
  }
}

/** Node, family and protocol in one word. */
function placeOf(node: number, family: number, protocol: number): number {
  return ((node << 16) | (family << 8) | protocol) >>> 0;
}

function portsOf(source: number, destination: number): number {
  return ((source << 16) | destination) >>> 0;
}

function hashOf(where: number, source: number, destination: number, ports: number): number {
  return finish(
    part(where, 0x27d4eb2f) ^ part(source, 0x9e3779b1) ^ part(destination, 0x85ebca77) ^ part(ports, 0xc2b2ae3d),
  );
}
