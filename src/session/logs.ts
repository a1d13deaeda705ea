/** `logs NODE`: what the first process of a container wrote, as init stamped it. */
import { statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { openLog } from "../capture/container-log.js";
import type { LogLine } from "../capture/log-line.js";
import type { NodeStatus } from "../init/api.js";
import { processStartTime } from "../lab/state.js";
import { exitText } from "../model/container.js";
import { Failure } from "../model/failure.js";
import type { ResolvedContainer } from "../topology/resolved.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab, type FoundLab, parseTarget } from "./target.js";

export type { LogLine };

export interface LogsOptions {
  readonly lab: string | undefined;
  readonly node: string;
  readonly follow: boolean;
  /** Only the last lines; undefined for all. */
  readonly tail: number | undefined;
  /** Only lines since then, milliseconds since 1970; undefined for all. */
  readonly since: number | undefined;
  readonly onLine: (line: LogLine) => void;
  /** How its command ended, `web ended: killed: memory limit 100M reached`. */
  readonly onEnd: (text: string) => void;
  readonly signal: AbortSignal;
}

/** How often a followed log is looked at, in milliseconds; and how many looks go by before init is asked. */
const followInterval = 100;
const looks = 10;

export async function logs(options: LogsOptions): Promise<void> {
  const target = parseTarget(options.node);
  const found = findLab(target.lab ?? options.lab);
  const container = containerOf(found, target.node);
  using lab = await OpenLab.connect(found);
  const watched = new WatchedEnd(lab, target.node, container);
  // Asked first: what it wrote before its end is in the log by then.
  let end = await watched.next();
  const file = found.folder.log(target.node);
  let log = openLog(file);
  const since = options.since === undefined ? "" : new Date(options.since).toISOString().slice(0, -1);
  const first = [...linesOf(`${file}.1`), ...(log?.lines() ?? [])].filter(({ time }) => time >= since);
  for (const line of options.tail === undefined ? first : options.tail === 0 ? [] : first.slice(-options.tail))
    options.onLine(line);
  try {
    if (end !== undefined) options.onEnd(end);
    for (let turn = 1; options.follow && !options.signal.aborted; turn++) {
      await delay(followInterval, undefined, { signal: options.signal }).catch(() => undefined);
      end = turn % looks === 0 || watched.isGone ? await watched.next() : undefined;
      log ??= openLog(file);
      for (const line of log?.lines() ?? []) options.onLine(line);
      if (end !== undefined) options.onEnd(end);
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

/** The log before, which init keeps until the next is full. */
function linesOf(file: string): readonly LogLine[] {
  const log = openLog(file);
  const lines = log?.lines() ?? [];
  log?.close();
  return lines;
}

function containerOf({ record }: FoundLab, name: string): ResolvedContainer {
  checkNode(record, name);
  const node = record.topology.nodes.find((each) => each.name === name);
  if (node?.container !== undefined) return node.container;
  throw new Failure("usage", `node '${name}' of lab '${record.name}' runs no container, so it has no log`);
}

/** Tells each end of a container once. */
class WatchedEnd {
  #pid: number | undefined;
  #told = false;

  constructor(
    private readonly lab: OpenLab,
    private readonly node: string,
    private readonly container: ResolvedContainer,
  ) {}

  /** Whether it ran when it was looked at last, and does no longer. */
  get isGone(): boolean {
    return this.#pid !== undefined && processStartTime(this.#pid) === undefined;
  }

  async next(): Promise<string | undefined> {
    const status = await this.#status();
    this.#pid = status?.pid;
    if (status?.pid !== undefined || status?.lastExit === undefined) {
      this.#told = false;
      return undefined;
    }
    if (this.#told) return undefined;
    this.#told = true;
    return `${this.node} ended: ${exitText(status.lastExit, this.container.limits)}`;
  }

  async #status(): Promise<NodeStatus | undefined> {
    return (await this.lab.line.nodes()).find(({ name }) => name === this.node);
  }
}
