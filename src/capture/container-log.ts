/** The logs that a lab's init keeps of its containers: a line of output each, behind its time and the stream's name. */
import { closeSync, type FSWatcher, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import path from "node:path";
import type { LogLine } from "./log-line.js";

/** Milliseconds between two looks at a log that cannot be watched. */
const pollInterval = 100;

export interface LogFollower extends Disposable {
  /** Tells what has come since it last did. */
  flush(): void;
}

/**
 * Follows logs until disposed of; what they hold already is no news.
 * @param folder that all of them lie in
 * @param files their names, each once
 */
export function followLogs(
  folder: string,
  files: readonly string[],
  onLine: (file: string, line: LogLine) => void,
): LogFollower {
  const logs = new Map(files.map((file) => [file, new FollowedLog(path.join(folder, file))]));
  for (const log of logs.values()) log.lines();
  const tell = (file: string): void => {
    for (const line of logs.get(file)?.lines() ?? []) onLine(file, line);
  };
  const flush = (): void => files.forEach(tell);
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    watcher = watch(folder, { persistent: false }, (_, file) => {
      if (file !== null) tell(file);
    });
    watcher.on("error", () => watcher?.close()); // the lab has ended, and its folder with it
  } catch {
    timer = setInterval(flush, pollInterval).unref(); // no inotify watch is to be had (inotify(7), max_user_instances)
  }
  return {
    flush,
    [Symbol.dispose]() {
      watcher?.close();
      clearInterval(timer);
      for (const log of logs.values()) log.close();
    },
  };
}

/** A log by its name: init renames a full one away and starts anew. */
class FollowedLog {
  #log: OpenLog | undefined;

  constructor(private readonly file: string) {}

  lines(): LogLine[] {
    this.#log ??= openLog(this.file);
    const lines = this.#log?.lines() ?? [];
    if (this.#log === undefined || statSync(this.file, { throwIfNoEntry: false })?.ino === this.#log.inode)
      return lines;
    this.close();
    this.#log = openLog(this.file);
    return [...lines, ...(this.#log?.lines() ?? [])];
  }

  close(): void {
    this.#log?.close();
    this.#log = undefined;
  }
}

export interface OpenLog {
  readonly inode: number;
  /** Complete lines that have come since the last call. */
  lines(): LogLine[];
  close(): void;
}

/** @returns undefined where there is none (yet) */
export function openLog(file: string): OpenLog | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return undefined; // not started yet
  }
  let rest = "";
  const decoder = new TextDecoder();
  const buffer = Buffer.alloc(65536);
  return {
    inode: fstatSync(descriptor).ino,
    lines() {
      const lines: LogLine[] = [];
      for (let size = readSync(descriptor, buffer); size > 0; size = readSync(descriptor, buffer)) {
        const parts = (rest + decoder.decode(buffer.subarray(0, size), { stream: true })).split("\n");
        rest = parts.pop() ?? "";
        for (const part of parts) {
          const match = /^(\S+) (stdout|stderr) (.*)$/s.exec(part);
          if (match?.[1] !== undefined && match[3] !== undefined)
            lines.push({ time: match[1], stream: match[2] === "stderr" ? "stderr" : "stdout", text: match[3] });
        }
      }
      return lines;
    },
    close: () => closeSync(descriptor),
  };
}
