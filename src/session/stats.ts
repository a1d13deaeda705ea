/** `stats`: what the containers of a lab use, and what its interfaces carry, over a span of time. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { links } from "../kernel/index.js";
import type { Limits } from "../model/container.js";
import type { InterfaceStats, LabStats } from "../model/stats.js";
import { groupFolders, limitsInForce } from "./cgroup-limits.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab } from "./target.js";

export interface StatsOptions {
  readonly lab: string | undefined;
  /** Only these; none for all. */
  readonly nodes: readonly string[];
  /** Milliseconds between two readings. */
  readonly interval: number;
  /** Goes on until the signal; else one. */
  readonly watch: boolean;
  readonly onStats: (stats: LabStats) => void;
  readonly signal: AbortSignal;
}

export async function stats(options: StatsOptions): Promise<void> {
  const found = findLab(options.lab);
  for (const node of options.nodes) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const wanted = new Set(options.nodes);
  const isWanted = (node: string) => wanted.size === 0 || wanted.has(node);
  let before = await read(lab, isWanted);
  do {
    await delay(options.interval, undefined, { signal: options.signal }).catch(() => undefined);
    if (options.signal.aborted) return;
    const after = await read(lab, isWanted);
    options.onStats(compare(lab, before, after));
    before = after;
  } while (options.watch);
}

interface Usage {
  /** Seconds of CPU, of the processes that are there and those they have reaped. */
  readonly cpu: number;
  readonly memory: number;
  readonly processes: number;
  /** Of its first process: a container that was started anew counts from 0. */
  readonly pid: number;
}

type Counters = Pick<InterfaceStats, "rxBytes" | "txBytes" | "rxPackets" | "txPackets" | "dropped">;

interface Reading {
  readonly time: bigint;
  readonly containers: ReadonlyMap<string, Usage>;
  readonly interfaces: ReadonlyMap<string, { readonly node: string; readonly interface: string } & Counters>;
}

async function read(lab: OpenLab, isWanted: (node: string) => boolean): Promise<Reading> {
  const nodes = (await lab.line.nodes()).filter(({ name }) => isWanted(name));
  const processes = readProcesses();
  const containers = new Map<string, Usage>();
  const interfaces = new Map<string, { node: string; interface: string } & Counters>();
  for (const { name, pid } of nodes) {
    if (pid !== undefined) containers.set(name, usageOf(pid, processes, inCgroup(lab, name, processes)));
    for (const link of lab.sockets.route(name).execute(links.list())) {
      const { statistics, name: device } = link;
      if (device === "lo" || statistics === undefined) continue;
      const { rxBytes, txBytes, rxPackets, txPackets, rxDropped, txDropped } = statistics;
      const dropped = rxDropped + txDropped;
      interfaces.set(`${name}:${device}`, {
        node: name,
        interface: device,
        rxBytes,
        txBytes,
        rxPackets,
        txPackets,
        dropped,
      });
    }
  }
  return { time: process.hrtime.bigint(), containers, interfaces };
}

function compare(lab: OpenLab, before: Reading, after: Reading): LabStats {
  const { record } = lab.found;
  const span = Number(after.time - before.time);
  const rate = (now: number, then: number | undefined) => Math.max(0, now - (then ?? now)) / (span / 1e9);
  return {
    lab: record.name,
    time: new Date().toISOString(),
    span,
    containers: [...after.containers].map(([node, usage]) => {
      const then = before.containers.get(node);
      const limits = limitsOf(lab, node, usage.pid);
      return {
        node,
        cpu: rate(usage.cpu, then?.pid === usage.pid ? then.cpu : 0),
        memory: usage.memory,
        processes: usage.processes,
        limits,
      };
    }),
    interfaces: [...after.interfaces].map(([hop, counters]) => {
      const then = before.interfaces.get(hop);
      return {
        ...counters,
        rxRate: rate(counters.rxBytes, then?.rxBytes),
        txRate: rate(counters.txBytes, then?.txBytes),
        rxPacketRate: rate(counters.rxPackets, then?.rxPackets),
        txPacketRate: rate(counters.txPackets, then?.txPackets),
      };
    }),
  };
}

interface ProcessUsage {
  readonly parent: number;
  readonly cpu: number;
}

/** USER_HZ: what /proc counts CPU time in, 100 on every architecture that Node runs on (times(2)). */
const ticksPerSecond = 100;

/** All processes of the machine (proc_pid_stat(5)): readable by everyone, in rootless labs too. */
function readProcesses(): Map<number, ProcessUsage> {
  const processes = new Map<number, ProcessUsage>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readOrNothing(`/proc/${entry}/stat`);
    // The command name may hold spaces and parentheses: fields are counted from the last one.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields === undefined) continue;
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0); // utime, stime, cutime, cstime
    processes.set(pid, { parent: Number(fields[1]), cpu: ticks / ticksPerSecond });
  }
  return processes;
}

/** Processes of the lab in the container's cgroup: what `exec` started there is no child of its command. */
function inCgroup(lab: OpenLab, node: string, processes: ReadonlyMap<number, ProcessUsage>): number[] {
  const { pid } = lab.found.record;
  return withDescendants([pid], processes).filter((each) => isInCgroup(lab, node, each));
}

function isInCgroup(lab: OpenLab, node: string, pid: number): boolean {
  return readOrNothing(`/proc/${pid}/cgroup`)?.includes(`${groupOf(lab, node)}\n`) ?? false;
}

/** As the topology gives them, without those that nothing enforces. */
function limitsOf(lab: OpenLab, node: string, pid: number): Limits {
  const asked = lab.found.record.topology.nodes.find((each) => each.name === node)?.container?.limits ?? {};
  const groups = readOrNothing(`/proc/${pid}/cgroup`) ?? "";
  const own = groups.split("\n").filter((line) => line.endsWith(groupOf(lab, node)));
  return limitsInForce(asked, groupFolders(readOrNothing("/proc/self/mountinfo") ?? "", own.join("\n")));
}

function groupOf(lab: OpenLab, node: string): string {
  return `/yapc-net-${lab.found.record.name}/${node}`;
}

function withDescendants(pids: readonly number[], processes: ReadonlyMap<number, ProcessUsage>): number[] {
  const family = new Set(pids);
  // A set is walked in the order in which it grows.
  for (const parent of family) for (const [child, usage] of processes) if (usage.parent === parent) family.add(child);
  return [...family];
}

function usageOf(pid: number, processes: ReadonlyMap<number, ProcessUsage>, others: readonly number[]): Usage {
  const family = withDescendants([pid, ...others], processes);
  return {
    pid,
    cpu: family.reduce((sum, each) => sum + (processes.get(each)?.cpu ?? 0), 0),
    memory: family.reduce((sum, each) => sum + residentOf(each), 0),
    processes: family.filter((each) => processes.has(each)).length,
  };
}

function residentOf(pid: number): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/status`) ?? "") ?? [];
  return Number(kibibytes ?? 0) * 1024;
}

/** A process may end while it is looked at. */
function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
