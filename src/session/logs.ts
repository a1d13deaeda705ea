/** `logs NODE`: what the first process of a container wrote, as init stamped it. */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../model/failure.js";
import { checkNode, findLab, parseTarget } from "./target.js";

export interface LogLine {
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface LogsOptions {
  readonly lab: string | undefined;
  readonly node: string;
  readonly follow: boolean;
  /** Only the last lines; undefined for all. */
  readonly tail: number | undefined;
  readonly onLine: (line: LogLine) => void;
  readonly signal: AbortSignal;
}

/** How often a followed log is looked at, in milliseconds. */
const followInterval = 100;

export async function logs(options: LogsOptions): Promise<void> {
  const target = parseTarget(options.node);
  const { folder, record } = findLab(target.lab ?? options.lab);
  checkNode(record, target.node);
  const node = record.topology.nodes.find((each) => each.name === target.node);
  if (node?.container === undefined)
    throw new Failure("usage", `node '${target.node}' of lab '${record.name}' runs no container, so it has no log`);

  const file = folder.log(target.node);
  let log = openLog(file);
  const first = log?.lines() ?? [];
  for (const line of options.tail === undefined ? first : options.tail === 0 ? [] : first.slice(-options.tail))
    options.onLine(line);
  try {
    while (options.follow && !options.signal.aborted) {
      await delay(followInterval, undefined, { signal: options.signal }).catch(() => undefined);
      log ??= openLog(file);
      for (const line of log?.lines() ?? []) options.onLine(line);
      // Init renames a full log away and starts a new one.
      if (log !== undefined && statSync(file, { throwIfNoEntry: false })?.ino !== log.inode) {
        log.close();
        log = openLog(file);
      }
    }
  } finally {
    log?.close();
  }
}

interface OpenLog {
  readonly inode: number;
  /** Complete lines that have come since the last call. */
  lines(): LogLine[];
  close(): void;
}

function openLog(file: string): OpenLog | undefined {
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
