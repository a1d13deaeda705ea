/**
 * What a trace has told so far: the one model behind every view that looks back. Packets stand in the order of their
 * numbers; a packet that closes takes the place of its provisional form.
 */
import { hopName } from "../model/hop.js";
import type { ExchangeEvent, HopEvent, PacketEvent, TraceEnded, TraceEvent, TraceStarted } from "../model/trace.js";
import { PacketRing } from "./packet-ring.js";

export class TraceLog {
  readonly #ring: PacketRing;
  readonly #exchanges = new Map<number, ExchangeEvent>();
  readonly #hops: HopEvent[] = [];
  #started: TraceStarted | undefined;
  #ended: TraceEnded | undefined;

  /** @param limit packets kept; beyond it the oldest go */
  constructor(limit = Infinity) {
    this.#ring = new PacketRing(limit);
  }

  get started(): TraceStarted | undefined {
    return this.#started;
  }

  get ended(): TraceEnded | undefined {
    return this.#ended;
  }

  /** Sorted by id. */
  get packets(): readonly PacketEvent[] {
    return this.#ring.packets;
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
    return this.#ring.forgotten;
  }

  packet(id: number): PacketEvent | undefined {
    return this.#ring.get(id);
  }

  /** Hops in the order of the trace: its columns. */
  hopNames(): string[] {
    return (this.#started?.hops ?? []).map(hopName);
  }

  push(event: TraceEvent): void {
    switch (event.type) {
      case "trace":
        this.#started = event;
        break;
      case "packet":
        this.#ring.put(event);
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
}
