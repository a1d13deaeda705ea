/**
 * The network namespaces of the machine: those that a process is in (/proc/PID/ns/net), those that `ip netns` names
 * (/run/netns), and those that somebody holds and tells of (a lab's init). Each is held by a descriptor, because a PID
 * may be somebody else's a moment later.
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
  /** Names in /run/netns, and those under which it was told of. */
  readonly names: readonly string[];
}

/** A namespace that may have neither a process nor a name in /run/netns. */
export interface ToldNamespace {
  readonly name: string;
  /** A file that leads to it: `/proc/PID/fd/N` of who holds it. */
  readonly path: string;
}

export class FoundNamespaces implements Disposable {
  /** @param own inode of the namespace that this program is in */
  constructor(
    readonly own: string,
    readonly all: readonly FoundNamespace[],
    /** Processes that are not ours to look into, counted by their user. */
    readonly hidden: ReadonlyMap<number, number> = new Map(),
  ) {}

  [Symbol.dispose](): void {
    for (const { descriptor } of this.all) close(descriptor);
  }
}

/** PIDs, lowest first, by the inode of the network namespace that they are in; and how many are hidden, by user. */
export function pidsByNamespace(): {
  readonly pids: ReadonlyMap<string, readonly number[]>;
  readonly hidden: ReadonlyMap<number, number>;
} {
  const pids = new Map<string, number[]>();
  const hidden = new Map<number, number>();
  for (const pid of processes()) {
    const link = tryTo(
      () => readlinkSync(`/proc/${pid}/ns/net`),
      () => {
        const uid = tryTo(() => statSync(`/proc/${pid}`).uid);
        if (uid !== undefined) hidden.set(uid, (hidden.get(uid) ?? 0) + 1);
      },
    );
    const number = link === undefined ? undefined : /^net:\[(\d+)\]$/.exec(link)?.[1];
    if (number === undefined) continue;
    const known = pids.get(number);
    if (known === undefined) pids.set(number, [pid]);
    else known.push(pid);
  }
  return { pids, hidden };
}

export interface FindOptions {
  /** Where `ip netns` keeps its names. */
  readonly named?: string;
  readonly told?: readonly ToldNamespace[];
}

/** Reads /proc and /run/netns once. What the caller may not look into is left out and counted (root sees all). */
export function findNamespaces({ named = "/run/netns", told = [] }: FindOptions = {}): FoundNamespaces {
  const { pids, hidden } = pidsByNamespace();
  const found = new Map<string, { descriptor: number; pids: readonly number[]; names: string[] }>();
  for (const [number, members] of pids) {
    const descriptor = openOf(number, members);
    if (descriptor !== undefined) found.set(number, { descriptor, pids: members, names: [] });
  }
  const nsfs = statSync("/proc/self/ns/net").dev;
  const names = (tryTo(() => readdirSync(named)) ?? []).sort().map((name) => ({ name, path: path.join(named, name) }));
  for (const { name, path: file } of [...names, ...told]) {
    const descriptor = tryTo(() => open(file, constants.O_RDONLY | constants.O_CLOEXEC));
    if (descriptor === undefined) continue;
    const number = inode(descriptor).toString();
    const known = found.get(number);
    // A plain file is what a crash, or another mount namespace, left of a name.
    if (fstatSync(descriptor).dev !== nsfs) close(descriptor);
    else if (known === undefined) found.set(number, { descriptor, pids: [], names: [name] });
    else {
      if (!known.names.includes(name)) known.names.push(name);
      close(descriptor);
    }
  }
  const own = /^net:\[(\d+)\]$/.exec(readlinkSync("/proc/self/ns/net"))?.[1] ?? "";
  return new FoundNamespaces(
    own,
    [...found].map(([number, each]) => ({ inode: number, ...each })),
    hidden,
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

function tryTo<T>(read: () => T, onRefusal?: () => void): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && missing.has(error.code))) throw error;
    if (error.code === "EACCES" || error.code === "EPERM") onRefusal?.();
    return undefined;
  }
}
