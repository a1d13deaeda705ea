/** Connections, and which of them a sighting belongs to. */
import { grown } from "../packet/columns.js";
import { finish, part } from "../packet/address.js";

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
  /** Directions that have sent a FIN, as bits; 4: a RST was seen. */
  finished = 0;
  /** Whether packets can come that answer: what is sent to a group needs none. */
  answerable = true;
  /** A packet of it matched the trace's filter. */
  shown = false;

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
  #node = new Uint16Array(1024);
  #kind = new Uint16Array(1024);
  #source = new Uint32Array(1024);
  #destination = new Uint32Array(1024);
  #ports = new Uint32Array(1024);
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
    const kind = (family << 8) | protocol;
    const ports = ((sourcePort << 16) | destinationPort) >>> 0;
    const mask = this.#slots.length - 1;
    let slot = hashOf(node, kind, source, destination, ports) & mask;
    for (;;) {
      const entry = this.#slots[slot] ?? NONE;
      if (entry === NONE) return NONE;
      if (
        this.#source[entry] === source &&
        this.#destination[entry] === destination &&
        this.#ports[entry] === ports &&
        this.#node[entry] === node &&
        this.#kind[entry] === kind
      ) {
        return entry;
      }
      slot = (slot + 1) & mask;
    }
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
      if (this.#flows[known]?.root !== flow.root) {
        this.#terminal[known] = NONE;
        this.#doubtful[known] = 1;
      }
      this.#flows[known] = flow;
      this.#direction[known] = direction;
      return known;
    }
    if (this.#count === this.#node.length) this.#grow();
    const entry = this.#count++;
    const kind = (key.family << 8) | key.protocol;
    const ports = ((key.sourcePort << 16) | key.destinationPort) >>> 0;
    this.#node[entry] = key.node;
    this.#kind[entry] = kind;
    this.#source[entry] = key.source;
    this.#destination[entry] = key.destination;
    this.#ports[entry] = ports;
    this.#flows[entry] = flow;
    this.#direction[entry] = direction;
    this.#translated[entry] = NONE;
    this.#doubtful[entry] = 0;
    this.#terminal[entry] = NONE;
    this.#enter(entry, hashOf(key.node, kind, key.source, key.destination, ports));
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
    this.#translated[entry] = to;
    this.#doubtful[entry] = 0;
  }

  /** Whether what `translated` says is sure: it is known, and of the connection that has the tuple now. */
  isSure(entry: number): boolean {
    return this.translated(entry) !== NONE && this.#doubtful[entry] === 0;
  }

  /** The connection has ended: the next one with this tuple may be translated otherwise. */
  doubt(entry: number): void {
    this.#doubtful[entry] = 1;
  }

  terminal(entry: number): number {
    return this.#terminal[entry] ?? NONE;
  }

  setTerminal(entry: number, hop: number): void {
    this.#terminal[entry] = hop;
  }

  keyOf(entry: number): FlowKey {
    const kind = this.#kind[entry] ?? 0;
    const ports = this.#ports[entry] ?? 0;
    return {
      node: this.#node[entry] ?? 0,
      family: kind >> 8,
      protocol: kind & 255,
      source: this.#source[entry] ?? 0,
      destination: this.#destination[entry] ?? 0,
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
  }

  /** Forgets the entries of flows that `keep` says no to. */
  sweep(keep: (flow: Flow) => boolean): void {
    const kept: number[] = [];
    for (let entry = 0; entry < this.#count; entry++) {
      const flow = this.#flows[entry]?.root;
      if (flow && keep(flow)) kept.push(entry);
    }
    const place = new Map(kept.map((entry, index) => [entry, index]));
    for (const [index, entry] of kept.entries()) {
      this.#node[index] = this.#node[entry] ?? 0;
      this.#kind[index] = this.#kind[entry] ?? 0;
      this.#source[index] = this.#source[entry] ?? 0;
      this.#destination[index] = this.#destination[entry] ?? 0;
      this.#ports[index] = this.#ports[entry] ?? 0;
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
    const capacity = this.#node.length * 2;
    this.#node = grown(Uint16Array, this.#node, capacity);
    this.#kind = grown(Uint16Array, this.#kind, capacity);
    this.#source = grown(Uint32Array, this.#source, capacity);
    this.#destination = grown(Uint32Array, this.#destination, capacity);
    this.#ports = grown(Uint32Array, this.#ports, capacity);
    this.#direction = grown(Uint8Array, this.#direction, capacity);
    this.#translated = grown(Int32Array, this.#translated, capacity);
    this.#doubtful = grown(Uint8Array, this.#doubtful, capacity);
    this.#terminal = grown(Int32Array, this.#terminal, capacity);
    this.#rehash(capacity * 4);
  }

  #rehash(slots: number): void {
    this.#slots = new Int32Array(slots).fill(NONE);
    for (let entry = 0; entry < this.#count; entry++) {
      this.#enter(
        entry,
        hashOf(
          this.#node[entry] ?? 0,
          this.#kind[entry] ?? 0,
          this.#source[entry] ?? 0,
          this.#destination[entry] ?? 0,
          this.#ports[entry] ?? 0,
        ),
      );
    }
  }

  #enter(entry: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== NONE) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
  }
}

function hashOf(node: number, kind: number, source: number, destination: number, ports: number): number {
  return finish(
    part(source, 0x9e3779b1) ^
      part(destination, 0x85ebca77) ^
      part(ports, 0xc2b2ae3d) ^
      part((node << 16) | kind, 0x27d4eb2f),
  );
}
