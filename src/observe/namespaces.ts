/**
 * The network namespaces of the machine: those that a process is in (/proc/PID/ns/net) and those that `ip netns` names
 * (/run/netns). Each is held by a descriptor, because a PID may be somebody else's a moment later.
 */
import { fstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import path from "node:path";
import { close, constants, inode, open } from "../kernel/syscalls.js";

export interface FoundNamespace {
  /** Of the namespace, decimal. */
  readonly inode: string;
  /** nsfs descriptor; belongs to the `FoundNamespaces` it came in. */
  readonly descriptor: number;
  /** Processes in it, lowest PID first. */
  readonly pids: readonly number[];
  /** Names in /run/netns. */
  readonly names: readonly string[];
}

export class FoundNamespaces implements Disposable {
  /** @param own inode of the namespace that this program is in */
  constructor(
    readonly own: string,
    readonly all: readonly FoundNamespace[],
  ) {}

  [Symbol.dispose](): void {
    for (const { descriptor } of this.all) close(descriptor);
  }
}

/** Reads /proc and /run/netns once. What the caller may not look into is left out (root sees all). */
export function findNamespaces(named = "/run/netns"): FoundNamespaces {
  const pids = new Map<string, number[]>();
  for (const pid of processes()) {
    const link = tryTo(() => readlinkSync(`/proc/${pid}/ns/net`));
    const number = link === undefined ? undefined : /^net:\[(\d+)\]$/.exec(link)?.[1];
    if (number === undefined) continue;
    const known = pids.get(number);
    if (known === undefined) pids.set(number, [pid]);
    else known.push(pid);
  }

  const found = new Map<string, { descriptor: number; pids: readonly number[]; names: string[] }>();
  for (const [number, members] of pids) {
    const descriptor = openOf(number, members);
    if (descriptor !== undefined) found.set(number, { descriptor, pids: members, names: [] });
  }
  const nsfs = statSync("/proc/self/ns/net").dev;
  for (const name of (tryTo(() => readdirSync(named)) ?? []).sort()) {
    const descriptor = tryTo(() => open(path.join(named, name), constants.O_RDONLY | constants.O_CLOEXEC));
    if (descriptor === undefined) continue;
    const number = inode(descriptor).toString();
    const known = found.get(number);
    // A plain file is what a crash, or another mount namespace, left of a name.
    if (fstatSync(descriptor).dev !== nsfs) close(descriptor);
    else if (known === undefined) found.set(number, { descriptor, pids: [], names: [name] });
    else {
      known.names.push(name);
      close(descriptor);
    }
  }
  const own = /^net:\[(\d+)\]$/.exec(readlinkSync("/proc/self/ns/net"))?.[1] ?? "";
  return new FoundNamespaces(
    own,
    [...found].map(([number, each]) => ({ inode: number, ...each })),
  );
}

/** PIDs in rising order. */
function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Opens a namespace by one of its processes: the first that is still in it. */
function openOf(number: string, pids: readonly number[]): number | undefined {
  for (const pid of pids) {
    const descriptor = tryTo(() => open(`/proc/${pid}/ns/net`, constants.O_RDONLY | constants.O_CLOEXEC));
    if (descriptor === undefined) continue;
    if (inode(descriptor).toString() === number) return descriptor;
    close(descriptor);
  }
  return undefined;
}

/** Processes end while this reads, and some are not ours to look into: those are left out. */
const missing: ReadonlySet<unknown> = new Set(["ENOENT", "ESRCH", "ENOTDIR", "EACCES", "EPERM"]);

function tryTo<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && "code" in error && missing.has(error.code)) return undefined;
    throw error;
  }
}
