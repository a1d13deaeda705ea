/**
 * The exchange of requests and replies, without any I/O: requests go in and become bytes, datagrams go in and settle
 * requests. Bounded: it remembers what was begun since it was last at rest.
 */
import {
  type Message,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  type Report,
  eachMessage,
  readReport,
  writeMessage,
} from "./framing.js";
import type { Input, Writer } from "./codec/index.js";

export interface Outgoing {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** Verbs reuse the bits of NLM_F_DUMP: only a request to read is a dump. The caller knows which it is. */
export type Answer =
  /** Acknowledged, perhaps after replies. */
  | "ack"
  /** Replies until NLMSG_DONE. */
  | "dump"
  /** One reply, or an error. */
  | "reply"
  /** Nothing, unless it fails (the brackets of an nf_tables batch). */
  | "silence";

/** Takes the replies to a request, one by one. */
export interface Receiver {
  take(message: Message): void;
}

/** One request under way. */
export class Pending {
  /** What ended it; undefined while it runs. */
  report: Report | undefined;
  /** NLM_F_DUMP_INTR: the table changed while it was read. */
  interrupted = false;
  /** The first error that reading a reply threw. The rest of the replies is still taken off the socket. */
  unreadable: unknown;

  constructor(
    readonly sequence: number,
    readonly answer: Answer,
    readonly receiver: Receiver | undefined,
  ) {}
}

/** Which answer the kernel gives to flags of a request. */
export function answerOf(flags: number, reads: boolean): Answer {
  if (reads && (flags & NLM_F_DUMP) === NLM_F_DUMP) return "dump";
  return (flags & NLM_F_ACK) === 0 ? "reply" : "ack";
}

const LAST_SEQUENCE = 0xffffffff;

export class Exchange {
  /** In the order of their numbers, the first of which is `#first`. */
  #pending: Pending[] = [];
  #first: number;
  #sequence: number;
  #waiting = 0;
  /** Messages that belong to no request under way: left over from one that was given up, or events. */
  strays = 0;

  /** @param firstSequence of the first request; golden bytes are made with 1 */
  constructor(firstSequence = 1) {
    this.#first = this.#sequence = firstSequence;
  }

  /** Requests that the kernel still owes an answer. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Numbers a request and writes its message, which is to be sent in the order of the calls. */
  begin(out: Writer, { type, flags, body }: Outgoing, answer: Answer, receiver?: Receiver): Pending {
    const sequence = this.#sequence;
    // 0 is what events carry.
    this.#sequence = sequence === LAST_SEQUENCE ? 1 : sequence + 1;
    writeMessage(out, type, flags, sequence, body);
    const pending = new Pending(sequence, answer, receiver);
    this.#pending.push(pending);
    if (answer !== "silence") this.#waiting++;
    return pending;
  }

  /**
   * Takes in a datagram, wholly, before it returns: its buffer may be reused then.
   * Throws `MalformedError` for bytes that are no messages.
   */
  receive(datagram: Input): void {
    eachMessage(datagram, (message) => this.#take(message));
  }

  /** Comes to rest: what is still under way ends without a report, and what comes for it later is a stray. */
  abandon(): void {
    this.#pending = [];
    this.#first = this.#sequence;
    this.#waiting = 0;
  }

  /** The request under way of this number. */
  #find(sequence: number): Pending | undefined {
    const first = this.#first;
    const pending = this.#pending[sequence >= first ? sequence - first : LAST_SEQUENCE - first + sequence];
    return pending?.sequence === sequence && pending.report === undefined ? pending : undefined;
  }

  #take(message: Message): void {
    if (message.type === NLMSG_NOOP || message.type === NLMSG_OVERRUN) return;
    const pending = this.#find(message.sequence);
    if (pending === undefined) {
      this.strays++;
      return;
    }
    if ((message.flags & NLM_F_DUMP_INTR) !== 0 && message.type !== NLMSG_ERROR) pending.interrupted = true;
    if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
      this.#settle(pending, readReport(message));
      return;
    }
    try {
      pending.receiver?.take(message);
    } catch (error) {
      pending.unreadable ??= error;
    }
    if (pending.answer === "reply" && (message.flags & NLM_F_MULTI) === 0) this.#settle(pending, { errno: 0 });
  }

  #settle(pending: Pending, report: Report): void {
    pending.report = report;
    if (pending.answer !== "silence") this.#waiting--;
  }
}
