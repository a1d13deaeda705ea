/** A saved trace: the same captures and the input log give the same events, however the bytes are cut into chunks. */
import { type CoreOptions, TraceCore } from "./core.js";
import { Feed, type TapSource, type TapSpan } from "./feed.js";
import type { OpenReader } from "../packet/open.js";
import type { LogEntry } from "./log.js";
import { Merge } from "./merge.js";

export interface Replay {
  readonly core: TraceCore;
  /** Taps in the order in which the live trace made them, all of them before the first chunk. */
  tap(source: TapSource, open?: OpenReader, span?: TapSpan): ReplayTap;
  /** Taps whose next chunk is needed. Empty: the replay is over. */
  hungry(): readonly ReplayTap[];
}

export interface ReplayTap {
  readonly number: number;
  push(chunk: Uint8Array): void;
  end(): void;
}

/** @param log entries in order; without any (captures that others made), the stamps alone decide */
export function createReplay(options: CoreOptions, log: Iterable<LogEntry> = []): Replay {
  const core = new TraceCore(options);
  const merge = new Merge();
  const entries = [...log];
  const lateRecords = new Set(
    entries.flatMap((entry) => ("late" in entry ? [`${entry.late.tap}/${entry.late.record}`] : [])),
  );
  const taps: ReplayTap[] = [];
  let position = 0;
  let over = false;
  const blocked = (tap: number): boolean => {
    if (lateRecords.size === 0) return false;
    return lateRecords.has(`${tap}/${core.columns.record[merge.headOf(tap)] ?? -1}`);
  };
  const finish = (): void => {
    over = true;
    core.end();
  };
  /** @returns whether the entry was applied; a late record may still have to be read */
  const apply = (entry: LogEntry): boolean => {
    if ("tick" in entry) core.tick(entry.tick);
    else if ("conntrack" in entry) core.conntrack(entry.conntrack);
    else if ("listening" in entry) core.listening(entry.listening);
    else if ("drops" in entry) core.drops(entry.drops.hop, entry.drops.records);
    else if ("died" in entry) core.died(entry.died.hop);
    else if ("silent" in entry) core.silent(entry.silent.hop, entry.silent.since);
    else if ("answers" in entry) core.answers(entry.answers.hop, entry.answers.time);
    else if ("line" in entry) core.line(entry.line);
    else if ("end" in entry) finish();
    else if ("late" in entry) {
      const row = merge.takeFrom(entry.late.tap);
      if (row < 0) return false;
      lateRecords.delete(`${entry.late.tap}/${entry.late.record}`);
      core.record(row);
    }
    return true;
  };
  const pump = (): void => {
    while (!over && !core.over) {
      const entry = entries[position];
      if (entry !== undefined && entry.at <= core.received) {
        // A record that is named but not there is read later, or missing: the capture was cut short.
        if (!apply(entry) && merge.starving().length > 0) return;
        position++;
        continue;
      }
      const row = merge.next(false, blocked);
      if (row < 0) break;
      core.record(row);
    }
    // Entries may be left where captures were cut short: they wait for records that are not there.
    if (core.over) over = true;
    if (!over && merge.waiting === 0 && merge.starving().length === 0) finish();
  };
  return {
    core,
    tap(source, open, span) {
      if (core.received > 0) throw new RangeError("a tap was added to a replay that has begun");
      const feed = new Feed(core, merge, options.epoch, source, open, span);
      const tap: ReplayTap = {
        number: feed.tap,
        push(chunk) {
          feed.push(chunk);
          pump();
        },
        end() {
          try {
            feed.end();
          } finally {
            pump();
          }
        },
      };
      taps.push(tap);
      return tap;
    },
    hungry() {
      if (over) return [];
      return merge.starving().flatMap((number) => taps[number] ?? []);
    },
  };
}
