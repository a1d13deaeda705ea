/** `logs NODE`: what the first process of a container wrote, as init stamped it. */
import { statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { openLog } from "../capture/container-log.js";
import type { LogLine } from "../capture/log-line.js";
import { Failure } from "../model/failure.js";
import { checkNode, findLab, parseTarget } from "./target.js";

export interface LogsOptions {
  readonly lab: string | undefined;
  readonly node: string;
  readonly follow: boolean;
  /** Only the last lines; undefined for all. */
  readonly tail: number | undefined;
  readonly onLine: (line: LogLine) => void;
  readonly signal: AbortSignal;
}

export type { LogLine };

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
