/**
 * How far time has passed, as far as the taps say. Idle taps do not say it by records: they are asked, as soon as the answer
 * can cover what came, and what their answers let go is told at once.
 */
export interface TapClockParts {
  /** Asks all taps how far they have come, and what they lost. */
  readonly ask: () => void;
  /** Tells what the answers let go. */
  readonly settle: () => void;
  /** Something waits for the taps. */
  readonly waiting: () => boolean;
  /** The taps are asked for what they lost alone, and nothing is told before they have ended. */
  readonly holds: boolean;
}

/** Milliseconds between two looks at the clock, for packets that run out of time. */
const tickInterval = 30;
/**
 * From a record until the taps are asked how far they have come, so that the answer covers it (tap.ts allows a record 20 ms
 * from its stamp into the ring); how long others that follow it are waited for; and the least between two questions, also
 * where records are many. Milliseconds.
 */
const asking = { after: 25, patience: 15, apart: 30, apartBusy: 100 } as const;
/** Reads since the last question from which on records are many: then they themselves say how far time has passed. */
const manyReads = 64;
/** How often the taps are asked for their drops, in milliseconds. */
const dropInterval = 1000;

export class TapClock implements Disposable {
  /** Milliseconds since 1970. */
  lastRecord = 0;
  readonly #parts: TapClockParts;
  readonly #timers: NodeJS.Timeout[] = [];
  #lastQuestion = 0;
  #reads = 0;
  #question: NodeJS.Timeout | undefined;
  #settling = false;
  #finishing = false;

  constructor(parts: TapClockParts) {
    this.#parts = parts;
  }

  start(): void {
    if (!this.#parts.holds) this.#timers.push(setInterval(() => this.#tick(), tickInterval));
    this.#timers.push(setInterval(() => this.#ask(), dropInterval));
  }

  /** The taps will be stopped and read to their end: no further questions but for what was lost, and no answers. */
  finish(): void {
    this.#finishing = true;
  }

  /** A tap has delivered something. */
  came(): void {
    this.lastRecord = Date.now();
    this.#reads += 1;
    this.#askSoon();
  }

  /** A tap has answered: one settlement for the answers of all that come together. */
  answered(): void {
    if (this.#settling || this.#finishing || this.#parts.holds) return;
    this.#settling = true;
    setImmediate(() => {
      this.#settling = false;
      if (!this.#finishing) this.#parts.settle();
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#question);
    this.#question = undefined;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  #ask(): void {
    this.#lastQuestion = Date.now();
    this.#reads = 0;
    this.#parts.ask();
  }

  #askSoon(): void {
    if (this.#question !== undefined || this.#finishing || this.#parts.holds) return;
    const began = Date.now();
    const wait = (): void => {
      const due = Math.min(this.lastRecord, began + asking.patience) + asking.after;
      const left = Math.max(due, this.#lastQuestion + this.#apart) - Date.now();
      this.#question = left > 0 ? setTimeout(wait, left) : undefined;
      if (left > 0) return;
      this.#ask();
      // The answer does not cover what came just now.
      if (Date.now() - this.lastRecord < asking.after) this.#askSoon();
    };
    wait();
  }

  get #apart(): number {
    return this.#reads > manyReads ? asking.apartBusy : asking.apart;
  }

  /** What is still open runs out of time, where the taps say that it has passed. */
  #tick(): void {
    this.#parts.settle();
    const asked = this.#question !== undefined || Date.now() - this.#lastQuestion < this.#apart;
    if (this.#parts.waiting() && !asked) this.#ask();
  }
}
