/** `view`: a saved trace through the same core again, without root, without the machine that it was taken on. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { readRecording, type Recording, type RecordingHeader } from "../capture/recording.js";
import { Failure, fileFailure } from "../model/failure.js";
import type { Pressure } from "../model/pressure.js";
import type { NamespaceTap } from "../model/tap.js";
import type { PacketsTold, TraceEvent } from "../model/trace.js";
import { isLogEntry, type LogEntry } from "../trace/log.js";
import { CaptureError } from "../packet/error.js";
import type { TapSpan } from "../trace/feed.js";
import { createReplay, type Replay, type ReplayTap } from "../trace/replay.js";

export interface ReplayOptions {
  /** Folder of a saved trace. */
  readonly path: string;
  readonly onEvent: (event: TraceEvent) => void;
  /** Default: all. */
  readonly tell?: PacketsTold;
  /** Whoever takes the events is behind: nothing more is read until it settles. */
  readonly pressure?: Pressure;
  /** What of it cannot be read. */
  readonly onWarning: (text: string) => void;
}

const chunkSize = 1 << 18;

/** Settles when every event was given out. */
export async function replay(options: ReplayOptions): Promise<void> {
  const recording = readRecording(options.path);
  const { header, snapshot } = recording;
  const log = entriesOf(recording);
  const run = undamaged(recording, () =>
    createReplay(
      {
        snapshot,
        hops: header.hops,
        filter: header.filter,
        epoch: BigInt(header.epoch),
        ...(header.count === undefined ? {} : { count: header.count }),
        tell: options.tell ?? "all",
        emit: options.onEvent,
      },
      log,
    ),
  );
  const files: number[] = [];
  try {
    for (const capture of recording.captures) files.push(openCapture(capture));
    const buffer = new Uint8Array(chunkSize);
    addTaps(run, header, log);
    const onCut = ({ message }: CaptureError, tap: ReplayTap): void =>
      options.onWarning(`${recording.captures[tap.number] ?? options.path}: ${message}`);
    await feedAll(run, (tap) => feed(tap, files[tap.number], buffer, onCut), options.pressure);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/**
 * Makes the network of a snapshot, which is too large to be checked field by field: what a damaged one lacks is found by what
 * cannot be made of it.
 * @throws Failure (usage)
 */
function undamaged<T>({ folder }: Recording, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("usage", `no network can be made of ${folder}/snapshot.json`, {
      cause: error,
      hint: "the saved trace is damaged",
    });
  }
}

/** @throws Failure (usage) where a line is no entry: the log was damaged after `trace` had written it */
function entriesOf({ folder, log }: Recording): readonly LogEntry[] {
  return log.map((entry, index) => {
    if (isLogEntry(entry)) return entry;
    throw new Failure("usage", `${folder}/log.jsonl, line ${index + 1} is no entry of the log of a trace`, {
      hint: "the saved trace is damaged",
    });
  });
}

/** Feeds the taps as long as they are hungry. Yields to the event loop now and then, so that a TUI stays alive. */
export async function feedAll(run: Replay, feedTap: (tap: ReplayTap) => void, pressure?: Pressure): Promise<void> {
  for (let hungry = run.hungry(); hungry.length > 0; hungry = run.hungry()) {
    for (const tap of hungry) feedTap(tap);
    await (pressure?.() ?? new Promise((resolve) => setImmediate(resolve)));
  }
}

/** The taps that the trace began with, and those that took over, each with the part of its capture that counts. */
function addTaps(run: Replay, { hops, taps }: RecordingHeader, log: readonly LogEntry[]): void {
  const later = log.flatMap((entry) => ("handOver" in entry ? [entry.handOver] : []));
  const until = later[0] === undefined ? {} : { until: later[0].time };
  const addNamespace = ({ interfaces }: NamespaceTap, span: TapSpan): void =>
    void run.tap({ interfaces: new Map(interfaces) }, undefined, span);
  if (taps === undefined) hops.forEach((_, hop) => run.tap({ hop }, undefined, until));
  else for (const tap of taps) addNamespace(tap, until);
  for (const [index, { time, taps: next }] of later.entries()) {
    const end = later[index + 1]?.time;
    for (const tap of next) addNamespace(tap, { from: time, ...(end === undefined ? {} : { until: end }) });
  }
}

function openCapture(file: string): number {
  try {
    return openSync(file, "r");
  } catch (error) {
    throw fileFailure(`read capture ${file}`, error, "the saved trace is not whole");
  }
}

/** A capture that ends too soon is a trace cut short (its writer was killed, the disk was full): the rest of it counts. */
function feed(
  tap: ReplayTap,
  file: number | undefined,
  buffer: Uint8Array,
  onCut: (error: CaptureError, tap: ReplayTap) => void,
): void {
  const size = file === undefined ? 0 : readSync(file, buffer);
  if (size > 0) {
    tap.push(buffer.subarray(0, size));
    return;
  }
  try {
    tap.end();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    onCut(error, tap);
  }
}

/** Title of a recording for the TUI: its name without the folder and the ending. */
export function recordingTitle(file: string): string {
  return path.basename(file.replace(/\/$/, "")).replace(/\.(trace|pcap|pcapng|cap)$/, "");
}

/** Whether a path is a folder: a saved trace, not a bare capture. */
export function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}
