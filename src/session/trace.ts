/**
 * `trace`: taps on every hop, a command perhaps, and packets joined while they come.
 *
 * Order at the end: the command has ended, the network is quiet, the taps have been stopped and read to their end, the
 * trace core closes what is open. So the last FIN is there.
 */
import { setTimeout as delay } from "node:timers/promises";
import { followConntrack } from "../capture/conntrack.js";
import { RecordingWriter } from "../capture/recording.js";
import { Tap } from "../capture/tap.js";
import { Failure } from "../model/failure.js";
import { type Hop, hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { PacketEvent, TraceEvent, TraceFilter } from "../model/trace.js";
import { hops as tappableHops } from "../path/hops.js";
import { tapFilter } from "../path/tap-filter.js";
import { createTrace, type Trace, type TraceTap } from "../trace/trace.js";
import { type CommandOutput, startCommand } from "./command.js";
import { OpenLab } from "./open-lab.js";
import { shellStatus } from "./terminal.js";
import { checkNode, findLab, parseTarget } from "./target.js";

export interface TraceOptions {
  readonly lab: string | undefined;
  readonly filter: TraceFilter;
  /** Node in which the command runs. */
  readonly from: string | undefined;
  /** Ends the trace when it has ended; empty: the trace goes on until the signal. */
  readonly argv: readonly string[];
  /** Folder of the recording; undefined saves nothing. */
  readonly save: string | undefined;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** Ends the trace after so many closed packets. */
  readonly count: number | undefined;
  /** Ends the trace after so many milliseconds. */
  readonly duration: number | undefined;
  /** Where the command's output goes. */
  readonly output: CommandOutput;
  readonly onEvent: (event: TraceEvent) => void;
  readonly onProvisional?: (packet: PacketEvent) => void;
  /** Every tap listens. */
  readonly onReady?: (hops: readonly Hop[]) => void;
  readonly onWarning: (text: string) => void;
  /** Ends the trace and keeps what was captured. */
  readonly signal: AbortSignal;
}

export interface TraceResult {
  /** Status of the command, as a shell gives it. */
  readonly status?: number;
  readonly interrupted: boolean;
  readonly packets: number;
  /** Where it was saved. */
  readonly saved?: string;
}

/** Delay of a tap in immediate mode, in nanoseconds: how far the clock of idle taps trails the wall clock. */
const tapDelay = 50e6;
const tickInterval = 50;
/** Milliseconds without a record after which the network counts as quiet, and the most to wait for that. */
const quiet = 250;
const patience = 3000;
/** How often the taps are asked for their drops. */
const dropInterval = 1000;

export async function trace(options: TraceOptions): Promise<TraceResult> {
  const from = options.from === undefined ? undefined : parseTarget(options.from);
  const found = findLab(from?.lab ?? options.lab);
  const node = from === undefined ? undefined : checkNode(found.record, from.node);
  using lab = await OpenLab.connect(found);
  const snapshot = await lab.snapshot();
  const hops = tappableHops(snapshot, node === undefined ? {} : { from: node });
  if (hops.length === 0) throw new Failure("usage", `lab '${found.record.name}' has no interface to trace`);

  const epoch = BigInt(Date.now()) * 1_000_000n;
  using live = new LiveTrace(lab, snapshot, hops, epoch, options);
  await live.start();
  options.onReady?.(hops);

  const ends: Promise<unknown>[] = [aborted(options.signal), lab.line.gone];
  let status: number | undefined;
  if (options.argv.length > 0) {
    const command = await startCommand(lab, node, options.argv, options.output);
    options.signal.addEventListener("abort", () => command.signal("SIGINT"), { once: true });
    ends.push(command.exit.then((exit) => (status = shellStatus(exit))));
  }
  const stop = new AbortController();
  if (options.duration !== undefined)
    ends.push(delay(options.duration, undefined, { signal: stop.signal }).catch(() => undefined));
  if (options.count !== undefined) ends.push(live.reached(options.count));
  await Promise.race(ends);
  stop.abort();

  await live.finish();
  return {
    ...(status === undefined ? {} : { status }),
    interrupted: options.signal.aborted,
    packets: live.packets,
    ...(options.save === undefined ? {} : { saved: options.save }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Taps, conntrack listeners, the clock, the recording and the trace core of one run; owns them all. */
class LiveTrace implements Disposable {
  packets = 0;
  readonly #trace: Trace;
  readonly #recording: RecordingWriter | undefined;
  readonly #taps: Tap[] = [];
  readonly #followers: Disposable[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #lastRecord = 0;
  #onPacket: (() => void) | undefined;

  constructor(
    private readonly lab: OpenLab,
    private readonly snapshot: Snapshot,
    private readonly hops: readonly Hop[],
    private readonly epoch: bigint,
    private readonly options: TraceOptions,
  ) {
    const { filter, save } = options;
    const header = { version: 1, ...labOf(snapshot), epoch: String(epoch), hops, filter } as const;
    this.#recording = save === undefined ? undefined : new RecordingWriter(save, header, snapshot);
    this.#trace = createTrace({
      snapshot,
      hops,
      filter,
      epoch,
      emit: (event) => this.#emit(event),
      ...(options.onProvisional === undefined ? {} : { provisional: options.onProvisional }),
      log: (entry) => this.#recording?.log(entry),
    });
  }

  /** Settles when every tap listens. */
  async start(): Promise<void> {
    for (const node of this.snapshot.nodes)
      if (node.nftables.length > 0 || node.conntrack.length > 0)
        this.#followers.push(followConntrack(this.lab.line, node.name, (event) => this.#trace.conntrack(event)));
    const feeds = this.hops.map((_, hop) => this.#trace.tap({ hop }));
    const started = await Promise.allSettled(
      this.hops.map(async (hop, index) => this.#taps.push(await this.#startTap(hop, index, feeds[index]))),
    );
    const failed = started.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    this.#every(tickInterval, () => this.#tick());
    this.#every(dropInterval, () => {
      for (const tap of this.#taps) tap.askDrops();
    });
  }

  /** Settles when so many packets have closed. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onPacket = () => {
        if (this.packets >= count) resolve();
      };
    });
  }

  /** Waits for the network to be quiet, stops the taps, closes the trace. */
  async finish(): Promise<void> {
    const deadline = Date.now() + patience;
    const began = Date.now();
    while (!this.options.signal.aborted && Date.now() < deadline) {
      const idle = Date.now() - Math.max(this.#lastRecord, began);
      if (idle >= quiet) break;
      await delay(quiet - idle);
    }
    this.#stopClocks();
    await Promise.all(this.#taps.map((tap) => tap.stop()));
    this.#trace.end();
    this.#recording?.close();
  }

  [Symbol.dispose](): void {
    this.#stopClocks();
    for (const tap of this.#taps) tap.abandon();
  }

  async #startTap(hop: Hop, index: number, feed: TraceTap | undefined): Promise<Tap> {
    if (feed === undefined) throw new RangeError(`no feed for ${hopName(hop)}`);
    let dropped = 0;
    const tap = await Tap.start(this.lab.line, {
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
    });
    void tap.ended.then(() => feed.end());
    return tap;
  }

  #emit(event: TraceEvent): void {
    this.options.onEvent(event);
    if (event.type !== "packet") return;
    this.packets += 1;
    this.#onPacket?.();
  }

  #tick(): void {
    const time = Number(BigInt(Date.now()) * 1_000_000n - this.epoch) - tapDelay;
    if (time > 0) this.#trace.tick(time);
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.push(setInterval(action, milliseconds));
  }

  #stopClocks(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    for (const follower of this.#followers.splice(0)) follower[Symbol.dispose]();
  }
}

function labOf(snapshot: Snapshot): { readonly lab?: string } {
  return snapshot.lab === undefined ? {} : { lab: snapshot.lab };
}
