/**
 * The taps that a trace has at one time: one on each hop, or one in each namespace. What they capture goes to the
 * recording and to the trace core, from when on the set is connected to it; until then it is kept.
 */
import type { RecordingWriter } from "../capture/recording.js";
import { Poll } from "../capture/poll.js";
import { Tap, type TapPlace } from "../capture/tap.js";
import type { NodeLine } from "../init/api.js";
import { hopName } from "../model/hop.js";
import type { Pressure } from "../model/pressure.js";
import { CaptureError } from "../packet/error.js";
import type { TraceTap } from "../trace/trace.js";

/** KiB that the rings of all taps take together, those in blocks and the others, and the least and most of one. */
const rings = { blocks: 131_072, immediate: 65_536, least: 2048, most: 98_304, mostImmediate: 16_384 } as const;

/**
 * KiB of the ring of one tap: by the interfaces that it sees. Taps in blocks, which stand where packets are many, have twice
 * as much: on a machine that forwards as fast as it can, a tap waits for a processor longer than it reads.
 * @param share of the interfaces of all taps
 */
export function ringOf(share: number, block: boolean): number {
  const together = block ? rings.blocks : rings.immediate;
  return Math.max(rings.least, Math.min(block ? rings.most : rings.mostImmediate, Math.floor(together * share)));
}

/** Records of all taps together that may wait for the taps that are behind, and how often that is looked at (milliseconds). */
const ahead = 16_384;
const patience = 5;

export interface PlannedTap extends TapPlace {
  /** pcap-filter(7) text; empty for everything. */
  readonly filter: string;
  /** How many hops it sees. */
  readonly hops: number;
}

export interface TapSetOptions {
  readonly line: NodeLine;
  readonly taps: readonly PlannedTap[];
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** Reads whole blocks, up to a second late. */
  readonly block: boolean;
  readonly recording: RecordingWriter | undefined;
  readonly onBytes: () => void;
  /** Whoever takes the events is behind: nothing is read until it settles. */
  readonly pressure: Pressure | undefined;
  /** A tap has said how far it has come. */
  readonly onQuiet: () => void;
  readonly onDeath: (name: string, reason: string) => void;
  /** A tap does not answer, or answers again. Not told: everything waits for it. */
  readonly onSilence?: (name: string, silent: boolean) => void;
}

export class TapSet implements Disposable {
  readonly #started: { readonly tap: Tap; readonly at: number }[] = [];
  readonly #kept: Uint8Array[][];
  readonly #dropped: number[];
  #feeds: readonly TraceTap[] = [];
  /** When others take over, milliseconds since 1970; and the taps that have told after it what they lost until then. */
  #cut = Infinity;
  readonly #accounted = new Set<number>();
  #over = false;

  constructor(private readonly options: TapSetOptions) {
    this.#kept = options.taps.map(() => []);
    this.#dropped = options.taps.map(() => 0);
  }

  get block(): boolean {
    return this.options.block;
  }

  /** Most records that any one tap has delivered. */
  get records(): number {
    return Math.max(0, ...this.#feeds.map(({ records }) => records));
  }

  /** Settles when every tap listens. */
  async start(): Promise<void> {
    const { taps } = this.options;
    const all = await Promise.allSettled(
      taps.map(async (tap, at) => this.#started.push({ tap: await this.#startTap(tap, at), at })),
    );
    const failed = all.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** @param feeds one for each tap, in their order */
  connect(feeds: readonly TraceTap[]): void {
    this.#feeds = feeds;
    for (const [at, kept] of this.#kept.entries()) for (const bytes of kept.splice(0)) this.#take(at, bytes);
  }

  /** Others take over then (milliseconds since 1970): what these taps lose later is of no use to anybody. */
  cutAt(time: number): void {
    this.#cut = time;
  }

  /** Asks each tap how far it has come, and what it lost. */
  ask(): void {
    for (const { tap } of this.#started) tap.ask();
  }

  /** Ends every tap and reads what it still had; where others took over, as far as it counts. */
  async stop(): Promise<void> {
    const stopped = await Promise.allSettled(
      this.#started.map(({ tap, at }) => tap.stop(() => this.#feeds[at]?.past === true)),
    );
    // Where init is gone, and its taps with it, what they saw until then counts all the same.
    await Promise.all(this.#started.map(({ tap }) => tap.ended));
    const failed = stopped.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  [Symbol.dispose](): void {
    this.#over = true;
    for (const { tap } of this.#started) tap.abandon();
  }

  async #startTap(place: PlannedTap, at: number): Promise<Tap> {
    const { line, taps, snapshotLength, block, onDeath, onSilence } = this.options;
    const share = place.hops / taps.reduce((sum, { hops }) => sum + hops, 0);
    const most = Math.max(1024, ahead * share);
    const tap = await Tap.start(line, {
      hop: place,
      filter: place.filter,
      snapshotLength,
      ring: ringOf(share, block),
      block,
      pressure: (ending) => this.#turn(at, most) ?? (ending ? undefined : this.options.pressure?.()),
      onBytes: (bytes) => {
        this.options.onBytes();
        if (this.#feeds.length === 0) this.#kept[at]?.push(bytes.slice());
        else this.#take(at, bytes);
      },
      delivered: () => this.#feeds[at]?.records ?? 0,
      onDrops: (total) => {
        // The first count after the cut may hold losses from before it.
        if (this.#accounted.has(at)) return;
        if (Date.now() > this.#cut) this.#accounted.add(at);
        this.#feeds[at]?.lost(total - (this.#dropped[at] ?? 0));
        this.#dropped[at] = total;
      },
      onQuiet: (time) => {
        this.#feeds[at]?.quiet(time);
        this.options.onQuiet();
      },
      ...(onSilence !== undefined && {
        onSilence: (silent: boolean) => {
          if (silent) this.#feeds[at]?.silent();
          else this.#feeds[at]?.answers();
          onSilence(hopName(place), silent);
        },
      }),
      onDeath: (reason) => {
        this.#feeds[at]?.died();
        onDeath(hopName(place), reason);
      },
    });
    void tap.ended.then(() => endFeed(this.#feeds[at]));
    return tap;
  }

  /** Where as many records of a tap wait for others, who are slower: settles when most of them have been joined. */
  #turn(at: number, most: number): Promise<unknown> | undefined {
    const feed = this.#feeds[at];
    if (feed === undefined || feed.waiting < most) return undefined;
    return new Poll(() => feed.waiting < most / 2 || this.#over, patience).done;
  }

  #take(at: number, bytes: Uint8Array): void {
    const feed = this.#feeds[at];
    if (feed === undefined) throw new RangeError(`no feed for tap ${at}`);
    this.options.recording?.bytes(feed.number, bytes);
    feed.push(bytes);
  }
}

/** A tap that was killed may end inside a record: what came before it counts, and that it ended is told. */
function endFeed(feed: TraceTap | undefined): void {
  try {
    feed?.end();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
  }
}
