/** `view`: a saved trace through the same core again, without root, without the machine that it was taken on. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { readRecording } from "../capture/recording.js";
import { Failure } from "../model/failure.js";
import type { TraceEvent } from "../model/trace.js";
import type { LogEntry } from "../trace/log.js";
import { createReplay, type ReplayTap } from "../trace/replay.js";

export interface ReplayOptions {
  /** Folder of a saved trace. */
  readonly path: string;
  readonly onEvent: (event: TraceEvent) => void;
}

const chunkSize = 1 << 18;

/** Settles when every event was given out. Yields to the event loop now and then, so that a TUI stays alive. */
export async function replay(options: ReplayOptions): Promise<void> {
  if (statSync(options.path, { throwIfNoEntry: false }) === undefined)
    throw new Failure("usage", `no trace ${options.path}`, { code: "ENOENT" });
  const recording = readRecording(options.path);
  const { header, snapshot } = recording;
  const run = createReplay(
    {
      snapshot,
      hops: header.hops,
      filter: header.filter,
      epoch: BigInt(header.epoch),
      emit: options.onEvent,
    },
    recording.log as LogEntry[], // as `trace` wrote it
  );
  const files = recording.captures.map((file) => openSync(file, "r"));
  try {
    const buffer = new Uint8Array(chunkSize);
    header.hops.forEach((_, hop) => run.tap({ hop }));
    for (let hungry = run.hungry(); hungry.length > 0; hungry = run.hungry()) {
      for (const tap of hungry) feed(tap, files[tap.number], buffer);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

function feed(tap: ReplayTap, file: number | undefined, buffer: Uint8Array): void {
  const size = file === undefined ? 0 : readSync(file, buffer);
  if (size === 0) tap.end();
  else tap.push(buffer.subarray(0, size));
}

/** Title of a recording for the TUI: its name without the folder and the ending. */
export function recordingTitle(file: string): string {
  return path.basename(file.replace(/\/$/, "")).replace(/\.(trace|pcap|pcapng|cap)$/, "");
}

/** Whether a path is a folder: a saved trace, not a bare capture. */
export function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}
