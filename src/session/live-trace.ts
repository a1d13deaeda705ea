/**
 * A trace under way: taps, conntrack listeners, the clock, the recording and the trace core.
 *
 * Order at the end: the network is quiet, the taps have been stopped and read to their end, the trace core closes what
 * is open. So the last FIN is there.
 */
import { setTimeout as timeout } from "node:timers/promises";
import { followConntrack } from "../capture/conntrack.js";
import { followNewLinks } from "../capture/links.js";
import { RecordingWriter } from "../capture/recording.js";
import { Tap } from "../capture/tap.js";
import type { NodeLine } from "../init/api.js";
import { type Hop, hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { PacketEvent, TraceEvent, TraceFilter } from "../model/trace.js";
import { CaptureError } from "../packet/error.js";
import { tapFilter } from "../path/tap-filter.js";
import { longestDelay } from "../trace/patience.js";
import { createTrace, type Trace, type TraceTap } from "../trace/trace.js";

export interface LiveTraceOptions {
  readonly filter: TraceFilter;
  /** Folder of the recording; undefined saves nothing. */
  readonly save: string | undefined;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  readonly onEvent: (event: TraceEvent) => void;
  readonly onProvisional?: (packet: PacketEvent) => void;
  /** Ends the trace after so many packets. */
  readonly count?: number | undefined;
  /** What the reader must know of the trace itself: a tap that ended, an interface without one. */
  readonly onWarning?: (text: string) => void;
  /**
   * False: nothing is told before every tap has shown what comes after it, or has ended. For who can wait: on a busy
   * machine a tap may be later than the wall clock allows for, and what it shows then joins nothing.
   */
  readonly clock?: boolean;
  /** Aborted: the end does not wait for a quiet network. */
  readonly signal: AbortSignal;
}

/** Delay of a tap in immediate mode, in nanoseconds: how far the clock of idle taps trails the wall clock. */
const tapDelay = 50e6;
const tickInterval = 50;
/** Milliseconds without a record after which the network counts as quiet, and the most to wait for that. */
const quiet = 250;
const patience = 3000;
/** How often the taps are asked for their drops. */
const dropInterval = 1000;

/** Taps, conntrack listeners, the clock, the recording and the trace core of one run; owns them all. */
export class LiveTrace implements Disposable {
  packets = 0;
  /** Settles when everything has been told: after `count` packets, or at the end. */
  readonly over: Promise<void>;
  readonly #trace: Trace;
  readonly #recording: RecordingWriter | undefined;
  readonly #taps: Tap[] = [];
  readonly #followers: Disposable[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #lastRecord = 0;
  #finishing = false;
  #onEnd: () => void = () => undefined;

  constructor(
    private readonly line: NodeLine,
    private readonly snapshot: Snapshot,
    private readonly hops: readonly Hop[],
    private readonly epoch: bigint,
    private readonly options: LiveTraceOptions,
  ) {
    this.over = new Promise((resolve) => (this.#onEnd = resolve));
    const { filter, save } = options;
    const count = options.count === undefined ? {} : { count: options.count };
    const header = { version: 1, ...labOf(snapshot), epoch: String(epoch), hops, filter, ...count } as const;
    this.#recording = save === undefined ? undefined : new RecordingWriter(save, header, snapshot);
    this.#trace = createTrace({
      snapshot,
      hops,
      filter,
      epoch,
      ...count,
      emit: (event) => this.#emit(event),
      ...(options.onProvisional === undefined ? {} : { provisional: options.onProvisional }),
      log: (entry) => this.#recording?.log(entry),
    });
  }

  /** Settles when every tap listens. */
  async start(): Promise<void> {
    for (const node of this.snapshot.nodes)
      if (node.nftables.length > 0 || node.conntrack.length > 0)
        this.#followers.push(followConntrack(this.line, node.name, (event) => this.#trace.conntrack(event)));
    this.#followLinks();
    const feeds = this.hops.map((_, hop) => this.#trace.tap({ hop }));
    const started = await Promise.allSettled(
      this.hops.map(async (hop, index) => this.#taps.push(await this.#startTap(hop, index, feeds[index]))),
    );
    const failed = started.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    if (this.options.clock !== false) this.#every(tickInterval, () => this.#tick());
    this.#every(dropInterval, () => {
      for (const tap of this.#taps) tap.askDrops();
    });
  }

  /** Waits for the network to be quiet unless the trace is over, stops the taps, closes the trace. */
  async finish(): Promise<void> {
    this.#finishing = true;
    // What a link still holds back comes late.
    const delay = longestDelay(this.snapshot, this.hops) / 1e6;
    const calm = quiet + delay;
    const deadline = Date.now() + patience + 2 * delay;
    const began = Date.now();
    while (!this.options.signal.aborted && !this.#trace.core.over && Date.now() < deadline) {
      const idle = Date.now() - Math.max(this.#lastRecord, began);
      if (idle >= calm) break;
      await sleep(calm - idle, this.options.signal);
    }
    this.#stopClocks();
    const stopped = await Promise.allSettled(this.#taps.map((tap) => tap.stop()));
    // Where init is gone, and its taps with it, what they saw until then counts all the same.
    await Promise.all(this.#taps.map((tap) => tap.ended));
    this.#trace.end();
    this.#recording?.close();
    const failed = stopped.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  [Symbol.dispose](): void {
    this.#stopClocks();
    for (const tap of this.#taps) tap.abandon();
  }

  async #startTap(hop: Hop, index: number, feed: TraceTap | undefined): Promise<Tap> {
    if (feed === undefined) throw new RangeError(`no feed for ${hopName(hop)}`);
    let dropped = 0;
    const tap = await Tap.start(this.line, {
      hop,
      filter: this.options.filter.raw ?? tapFilter(hop, this.options.filter, this.snapshot),
      snapshotLength: this.options.snapshotLength,
      onBytes: (bytes) => {
        this.#lastRecord = Date.now();
        this.#recording?.bytes(index, bytes);
        feed.push(bytes);
      },
      onDrops: (total) => {
        feed.lost(total - dropped);
        dropped = total;
      },
      onDeath: (reason) => {
        feed.died();
        this.#warn(`the tap at ${hopName(hop)} ended (${reason}): what passes there is no longer seen`);
      },
    });
    void tap.ended.then(() => endFeed(feed));
    return tap;
  }

  /** Tells of interfaces that come up in the nodes that have taps. */
  #followLinks(): void {
    for (const name of new Set(this.hops.map(({ node }) => node))) {
      const known = this.snapshot.nodes.find((node) => node.name === name)?.interfaces ?? [];
      const indexes = known.map(({ index }) => index);
      const onLink = (link: string): void =>
        this.#warn(`${name}:${link} came up after the trace had begun: it has no tap; a new trace will have one`);
      this.#followers.push(followNewLinks(this.line, name, indexes, onLink));
    }
  }

  #warn(text: string): void {
    if (!this.#finishing) this.options.onWarning?.(text);
  }

  #emit(event: TraceEvent): void {
    this.options.onEvent(event);
    if (event.type === "packet") this.packets += 1;
    else if (event.type === "end") this.#onEnd();
  }

  #tick(): void {
    const time = Number(BigInt(Date.now()) * 1_000_000n - this.epoch) - tapDelay;
    if (time <= 0) return;
    // After what waits to be read: where this process did not run for a while, timers come before it in node's loop.
    setImmediate(() => {
      if (this.#timers.length > 0) this.#trace.tick(time);
    });
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.push(setInterval(action, milliseconds));
  }

  #stopClocks(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    for (const follower of this.#followers.splice(0)) follower[Symbol.dispose]();
  }
}

/** Until the time is up or the signal comes. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await timeout(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** A tap that was killed may end inside a record: what came before it counts, and that it ended is told. */
function endFeed(feed: TraceTap): void {
  try {
    feed.end();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
  }
}

function labOf(snapshot: Snapshot): { readonly lab?: string } {
  return snapshot.lab === undefined ? {} : { lab: snapshot.lab };
}
