/** A live trace: taps in, events out, and a log from which a replay gives the same events. */
import type { ConntrackEvent } from "../model/conntrack.js";
import { type CoreOptions, TraceCore } from "./core.js";
import { Feed, type TapSource, type TapSpan } from "./feed.js";
import type { OpenReader } from "../packet/open.js";
import type { NamespaceTap } from "../model/tap.js";
import type { LogEvent } from "../model/trace.js";
import type { LogEntry } from "./log.js";
import { Merge } from "./merge.js";

export interface TraceOptions extends CoreOptions {
  /** Takes the input log, entry by entry, to be saved beside the captures. */
  readonly log?: (entry: LogEntry) => void;
}

/** One capture of the trace. Taps have numbers in the order in which they were made; a replay makes them likewise. */
export interface TraceTap {
  readonly number: number;
  /** Records that it has delivered. */
  readonly records: number;
  /** Those of them that wait for their turn, as other taps may still bring older ones. */
  readonly waiting: number;
  /** Others took over, and it has delivered all that was to come from it. */
  readonly past: boolean;
  /** A piece of the capture, of any size. @throws CaptureError; what came before it counts */
  push(chunk: Uint8Array): void;
  /** It has delivered what it saw before `time` (milliseconds since 1970). */
  quiet(time: number): void;
  /** The tap lost records since the last call. */
  lost(records: number): void;
  /** It does not answer: nothing waits for it any more, until it answers. */
  silent(): void;
  /** It answers again, and has delivered what it saw before it was last `quiet`. */
  answers(): void;
  /** The tap ended before the trace: that a packet is not seen here proves nothing from now on. */
  died(): void;
  /** Nothing more comes. @throws CaptureError where the capture ends inside a record; the tap is over all the same */
  end(): void;
}

export interface Trace {
  readonly core: TraceCore;
  /** Something waits for the taps to be `quiet`: records, or packets that are open. */
  readonly waiting: boolean;
  tap(source: TapSource, open?: OpenReader): TraceTap;
  /**
   * Taps on whole nodes take the place of all present ones at `time` (nanoseconds since the epoch, still to come): no
   * record is lost, and none counts twice.
   * @returns the new taps; the present ones are to be ended once they have delivered what came before `time`
   */
  handOver(time: number, taps: readonly NamespaceTap[]): readonly TraceTap[];
  /** Every tap has begun by `time` (nanoseconds since the epoch). */
  listening(time: number): void;
  /** The interface of a hop is gone, whose tap is on the whole node. */
  died(hop: number): void;
  conntrack(event: ConntrackEvent): void;
  /** A container wrote a line: told in its place among the records, as far as those have not been taken. */
  line(line: LogEvent): void;
  /**
   * The wall clock: every tap has delivered what it saw before `time` (nanoseconds since the epoch). Let it trail the
   * clock by the delay of the taps, and call it a few times a second. Logged only where it changes something.
   */
  tick(time: number): void;
  /** As far as every tap says that it has delivered what it saw, time has passed: to be called a few times a second. */
  settle(): void;
  /** Takes what still waits and closes every packet and exchange. */
  end(): void;
}

export function createTrace(options: TraceOptions): Trace {
  const core = new TraceCore(options);
  const log = (entry: LogEntry): void => {
    if (!core.over) options.log?.(entry);
  };
  const merge = new Merge();
  const limit = options.window ?? 262_144;
  const feeds: Feed[] = [];
  let late = -1;
  const onLate = (tap: number): void => {
    late = tap;
  };
  const lines: LogEvent[] = [];
  /** Tells the lines that stand before `time`. */
  const tellLines = (time: number): void => {
    for (let line = lines[0]; line !== undefined && line.time <= time; line = lines[0]) {
      lines.shift();
      log({ at: core.received, line });
      core.line(line);
    }
  };
  const drain = (everything: boolean): void => {
    for (;;) {
      const row = merge.next(everything || merge.waiting > limit, undefined, onLate);
      if (row < 0) return;
      if (late >= 0) {
        // Also of a trace that is over: in a replay it would have been in time, and part of it.
        options.log?.({ at: core.received, late: { tap: late, record: core.columns.record[row] ?? 0 } });
        late = -1;
      }
      if (lines.length > 0) tellLines(core.columns.time[row] ?? 0);
      core.record(row);
    }
  };
  const died = (hop: number): void => {
    log({ at: core.received, died: { hop } });
    core.died(hop);
  };
  const add = (source: TapSource, open?: OpenReader, span?: TapSpan): TraceTap => {
    const feed = new Feed(core, merge, options.epoch, source, open, span);
    feeds.push(feed);
    return {
      number: feed.tap,
      get records() {
        return feed.records;
      },
      get waiting() {
        return merge.waitingOf(feed.tap);
      },
      get past() {
        return feed.past;
      },
      push(chunk) {
        try {
          feed.push(chunk);
        } finally {
          drain(false);
        }
      },
      quiet(time) {
        merge.advance(feed.tap, Number(BigInt(Math.trunc(time)) * 1_000_000n - options.epoch));
      },
      lost(records) {
        if (records <= 0) return;
        for (const hop of feed.hops) {
          log({ at: core.received, drops: { hop, records } });
          core.drops(hop, records);
        }
      },
      silent() {
        // What it saw before the epoch is nothing.
        const since = Math.max(0, merge.watermark(feed.tap));
        for (const hop of feed.hops) {
          log({ at: core.received, silent: { hop, since } });
          core.silent(hop, since);
        }
        merge.await(feed.tap, false);
        drain(false);
      },
      answers() {
        merge.await(feed.tap, true);
        const time = Math.max(0, merge.watermark(feed.tap));
        for (const hop of feed.hops) {
          log({ at: core.received, answers: { hop, time } });
          core.answers(hop, time);
        }
      },
      died() {
        for (const hop of feed.hops) died(hop);
      },
      end() {
        try {
          feed.end();
        } finally {
          drain(false);
        }
      },
    };
  };
  /** @param time up to which every tap has delivered what it saw */
  const settle = (time: number): void => {
    drain(false);
    if (!Number.isFinite(time)) return;
    tellLines(time);
    if (!core.due(time)) return;
    log({ at: core.received, tick: time });
    core.tick(time);
  };
  return {
    core,
    get waiting() {
      return merge.waiting > 0 || core.openSightings > 0 || lines.length > 0;
    },
    died,
    tap: (source, open) => add(source, open),
    handOver(time, taps) {
      // Also of a trace that is over: its captures are there all the same.
      options.log?.({ at: core.received, handOver: { time, taps } });
      for (const feed of feeds) feed.until = Math.min(feed.until, time);
      return taps.map(({ interfaces }) => add({ interfaces: new Map(interfaces) }, undefined, { from: time }));
    },
    listening(time) {
      log({ at: core.received, listening: time });
      core.listening(time);
    },
    conntrack(event) {
      log({ at: core.received, conntrack: event });
      core.conntrack(event);
    },
    line(line) {
      const after = lines.findLastIndex(({ time }) => time <= line.time);
      lines.splice(after + 1, 0, line);
    },
    tick(time) {
      for (const feed of feeds) merge.advance(feed.tap, time);
      settle(time);
    },
    settle() {
      settle(merge.low);
    },
    end() {
      drain(true);
      tellLines(Infinity);
      log({ at: core.received, end: true });
      core.end();
    },
  };
}
