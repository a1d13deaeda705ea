/**
 * What a trace has told so far: the one model behind every view that looks back. Packets stand in the order of their
 * numbers; a packet that closes takes the place of its provisional form.
 */
import type { ExchangeEvent, HopEvent, PacketEvent, TraceEnded, TraceEvent, TraceStarted } from "../model/trace.js";

export class TraceLog {
  readonly #limit: number;
  readonly #packets: PacketEvent[] = [];
  readonly #exchanges = new Map<number, ExchangeEvent>();
  readonly #hops: HopEvent[] = [];
  #started: TraceStarted | undefined;
  #ended: TraceEnded | undefined;
  #forgotten = 0;

  /** @param limit packets kept; beyond it the oldest go, a tenth at a time */
  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  get started(): TraceStarted | undefined {
    return this.#started;
  }

  get ended(): TraceEnded | undefined {
    return this.#ended;
  }

  /** Sorted by id. */
  get packets(): readonly PacketEvent[] {
    return this.#packets;
  }

  /** Sorted by id. */
  get exchanges(): readonly ExchangeEvent[] {
    return [...this.#exchanges.values()].sort((a, b) => a.id - b.id);
  }

  get hops(): readonly HopEvent[] {
    return this.#hops;
  }

  /** Packets that the limit pushed out. */
  get forgotten(): number {
    return this.#forgotten;
  }

  exchange(id: number): ExchangeEvent | undefined {
    return this.#exchanges.get(id);
  }

  /** Hops in the order of the trace: its columns. */
  hopNames(): string[] {
    return (this.#started?.hops ?? []).map(({ node, interface: name }) => `${node}:${name}`);
  }

  push(event: TraceEvent): void {
    switch (event.type) {
      case "trace":
        this.#started = event;
        break;
      case "packet":
        this.#keep(event);
        break;
      case "exchange":
        this.#exchanges.set(event.id, event);
        break;
      case "hop":
        this.#hops.push(event);
        break;
      case "end":
        this.#ended = event;
    }
  }

  /** Index in `packets` of the packet with this id, or of the first one after it. */
  indexOf(id: number): number {
    let low = 0;
    let high = this.#packets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#packets[middle]?.id ?? Infinity) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #keep(packet: PacketEvent): void {
    const index = this.indexOf(packet.id);
    const known = this.#packets[index]?.id === packet.id;
    // A number below the oldest one kept was forgotten before it closed.
    if (!known && index === 0 && this.#forgotten > 0 && this.#packets.length > 0) return;
    this.#packets.splice(index, known ? 1 : 0, packet);
    if (this.#packets.length <= this.#limit) return;
    const excess = Math.max(1, Math.floor(this.#limit / 10));
    this.#packets.splice(0, excess);
    this.#forgotten += excess;
  }
}
