/**
 * The client of one netlink socket. Synchronous: the kernel works on a request inside sendto(2) and has answered when
 * that returns, so nothing waits, and nothing else of the process runs in between.
 */
import { Writer, pathAt, pathOfMissing } from "./codec/index.js";
import { debugPrinter } from "./debug.js";
import { errnoName } from "./errno.js";
import {
  DumpInterruptedError,
  NetlinkError,
  OverrunError,
  ProtocolError,
  type Subject,
  UnsupportedError,
} from "./errors.js";
import { Exchange, type Pending } from "./exchange.js";
import { NLMSG_HEADER, NLM_F_ECHO, type Report } from "./framing.js";
import type { Collector, Request } from "./request.js";
import { NetlinkSocket, type SocketOptions, type Transport } from "./transport.js";

export interface ClientOptions {
  /** The node in whose namespace the socket is: for errors. */
  readonly node?: string;
  /** What the kernel says about a request that succeeded (extended acknowledgement). */
  readonly onWarning?: (warning: Warning) => void;
}

export type OpenOptions = ClientOptions & SocketOptions;

export interface Warning extends Subject {
  readonly text: string;
}

/** How one request of a pipeline ended. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Error };

/** The outcomes of a tuple of requests. */
export type Outcomes<R extends readonly Request<unknown>[]> = {
  [K in keyof R]: R[K] extends Request<infer T> ? Outcome<T> : never;
};

const DUMP_ATTEMPTS = 10;
/** The most that is sent at once: well below the 208 KiB that a send buffer has by default. */
const SEND_LIMIT = 64 * 1024;
/** What an answer takes of the receive buffer at most, as the kernel accounts it (skb truesize). */
const ACK_COST = 1536;
const REPLY_COST = 8192;
const EBUSY = 16;

/** A request that was sent, and what has come back for it. */
class Running<T> {
  /** The receive buffer overran meanwhile: what the kernel did not answer, it may have answered. */
  overrun = false;

  constructor(
    readonly request: Request<T>,
    readonly pending: Pending,
    readonly collector: Collector<T>,
  ) {}
}

export class NetlinkClient implements Disposable {
  readonly #exchange = new Exchange();
  readonly #outbox = new Writer();
  readonly #print = debugPrinter();

  /** Takes the transport over: it is closed with the client. */
  constructor(
    readonly transport: Transport,
    private readonly options: ClientOptions = {},
  ) {}

  /** A client on a new socket in the namespace of this thread. @param protocol NETLINK_* */
  static open(protocol: number, options: OpenOptions = {}): NetlinkClient {
    return new NetlinkClient(NetlinkSocket.open(protocol, options), options);
  }

  /** A client on a new socket in the namespace of a descriptor: see `NetlinkSocket.openIn`. */
  static openIn(netnsFd: number, protocol: number, options: OpenOptions = {}): NetlinkClient {
    return new NetlinkClient(NetlinkSocket.openIn(netnsFd, protocol, options), options);
  }

  /** A client on a socket that was opened elsewhere, in the namespace where it shall act. The descriptor becomes ours. */
  static adopt(fd: number, protocol: number, options: OpenOptions = {}): NetlinkClient {
    return new NetlinkClient(new NetlinkSocket(fd, protocol, options), options);
  }

  /** Does one request. Throws `NetlinkError` where the kernel refuses it; `DumpInterruptedError`, `OverrunError`. */
  execute<T>(request: Request<T>): T {
    for (let attempt = 1; ; attempt++) {
      const [running] = this.#exchangeAll<T>([request]);
      if (running === undefined) throw new ProtocolError(this.#subject(request), "was not sent");
      const again = attempt < DUMP_ATTEMPTS && request.answer === "dump" && disturbed(running.pending);
      if (again) continue;
      const outcome = this.#outcome(running, attempt);
      if (!outcome.ok) throw outcome.error;
      return outcome.value;
    }
  }

  /**
   * Does many requests, sent together as far as their answers fit the receive buffer. It is no transaction: each is
   * done whether or not those before it failed, in their order; the outcomes stand in that order. Dumps do not belong
   * here: a socket runs one at a time.
   */
  pipeline<const R extends readonly Request<unknown>[]>(requests: R): Outcomes<R> {
    const outcomes: Outcome<unknown>[] = [];
    for (const part of this.#parts(requests)) {
      outcomes.push(...this.#exchangeAll(part).map((running) => this.#outcome(running, 1)));
    }
    return outcomes as Outcomes<R>; // one for each request, in order
  }

  /** As `pipeline`, for when all have to succeed: throws the first error after the last request was done. */
  executeAll(requests: readonly Request<unknown>[]): void {
    const failed = this.pipeline(requests).find((outcome) => !outcome.ok);
    if (failed?.ok === false) throw failed.error;
  }

  /**
   * Does requests of which the kernel makes one transaction (an nf_tables batch: its first and last are the brackets).
   * Throws the first error: nothing was changed then.
   */
  transact(requests: readonly Request<unknown>[]): void {
    const all = this.#exchangeAll(requests);
    const failed = all.find(({ pending }) => pending.report !== undefined && pending.report.errno !== 0);
    const decisive = failed ?? all.find(({ pending }) => pending.report === undefined && pending.answer !== "silence");
    if (decisive === undefined) {
      for (const { request, pending } of all) this.#warn(request, pending.report);
      return;
    }
    const outcome = this.#outcome(decisive, 1);
    if (!outcome.ok) throw outcome.error;
  }

  [Symbol.dispose](): void {
    this.transport[Symbol.dispose]();
  }

  #subject({ operation, object }: Request<unknown>): Subject {
    return { operation, object, node: this.options.node };
  }

  /** Splits where the send limit or the room for answers ends. */
  *#parts(requests: readonly Request<unknown>[]): Generator<readonly Request<unknown>[]> {
    const room = this.transport.receiveBuffer / 2;
    let part: Request<unknown>[] = [];
    let sent = 0;
    let owed = 0;
    for (const request of requests) {
      if (request.answer === "dump") throw new ProtocolError(this.#subject(request), "a dump cannot be pipelined");
      const size = request.body.length + NLMSG_HEADER;
      const cost = request.answer === "reply" || (request.flags & NLM_F_ECHO) !== 0 ? REPLY_COST : ACK_COST;
      if (part.length > 0 && (sent + size > SEND_LIMIT || owed + cost > room)) {
        yield part;
        part = [];
        sent = owed = 0;
      }
      part.push(request);
      sent += size;
      owed += cost;
    }
    if (part.length > 0) yield part;
  }

  /** Sends requests as one datagram and takes in answers until all have come, or none is left. */
  #exchangeAll<T>(requests: readonly Request<T>[]): Running<T>[] {
    this.#outbox.reset();
    const all = requests.map((request) => this.#begin(request));
    try {
      this.transport.send(this.#outbox.written);
      const overrun = this.#receiveAnswers();
      for (const running of all) running.overrun = overrun;
      if (all.some(({ pending }) => disturbed(pending))) this.#drain();
    } finally {
      // What still comes for requests that are given up is taken in later, as strays.
      this.#exchange.abandon();
    }
    for (const { request, pending } of all) this.#print?.settled(request, pending);
    return all;
  }

  #begin<T>(request: Request<T>): Running<T> {
    const collector = request.collect();
    const receiver = this.#print?.receiver(request, collector) ?? collector;
    const pending = this.#exchange.begin(this.#outbox, request, request.answer, receiver);
    this.#print?.sent(request, pending.sequence);
    return new Running(request, pending, collector);
  }

  /** @returns whether answers were lost: the kernel says so once, and what is queued can still be read */
  #receiveAnswers(): boolean {
    let overrun = false;
    while (this.#exchange.waiting > 0) {
      try {
        const datagram = this.transport.receive();
        if (datagram === undefined) break;
        this.#exchange.receive(datagram);
      } catch (error) {
        if (!(error instanceof OverrunError)) throw error;
        overrun = true;
      }
    }
    return overrun;
  }

  /** A dump that was left unread keeps the socket busy until it is read to its end. */
  #drain(): void {
    while (this.transport.receive() !== undefined);
  }

  #outcome<T>({ request, pending, collector, overrun }: Running<T>, attempts: number): Outcome<T> {
    const { report } = pending;
    if (report === undefined) {
      const subject = this.#subject(request);
      return failure(overrun ? new OverrunError(subject) : new ProtocolError(subject, "the kernel did not answer"));
    }
    if (report.errno !== 0) return failure(refusalOf(request, report, this.#subject(request)));
    if (pending.unreadable !== undefined) {
      const options = { cause: pending.unreadable };
      return failure(new ProtocolError(this.#subject(request), "a reply could not be read", options));
    }
    this.#warn(request, report);
    const value = collector.result();
    return pending.interrupted
      ? failure(new DumpInterruptedError(this.#subject(request), attempts, value))
      : { ok: true, value };
  }

  #warn(request: Request<unknown>, report: Report | undefined): void {
    if (report?.message !== undefined) this.options.onWarning?.({ ...this.#subject(request), text: report.message });
  }
}

/** A dump to be tried again: the table changed, or an earlier dump was still under way. */
function disturbed({ interrupted, report, answer }: Pending): boolean {
  return answer === "dump" && (interrupted || report?.errno === EBUSY);
}

function failure(error: Error): { readonly ok: false; readonly error: Error } {
  return { ok: false, error };
}

/** Errors that mean "there is no such thing in this kernel", where the request names what it needs. */
const unsupported = new Set(["EOPNOTSUPP", "EPROTONOSUPPORT", "EAFNOSUPPORT"]);

function refusalOf(request: Request<unknown>, report: Report, subject: Subject): NetlinkError {
  const { errno, message, offset, policy, missingType, missingNest } = report;
  const { schema, body } = request;
  // The kernel counts from the header of the message.
  const inBody = (at: number) => at - NLMSG_HEADER;
  const refusal = {
    errno,
    kernelMessage: message,
    attribute: offset === undefined ? undefined : pathAt(schema, body, inBody(offset)),
    missing:
      missingType === undefined
        ? undefined
        : pathOfMissing(schema, body, missingType, missingNest === undefined ? undefined : inBody(missingNest)),
    policy,
  };
  const code = errnoName(errno);
  // ENOENT is also what a missing object gives: only the kernel's words tell.
  const absent = unsupported.has(code) || (code === "ENOENT" && /unknown/i.test(message ?? ""));
  return absent && request.needs !== undefined
    ? new UnsupportedError(subject, refusal, request.needs)
    : new NetlinkError(subject, refusal);
}
