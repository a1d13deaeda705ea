/**
 * One connection to init: requests with serial numbers, answers in any order, descriptors with either. Answers can be
 * awaited, or waited for in place: then whatever else arrives meanwhile is handed to those who await it.
 */
import { MessageBlock } from "../kernel/message-block.js";
import { Watch } from "../kernel/poll.js";
import { SystemCallError } from "../kernel/system-error.js";
import { close, constants, poll } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { type Fault, faultFailure } from "./fault.js";
import {
  type FieldReader,
  type FieldWriter,
  answer,
  decodeAnswer,
  encodeMessage,
  headerBytes,
  messageMax,
  request,
} from "./protocol.js";

export interface Reply {
  readonly fields: FieldReader;
  /** The caller's own. */
  readonly descriptors: readonly number[];
}

export interface Exit {
  /** As wait(2) gives it. */
  readonly waitStatus: number;
  readonly outOfMemory: boolean;
}

interface Waiting<T> {
  readonly where: string | undefined;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A promise, and the ends that settle it. Whoever does not await it has said that it does not matter how it fails. */
function expectation<T>(): { promise: Promise<T>; settle: Pick<Waiting<T>, "resolve" | "reject"> } {
  let settle: Pick<Waiting<T>, "resolve" | "reject"> | undefined;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => undefined);
  if (settle === undefined) throw new Error("a promise runs its executor at once");
  return { promise, settle };
}

/** How long a wait in place lasts before init counts as stuck. Milliseconds. */
const patience = 60_000;

export class Connection implements Disposable {
  readonly #block = new MessageBlock(messageMax);
  readonly #watch: Watch;
  readonly #calls = new Map<number, Waiting<Reply>>();
  readonly #exits = new Map<number, Waiting<Exit>>();
  #serial = 0;
  #closed = false;
  /** Why the lab never came to be. */
  #stillborn: Failure | undefined;

  /** @param fd a connected SOCK_SEQPACKET socket; the connection owns it */
  constructor(readonly fd: number) {
    this.#watch = new Watch(fd, () => this.#drain(), { keepsAlive: false });
  }

  /** Sends a request and awaits its answer. @param where node or lab, for the error */
  call(kind: number, fields: FieldWriter, where?: string, descriptors: readonly number[] = []): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#send(kind, fields, { where, resolve, reject }, descriptors);
    });
  }

  /** Sends a request and waits in place for its answer. */
  callNow(kind: number, fields: FieldWriter, where?: string): Reply {
    const outcome: { reply?: Reply; error?: Error } = {};
    const call: Waiting<Reply> = {
      where,
      resolve: (reply) => (outcome.reply = reply),
      reject: (error) => (outcome.error = error),
    };
    const serial = this.#send(kind, fields, call, []);
    while (this.#calls.has(serial)) {
      if (poll(this.fd, constants.POLLIN, patience) === 0) {
        throw new Failure("kernel", "yapc-init does not answer", { code: "ETIMEDOUT" });
      }
      this.#drain();
    }
    if (outcome.reply === undefined) throw outcome.error ?? initGone();
    return outcome.reply;
  }

  /** Starts a process: its start is one answer, its exit, at whatever time, another. */
  start(
    kind: number,
    fields: FieldWriter,
    where: string,
    descriptors: readonly number[],
  ): { started: Promise<Reply>; exit: Promise<Exit> } {
    const { promise: exit, settle } = expectation<Exit>();
    const started = new Promise<Reply>((resolve, reject) => {
      this.#exits.set(this.#send(kind, fields, { where, resolve, reject }, descriptors), { where, ...settle });
    });
    this.#hold();
    return { started, exit };
  }

  /** Awaits the exit of a process that someone else started. */
  exitOf(fields: FieldWriter, where: string): Promise<Exit> {
    const { promise: exit, settle } = expectation<Exit>();
    this.#exits.set(this.#send(request.wait, fields, undefined, []), { where, ...settle });
    this.#hold();
    return exit;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    close(this.fd);
    this.#block[Symbol.dispose]();
    this.#fail(initGone());
  }

  #send(kind: number, fields: FieldWriter, call: Waiting<Reply> | undefined, descriptors: readonly number[]): number {
    if (this.#closed) throw initGone();
    const serial = (this.#serial = (this.#serial + 1) >>> 0);
    const message = encodeMessage(kind, serial, fields.bytes());
    if (message.length > messageMax) {
      throw new Failure("usage", `a request of ${message.length} bytes is more than yapc-init takes (${messageMax})`, {
        code: "E2BIG",
      });
    }
    if (call !== undefined) this.#calls.set(serial, call);
    try {
      // Init reads no more while its own answers wait for room: make that room before trying again.
      while (this.#block.send(this.fd, message, descriptors) === undefined) {
        const ready = poll(this.fd, constants.POLLIN | constants.POLLOUT, patience);
        if (ready === 0) throw new Failure("kernel", "yapc-init does not answer", { code: "ETIMEDOUT" });
        if ((ready & constants.POLLIN) !== 0) this.#drain();
      }
    } catch (error) {
      this.#calls.delete(serial);
      const gone = error instanceof SystemCallError && ["EPIPE", "ECONNRESET", "ENOTCONN"].includes(error.code);
      // What init said before it went explains more than the broken pipe.
      if (gone) this.#drain();
      throw gone ? (this.#stillborn ?? initGone()) : error;
    }
    this.#hold();
    return serial;
  }

  /** Node stays alive while an answer or an exit is awaited. */
  #hold(): void {
    if (this.#closed) return;
    if (this.#calls.size + this.#exits.size > 0) this.#watch.ref();
    else this.#watch.unref();
  }

  #drain(): void {
    try {
      while (!this.#closed) {
        const message = this.#receive();
        if (message === undefined) break;
        if (message.bytes.length < headerBytes) {
          this[Symbol.dispose]();
          return;
        }
        this.#dispatch(message.bytes.slice(), message.descriptors);
      }
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this[Symbol.dispose]();
    }
    this.#hold();
  }

  /** An end with unread requests is told first, and only once (unix_release_sock, sock_error): its last words lie behind it. */
  #receive(): ReturnType<MessageBlock["receive"]> {
    try {
      return this.#block.receive(this.fd, constants.MSG_DONTWAIT);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== "ECONNRESET") throw error;
      return this.#block.receive(this.fd, constants.MSG_DONTWAIT);
    }
  }

  #dispatch(bytes: Uint8Array, descriptors: readonly number[]): void {
    const { kind, serial, fields } = decodeAnswer(bytes);
    if (kind === answer.exited) {
      fields.u32();
      const exit = { waitStatus: fields.u32(), outOfMemory: fields.u8() === 1 };
      const waiting = this.#exits.get(serial);
      this.#exits.delete(serial);
      waiting?.resolve(exit);
      return;
    }
    const call = this.#calls.get(serial);
    this.#calls.delete(serial);
    if (kind === answer.failed) {
      const fault: Fault = { errno: fields.u32(), step: fields.string(), path: fields.string() };
      // Serial 0 is the starter's: the lab never came to be.
      if (serial === 0) {
        this.#stillborn = faultFailure(fault);
        this.#fail(this.#stillborn);
        return;
      }
      const exit = this.#exits.get(serial);
      this.#exits.delete(serial);
      for (const waiting of [call, exit]) waiting?.reject(faultFailure(fault, waiting.where));
    } else if (call === undefined) {
      for (const descriptor of descriptors) close(descriptor);
    } else {
      call.resolve({ fields, descriptors });
    }
  }

  #fail(error: Error): void {
    const waiting = [...this.#calls.values(), ...this.#exits.values()];
    this.#calls.clear();
    this.#exits.clear();
    for (const one of waiting) one.reject(error);
  }
}

/** What every use of a line says once its init has gone, or the line was given up. */
export function initGone(): Failure {
  return new Failure("kernel", "the lab has ended: yapc-init is gone", { code: "INIT_GONE" });
}
