/** A tap: one tcpdump on one hop, or on a whole namespace, run by the lab's init inside it, its pcap stream read here. */
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { NodeLine, InitProcess } from "../init/api.js";
import { Poll } from "./poll.js";
import type { TapOptions, TapPlace } from "./tap-options.js";
import { ending, listening, startTcpdump } from "./tap-process.js";
import { type TcpdumpCounts, TcpdumpMessages } from "./tcpdump.js";

export type { TapOptions, TapPlace } from "./tap-options.js";

/** Bytes that one read of the pipe gives at most; and so many that tcpdump is likely to wait for room in it (64 KiB). */
const readSize = 131_072;
const plenty = 32_768;

/** How often a tap is asked whether it has read everything, milliseconds between; equal answers say that no more comes. */
const drain = { interval: 10, equal: 5, attempts: 500, settled: 200 } as const;
/** A block is handed over a second after its first packet (tcpdump's packet buffer timeout), and then read. */
const blockDrain = { interval: 30, equal: 40, attempts: 200, settled: 1300 } as const;
/** Records are many where more reads than that come in so many milliseconds, or one of them brings so many bytes. */
const busy = { reads: 10, window: 10, bytes: 4096 } as const;
/** Milliseconds that the pipe is then left alone: tcpdump waits for room in it, and then reads many records at once, too. */
const rest = 30;
/** From the stamp of a packet until it is in the ring, and more: milliseconds. */
const stampDelay = 20;
/** Milliseconds after which a question that has no answer is asked again. */
const askAgain = 1000;
/**
 * Milliseconds without an answer after which it does not answer; and how many of them a look for the answer may stand for: where
 * we are the busy ones (a reader who takes our output slowly), we look seldom.
 */
const silence = { time: 2000, look: 100 } as const;
/** Milliseconds after which a tap that is to end and does not answer is killed. */
const stopPatience = 5000;

export class Tap {
  readonly hop: TapPlace;
  /** Settles when the stream has been read to its end. */
  readonly ended: Promise<void>;
  readonly #process: InitProcess;
  readonly #stream: net.Socket;
  readonly #said: TcpdumpMessages;
  readonly #drain: typeof drain | typeof blockDrain;
  readonly #onBytes: TapOptions["onBytes"];
  readonly #pressure: TapOptions["pressure"];
  readonly #delivered: () => number;
  readonly #onQuiet: (time: number) => void;
  readonly #onSilence: (silent: boolean) => void;
  readonly #waiting: ((counts: TcpdumpCounts) => void)[] = [];
  #asked = false;
  /** When it was asked what it has not answered yet. */
  #askedAt: number | undefined;
  /** For how long it has not answered, nor delivered anything, and when that was looked at; milliseconds. */
  #unanswered: { time: number; at: number } | undefined;
  /** It was killed, and what its ring held is lost. */
  #givenUp = false;
  #silent = false;
  #reads = 0;
  #readsSince = 0;
  /** Not read, as whoever takes its records is behind. */
  #held = false;
  /** Records that count as received and are never read: what came before its filter was set. */
  #never = 0;
  #before: (TcpdumpCounts & { readonly since: number }) | undefined;
  /** The last answer that says how far it has come: records read by then, and the time (milliseconds since 1970). */
  #promise: { readonly captured: number; readonly time: number } | undefined;

  private constructor(
    { hop, block, onBytes, pressure, delivered, onQuiet, onSilence }: TapOptions,
    process: InitProcess,
    stream: net.Socket,
    said: TcpdumpMessages,
  ) {
    this.hop = hop;
    this.#drain = block === true ? blockDrain : drain;
    this.#process = process;
    this.#stream = stream;
    this.#said = said;
    this.#onBytes = onBytes;
    this.#pressure = pressure;
    this.#delivered = delivered ?? (() => Infinity);
    this.#onQuiet = onQuiet ?? (() => undefined);
    this.#onSilence = onSilence ?? (() => undefined);
    said.onCounts = (counts) => this.#counted(counts);
    this.ended = new Promise((resolve) => stream.once("close", () => resolve()));
  }

  /** Starts tcpdump and settles when it listens. @throws Failure (machine); (usage) where it refuses the filter */
  static async start(line: NodeLine, options: TapOptions): Promise<Tap> {
    const { process, output, messages } = await startTcpdump(line, options);
    const said = new TcpdumpMessages();
    // One buffer for all reads, and nothing is read ahead. (`connect` documents it; the constructor takes it as well.)
    const how: net.SocketConstructorOpts & Pick<net.ConnectOpts, "onread"> = {
      ...{ fd: output, readable: true, writable: false },
      onread: { buffer: new Uint8Array(readSize), callback: (length, buffer) => tap.#read(buffer.subarray(0, length)) },
    };
    const stream = new net.Socket(how);
    const tap: Tap = new Tap(options, process, stream, said);
    stream.resume();
    try {
      await listening(process, new net.Socket({ fd: messages, readable: true, writable: false }), said, options);
    } catch (error) {
      tap.abandon();
      throw error;
    }
    void tap.#watch(options);
    return tap;
  }

  /** @returns whether the pipe is to be read on at once */
  #read(bytes: Uint8Array): boolean {
    this.#unanswered = undefined;
    this.#onBytes(bytes);
    this.#settle();
    const pressure = this.#pressure?.(this.#asked);
    if (pressure !== undefined) {
      this.#held = true;
      void pressure.then(() => this.#release());
      return false;
    }
    // There is more: others have their turn first, as records are work.
    if (bytes.length >= plenty) setImmediate(() => this.#stream.resume());
    // tcpdump writes each record by itself: who waits at the pipe is woken for each, and that takes longer than its work.
    else if (!this.#asked && this.#isBusy(bytes.length)) setTimeout(() => this.#stream.resume(), rest);
    else return true;
    return false;
  }

  /** Records come one after the other, or are late in any case. */
  #isBusy(bytes: number): boolean {
    if (this.#drain === blockDrain || bytes >= busy.bytes) return true;
    const now = performance.now();
    if (now - this.#readsSince > busy.window) {
      this.#readsSince = now;
      this.#reads = 0;
    }
    this.#reads += 1;
    return this.#reads > busy.reads;
  }

  #release(): void {
    this.#held = false;
    this.#unanswered = undefined;
    this.#stream.resume();
  }

  /**
   * Asks tcpdump what it has read and lost (tcpdump(1), SIGUSR1). The answer comes through `onDrops`, and through `onQuiet`
   * where nothing was left to be read: on a busy machine only that, and no clock, tells how far a tap has come.
   */
  ask(): void {
    const now = Date.now();
    this.#lookForAnswer(now);
    if (this.#askedAt !== undefined && now - this.#askedAt < askAgain) return;
    this.#askedAt = now;
    this.#process.signal("SIGUSR1");
  }

  #lookForAnswer(now: number): void {
    if (this.#held) return;
    const { time, at } = (this.#unanswered ??= { time: 0, at: now });
    this.#unanswered = { time: time + Math.min(silence.look, now - at), at: now };
    if (this.#silent || this.#asked || this.#unanswered.time < silence.time) return;
    this.#silent = true;
    this.#onSilence(true);
  }

  /** Everything that it saw before this time has been read. */
  #isQuiet(time: number): void {
    this.#onQuiet(time);
    if (!this.#silent) return;
    this.#silent = false;
    this.#onSilence(false);
  }

  #counted(counts: TcpdumpCounts): void {
    this.#unanswered = undefined;
    for (const take of this.#waiting.splice(0)) take(counts);
    const asked = this.#askedAt;
    this.#askedAt = undefined;
    if (asked === undefined) return;
    const { captured, received, dropped } = counts;
    const unread = received - captured - dropped;
    const before = this.#before;
    if (before?.captured !== captured || before.received !== received) this.#before = { ...counts, since: asked };
    else if (asked - before.since > this.#drain.settled) this.#never = unread;
    if (unread > this.#never) return;
    this.#promise = { captured, time: asked - stampDelay };
    // Behind what it has written, which comes by another pipe.
    setImmediate(() => this.#settle());
  }

  /** What it has said of its progress holds once all that it had written then has been read from the pipe. */
  #settle(): void {
    const promise = this.#promise;
    if (promise === undefined || this.#delivered() < promise.captured) return;
    this.#promise = undefined;
    this.#isQuiet(promise.time);
  }

  /**
   * Ends tcpdump and reads what it still had; nothing is lost. One that does not answer is let run on, should somebody have
   * stopped it, and in the end is killed.
   * @param enough what it still has is not needed: others took over, while packets go on to come
   */
  async stop(enough: () => boolean = () => false): Promise<void> {
    this.#asked = true;
    this.#release();
    const resume = setTimeout(() => this.#process.signal("SIGCONT"), this.#silent ? 0 : silence.time);
    let kill = this.#killLater();
    const answered = (): void => {
      clearTimeout(kill);
      kill = this.#killLater();
    };
    try {
      await this.#drained(answered, enough);
      this.#process.signal("SIGINT");
      await this.#process.exit;
    } finally {
      clearTimeout(resume);
      clearTimeout(kill);
    }
    await this.ended;
  }

  #killLater(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#givenUp = true;
      this.#process.signal("SIGKILL");
    }, stopPatience);
  }

  /**
   * An interrupted tcpdump leaves unread what its ring holds (pcap_breakloop(3PCAP)), and on a busy machine it may not
   * have run since the last packets came. So it is asked until it has read what it received.
   */
  async #drained(answered: () => void, enough: () => boolean): Promise<void> {
    const { interval, equal: sure, attempts } = this.#drain;
    let before: TcpdumpCounts | undefined;
    let equal = 0;
    const poll = new Poll(enough, interval);
    try {
      for (let attempt = 0; attempt < attempts && equal < sure; attempt += 1) {
        const counts = await Promise.race([this.#counts(), poll.done]);
        answered();
        if (counts === undefined || counts.captured + counts.dropped >= counts.received) return;
        // What came before its filter was set counts as received and is never read.
        equal = before?.captured === counts.captured && before.received === counts.received ? equal + 1 : 0;
        before = counts;
        await Promise.race([delay(interval), poll.done]);
      }
    } finally {
      poll.end();
    }
  }

  /** @returns undefined where it has ended */
  #counts(): Promise<TcpdumpCounts | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      const ended = (): void => resolve(undefined);
      this.#process.exit.then(ended, ended);
      this.#process.signal("SIGUSR1");
    });
  }

  /** Lets go of the stream at once, for the way out after a failure. */
  abandon(): void {
    this.#asked = true;
    this.#process.signal("SIGKILL");
    this.#stream.destroy();
  }

  async #watch({ onDeath }: TapOptions): Promise<void> {
    const status = await this.#process.exit.catch(() => undefined);
    // Where init is gone, so is the trace: that is told elsewhere.
    if (status === undefined) return;
    await this.ended;
    if (this.#givenUp) onDeath("it did not answer");
    else if (!this.#asked) onDeath(this.#said.lastWords || ending(status));
  }
}
