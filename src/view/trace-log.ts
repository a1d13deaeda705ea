/** What a trace told beside its packets: what stands above and below them in every view. */
import { hopName } from "../model/hop.js";
import type { ExchangeEvent, HopEvent, TraceEnded, TraceEvent, TraceStarted } from "../model/trace.js";

/** Of each kind, answered and not: a trace may run for days. The oldest go first. */
const exchangesKept = 1000;

export class TraceLog {
  readonly #answered = new Map<number, ExchangeEvent>();
  readonly #others = new Map<number, ExchangeEvent>();
  readonly #hops: HopEvent[] = [];
  #started: TraceStarted | undefined;
  #ended: TraceEnded | undefined;
  #exchangesGone = 0;

  get started(): TraceStarted | undefined {
    return this.#started;
  }

  get ended(): TraceEnded | undefined {
    return this.#ended;
  }

  /** Sorted by id. */
  get exchanges(): readonly ExchangeEvent[] {
    return [...this.#answered.values(), ...this.#others.values()].sort((a, b) => a.id - b.id);
  }

  /** Exchanges that are no longer kept. */
  get exchangesGone(): number {
    return this.#exchangesGone;
  }

  get hops(): readonly HopEvent[] {
    return this.#hops;
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
      case "log":
        break;
      case "exchange":
        this.#keep(event.verdict === "answered" ? this.#answered : this.#others, event);
        break;
      case "hop":
        this.#hops.push(event);
        break;
      case "end":
        this.#ended = event;
    }
  }

  #keep(kind: Map<number, ExchangeEvent>, exchange: ExchangeEvent): void {
    kind.set(exchange.id, exchange);
    if (kind.size <= exchangesKept) return;
    // A map gives its keys in the order in which they came.
    for (const oldest of kind.keys()) {
      kind.delete(oldest);
      this.#exchangesGone += 1;
      break;
    }
  }
}
