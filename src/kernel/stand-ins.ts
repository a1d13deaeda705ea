/** What stands for a socket in tests: a kernel made of a function, a recorder, a replay of what was recorded. */
import { Input } from "./codec/wire.js";
import type { Transport } from "./transport.js";

const ORDINARY_BUFFER = 212_992;

/** A kernel made of a function: each datagram that is sent gives the datagrams that come back. */
export class FakeTransport implements Transport {
  readonly #queue: Uint8Array[] = [];
  readonly sent: Uint8Array[] = [];

  constructor(
    private readonly answer: (datagram: Uint8Array) => Iterable<Uint8Array>,
    readonly receiveBuffer = ORDINARY_BUFFER,
  ) {}

  send(datagram: Uint8Array): void {
    this.sent.push(datagram.slice());
    this.#queue.push(...this.answer(datagram));
  }

  receive(): Input | undefined {
    const datagram = this.#queue.shift();
    return datagram && new Input(datagram);
  }

  [Symbol.dispose](): void {
    this.#queue.length = 0;
  }
}

/** One datagram sent, and what came back before the next one. */
export interface RecordedExchange {
  readonly sent: Uint8Array;
  readonly received: Uint8Array[];
}

/** Passes on to another transport, and keeps a copy of everything. */
export class RecordingTransport implements Transport {
  readonly exchanges: RecordedExchange[] = [];

  constructor(private readonly inner: Transport) {}

  get receiveBuffer(): number {
    return this.inner.receiveBuffer;
  }

  send(datagram: Uint8Array): void {
    this.exchanges.push({ sent: datagram.slice(), received: [] });
    this.inner.send(datagram);
  }

  receive(): Input | undefined {
    const datagram = this.inner.receive();
    if (datagram !== undefined) this.exchanges.at(-1)?.received.push(datagram.copy());
    return datagram;
  }

  [Symbol.dispose](): void {
    this.inner[Symbol.dispose]();
  }
}

/** Plays recorded exchanges back, in their order. Throws where something else is sent than was recorded. */
export class ReplayTransport implements Transport {
  readonly receiveBuffer = ORDINARY_BUFFER;
  #next = 0;
  #queue: Uint8Array[] = [];

  constructor(private readonly exchanges: readonly RecordedExchange[]) {}

  send(datagram: Uint8Array): void {
    const expected = this.exchanges[this.#next];
    if (expected === undefined) throw new Error(`nothing was recorded after exchange ${this.#next}`);
    if (Buffer.compare(expected.sent, datagram) !== 0) {
      throw new Error(
        `exchange ${this.#next} is another one than was recorded\n  recorded ${hex(expected.sent)}\n  sent     ${hex(datagram)}`,
      );
    }
    this.#next++;
    this.#queue.push(...expected.received);
  }

  receive(): Input | undefined {
    const datagram = this.#queue.shift();
    return datagram && new Input(datagram);
  }

  [Symbol.dispose](): void {
    this.#queue = [];
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
