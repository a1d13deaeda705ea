/**
 * The exchange of requests and replies, without any I/O: requests go in and become bytes, datagrams go in and settle
 * requests. Bounded: it remembers only what was begun and is not settled.
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
  frame,
  readReport,
} from "./framing.js";

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
    /** The message, header included. */
    readonly bytes: Uint8Array,
    readonly answer: Answer,
    readonly onReply: ((message: Message) => void) | undefined,
  ) {}
}

/** Which answer the kernel gives to flags of a request. */
export function answerOf(flags: number, reads: boolean): Answer {
  if (reads && (flags & NLM_F_DUMP) === NLM_F_DUMP) return "dump";
  return (flags & NLM_F_ACK) === 0 ? "reply" : "ack";
}

export class Exchange {
  readonly #pending = new Map<number, Pending>();
  #sequence: number;
  /** Messages that belong to no request under way: left over from one that was given up, or events. */
  strays = 0;

  /** @param firstSequence of the first request; golden bytes are made with 1 */
  constructor(firstSequence = 1) {
    this.#sequence = firstSequence;
  }

  /** Requests that the kernel still owes an answer. */
  get waiting(): number {
    let count = 0;
    for (const { answer } of this.#pending.values()) if (answer !== "silence") count++;
    return count;
  }

  /** Numbers a request. The bytes are to be sent in the order of the calls. */
  begin(request: Outgoing, answer: Answer, onReply?: (message: Message) => void): Pending {
    const sequence = this.#sequence;
    // 0 is what events carry.
    this.#sequence = sequence === 0xffffffff ? 1 : sequence + 1;
    const pending = new Pending(sequence, frame(request.type, request.flags, sequence, request.body), answer, onReply);
    this.#pending.set(sequence, pending);
    return pending;
  }

  /**
   * Takes in a datagram, wholly, before it returns: its buffer may be reused then.
   * Throws `MalformedError` for bytes that are no messages.
   */
  receive(datagram: Uint8Array): void {
    eachMessage(datagram, (message) => this.#take(message));
  }

  /** Ends every request under way without a report; returns them. */
  abandon(): Pending[] {
    const left = [...this.#pending.values()];
    this.#pending.clear();
    return left;
  }

  #take(message: Message): void {
    if (message.type === NLMSG_NOOP || message.type === NLMSG_OVERRUN) return;
    const pending = this.#pending.get(message.sequence);
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
      pending.onReply?.(message);
    } catch (error) {
      pending.unreadable ??= error;
    }
    if (pending.answer === "reply" && (message.flags & NLM_F_MULTI) === 0) this.#settle(pending, { errno: 0 });
  }

  #settle(pending: Pending, report: Report): void {
    pending.report = report;
    this.#pending.delete(pending.sequence);
  }
}
