/**
 * A trace under way: taps, conntrack listeners, the clock, the recording and the trace core.
 *
 * Order at the end: the network is quiet, the taps have been stopped and read to their end, the trace core closes what
 * is open. So the last FIN is there.
 */
import { setTimeout as timeout } from "node:timers/promises";
import type { LogFollower } from "../capture/container-log.js";
import { followConntrack } from "../capture/conntrack.js";
import { followLinks } from "../capture/links.js";
import { RecordingWriter } from "../capture/recording.js";
import { anyInterface } from "../capture/tcpdump.js";
import type { NodeLine } from "../init/api.js";
import { type Hop, hopName } from "../model/hop.js";
import type { Pressure } from "../model/pressure.js";
import type { Snapshot } from "../model/snapshot.js";
import type { NamespaceTap, TapMode } from "../model/tap.js";
import type { PacketEvent, PacketsTold, TraceEvent, TraceFilter } from "../model/trace.js";
import { tapFilter } from "../path/tap-filter.js";
import { manyHops, namespaceFilter, namespaceTaps } from "../path/tap-plan.js";
import { longestDelay } from "../trace/patience.js";
import { createTrace, type Trace, type TraceTap } from "../trace/trace.js";
import type { ContainerLogs } from "./trace-logs.js";
import { TapClock } from "./tap-clock.js";
import { type PlannedTap, TapSet } from "./tap-set.js";

export interface LiveTraceOptions {
  readonly filter: TraceFilter;
  /** Folder of the recording; undefined saves nothing. */
  readonly save: string | undefined;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** Default: a tap a hop. */
  readonly tap?: TapMode;
  /** Logs of containers, to stand in the same time line. */
  readonly logs?: ContainerLogs;
  readonly onEvent: (event: TraceEvent) => void;
  /** Takes packets that are still open; each costs as much as one that has closed. */
  readonly onProvisional?: ((packet: PacketEvent) => void) | undefined;
  /** Default: all. */
  readonly tell?: PacketsTold;
  /** Whoever takes the events is behind: the taps are not read until it settles. */
  readonly pressure?: Pressure;
  /** Ends the trace after so many packets. */
  readonly count?: number | undefined;
  /** What the reader must know of the trace itself: a tap that ended, an interface without one. */
  readonly onWarning?: (text: string) => void;
  /**
   * False: nothing is told before every tap has shown what comes after it, or has ended, not even where one does not answer.
   * For who can wait: on a busy machine a tap may be late, and what it shows when others went on joins nothing.
   */
  readonly clock?: boolean;
  /** Aborted: the end does not wait for a quiet network. */
  readonly signal: AbortSignal;
}

/** Records that one tap may deliver in the time between (milliseconds) before taps on whole nodes take over: 2,000 a second. */
const busy = { records: 400, interval: 200 } as const;
/** From the decision that other taps take over to the moment, in nanoseconds: none may have delivered a record of it. */
const handOverLead = 50e6;
/** Milliseconds without a record after which the network counts as quiet, and the most to wait for that. */
const quiet = 250;
const patience = 3000;

/** Taps, conntrack listeners, the clock, the recording and the trace core of one run; owns them all. */
export class LiveTrace implements Disposable {
  /** Told by the end. */
  packets = 0;
  /** Settles when everything has been told: after `count` packets, or at the end. */
  readonly over: Promise<void>;
  readonly #trace: Trace;
  readonly #recording: RecordingWriter | undefined;
  /** That of the beginning, and perhaps the one that took over. */
  readonly #sets: TapSet[] = [];
  /** Taps on whole nodes that the trace begins with. */
  readonly #first: readonly NamespaceTap[] | undefined;
  readonly #followers: Disposable[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #logs: LogFollower | undefined;
  readonly #clock: TapClock;
  #handingOver: Promise<void> | undefined;
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
    const { filter, save, tap } = options;
    const count = options.count === undefined ? {} : { count: options.count };
    if (tap === "namespace" || (tap === "auto" && hops.length > manyHops)) this.#first = namespaceTaps(hops);
    const taps = this.#first === undefined ? {} : { taps: this.#first };
    const header = { version: 1, ...labOf(snapshot), epoch: String(epoch), hops, ...taps, filter, ...count } as const;
    this.#recording = save === undefined ? undefined : new RecordingWriter(save, header, snapshot);
    this.#trace = createTrace({
      snapshot,
      hops,
      filter,
      epoch,
      ...count,
      tell: options.tell ?? "all",
      emit: (event) => this.#emit(event),
      ...(options.onProvisional === undefined ? {} : { provisional: options.onProvisional }),
      log: (entry) => this.#recording?.log(entry),
    });
    const trace = this.#trace;
    this.#clock = new TapClock({
      ask: () => {
        for (const set of this.#sets) set.ask();
      },
      settle: () => trace.settle(),
      waiting: () => trace.waiting,
      holds: options.clock === false,
    });
  }

  /** Settles when every tap listens. */
  async start(): Promise<void> {
    for (const node of this.snapshot.nodes)
      if (node.nftables.length > 0 || node.conntrack.length > 0)
        this.#followers.push(followConntrack(this.line, node.name, (event) => this.#trace.conntrack(event)));
    const [set, feeds] = this.#firstSet();
    this.#followLinks();
    this.#logs = this.options.logs?.follow(this.epoch, (line) => this.#trace.line(line));
    this.#sets.push(set);
    set.connect(feeds);
    await set.start();
    this.#trace.listening(this.#now());
    this.#clock.start();
    if (this.options.tap === "auto" && !set.block) this.#watchRate(set);
  }

  #firstSet(): [TapSet, TraceTap[]] {
    if (this.#first !== undefined)
      return [
        this.#namespaceSet(this.#first),
        this.#first.map(({ interfaces }) => this.#trace.tap({ interfaces: new Map(interfaces) })),
      ];
    const filter = tapFilter(this.options.filter, this.snapshot);
    const planned = this.hops.map(({ node, interface: name }) => ({ node, interface: name, filter, hops: 1 }));
    return [this.#set(planned, false), this.hops.map((_, hop) => this.#trace.tap({ hop }))];
  }

  /** Waits for the network to be quiet unless the trace is over, stops the taps, closes the trace. */
  async finish(): Promise<void> {
    this.#finishing = true;
    this.#clock.finish();
    await this.#handingOver;
    // What a link still holds back comes late.
    const delay = longestDelay(this.snapshot, this.hops) / 1e6;
    const calm = quiet + delay;
    const deadline = Date.now() + patience + 2 * delay;
    const began = Date.now();
    while (!this.options.signal.aborted && !this.#trace.core.over && Date.now() < deadline) {
      const idle = Date.now() - Math.max(this.#clock.lastRecord, began);
      if (idle >= calm) break;
      await sleep(calm - idle, this.options.signal);
    }
    this.#stopClocks();
    const stopped = await Promise.allSettled(this.#sets.map((set) => set.stop()));
    this.#logs?.flush();
    this.#trace.end();
    this.#recording?.close();
    const failed = stopped.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  [Symbol.dispose](): void {
    this.#stopClocks();
    this.#logs?.[Symbol.dispose]();
    for (const set of this.#sets) set[Symbol.dispose]();
  }

  #namespaceSet(taps: readonly NamespaceTap[]): TapSet {
    const { filter } = this.options;
    const planned = taps.map((tap) => ({
      node: tap.node,
      interface: anyInterface,
      filter: namespaceFilter(tap, filter, this.snapshot),
      hops: tap.interfaces.length,
    }));
    return this.#set(planned, true);
  }

  #set(taps: readonly PlannedTap[], block: boolean): TapSet {
    return new TapSet({
      line: this.line,
      taps,
      snapshotLength: this.options.snapshotLength,
      block,
      recording: this.#recording,
      onBytes: () => this.#clock.came(),
      pressure: this.options.pressure,
      onQuiet: () => this.#clock.answered(),
      onDeath: (name, reason) =>
        this.#warn(`the tap at ${name} ended (${reason}): what passes there is no longer seen`),
      ...(this.options.clock === false ? {} : { onSilence: (name, silent) => this.#tellSilence(name, silent) }),
    });
  }

  #tellSilence(name: string, silent: boolean): void {
    this.#warn(
      silent
        ? `the tap at ${name} does not answer: the others go on, and what passes there is seen late if at all`
        : `the tap at ${name} answers again`,
    );
  }

  #watchRate(set: TapSet): void {
    let before = set.records;
    this.#every(busy.interval, () => {
      const { records } = set;
      if (records - before >= busy.records && !this.#finishing) this.#handingOver ??= this.#handOver(set);
      before = records;
    });
  }

  /** Taps on whole nodes take over: begun beside the others, so that no record is lost. Where they cannot, those stay. */
  async #handOver(before: TapSet): Promise<void> {
    const taps = namespaceTaps(this.hops);
    const set = this.#namespaceSet(taps);
    this.#sets.push(set);
    try {
      await set.start();
    } catch (error) {
      this.#sets.pop();
      set[Symbol.dispose]();
      this.#warn(
        `packets are many, and taps on whole nodes cannot start: ${error instanceof Error ? error.message : String(error)}`,
      );
      return;
    }
    for (const { node } of taps) this.#recording?.addCapture({ node, interface: anyInterface });
    const time = this.#now() + handOverLead;
    set.connect(this.#trace.handOver(time, taps));
    before.cutAt(Number(this.epoch / 1_000_000n) + time / 1e6);
    await timeout((time - this.#now()) / 1e6);
    await before.stop();
    this.#sets.splice(this.#sets.indexOf(before), 1);
  }

  /** Tells of interfaces that come up in the nodes that have taps, and what no tap tells: that one is gone. */
  #followLinks(): void {
    for (const name of new Set(this.hops.map(({ node }) => node))) {
      const known = this.snapshot.nodes.find((node) => node.name === name)?.interfaces ?? [];
      const indexes = known.map(({ index }) => index);
      const onLink = (link: string): void =>
        this.#warn(`${name}:${link} came up after the trace had begun: it has no tap; a new trace will have one`);
      const onGone = (index: number): void => this.#gone(name, index);
      this.#followers.push(followLinks(this.line, name, indexes, { onLink, onGone }));
    }
  }

  /** The tap of an interface ends with it; one on the whole node does not. */
  #gone(node: string, index: number): void {
    const number = this.hops.findIndex((hop) => hop.node === node && hop.index === index);
    const hop = this.hops[number];
    if (hop === undefined || this.#sets.at(-1)?.block !== true) return;
    this.#trace.died(number);
    this.#warn(`${hopName(hop)} is gone: what passed there is no longer seen`);
  }

  #warn(text: string): void {
    if (!this.#finishing) this.options.onWarning?.(text);
  }

  #emit(event: TraceEvent): void {
    this.options.onEvent(event);
    if (event.type !== "end") return;
    this.packets = event.packets;
    this.#onEnd();
  }

  /** Nanoseconds since the epoch. */
  #now(): number {
    return Number(BigInt(Date.now()) * 1_000_000n - this.epoch);
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.push(setInterval(action, milliseconds));
  }

  #stopClocks(): void {
    this.#clock[Symbol.dispose]();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    for (const follower of this.#followers.splice(0)) follower[Symbol.dispose]();
  }
}

/** Until the time is up or the signal comes. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await timeout(milliseconds, undefined, { signal }).catch(() => undefined);
}

function labOf(snapshot: Snapshot): { readonly lab?: string } {
  return snapshot.lab === undefined ? {} : { lab: snapshot.lab };
}
