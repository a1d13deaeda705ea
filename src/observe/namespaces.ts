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
    /** Processes that are not ours to look into and that may be in a namespace that is not here, counted by their user. */
    readonly hidden: ReadonlyMap<number, number> = new Map(),
  ) {}

  [Symbol.dispose](): void {
    for (const { descriptor } of this.all) close(descriptor);
  }
}

/** PIDs, lowest first, by the inode of the network namespace that they are in; and of how many others it cannot be told, by user. */
export function pidsByNamespace(): {
  readonly pids: ReadonlyMap<string, readonly number[]>;
  readonly hidden: ReadonlyMap<number, number>;
} {
  const pids = new Map<string, number[]>();
  const refused: number[] = [];
  for (const pid of processes()) {
    const link = tryTo<string | undefined>(
      () => readlinkSync(`/proc/${pid}/ns/net`),
      () => {
        refused.push(pid);
        return undefined;
      },
    );
    const number = link === undefined ? undefined : /^net:\[(\d+)\]$/.exec(link)?.[1];
    if (number === undefined) continue;
    const known = pids.get(number);
    if (known === undefined) pids.set(number, [pid]);
    else known.push(pid);
  }
  return { pids, hidden: hiddenOf(refused, pids) };
}

/**
 * Whose namespace cannot be told. A process that ends refuses, too, for a moment, and one with more capabilities than
 * ours (PID 1 of a machine that keeps some to itself) does always: but everybody may ask for the inode of its
 * /proc/PID/net/dev, and each network namespace has a file of its own there.
 */
function hiddenOf(refused: readonly number[], pids: ReadonlyMap<string, readonly number[]>): Map<number, number> {
  const hidden = new Map<number, number>();
  if (refused.length === 0) return hidden;
  const known = new Set<number | undefined>([...pids.values()].map((members) => firstOf(members, deviceFile)));
  for (const pid of refused) {
    // `closed` where /proc is mounted with hidepid; undefined where it has ended.
    const file = tryTo<number | "closed">(
      () => deviceFile(pid),
      () => "closed",
    );
    if (file === undefined || (file !== "closed" && known.has(file))) continue;
    const uid = tryTo(() => statSync(`/proc/${pid}`).uid);
    if (uid !== undefined) hidden.set(uid, (hidden.get(uid) ?? 0) + 1);
  }
  return hidden;
}

function deviceFile(pid: number): number {
  return statSync(`/proc/${pid}/net/dev`).ino;
}

/** What the first process gives that has not ended. */
function firstOf<T>(pids: readonly number[], read: (pid: number) => T): T | undefined {
  for (const pid of pids) {
    const found = tryTo(() => read(pid));
    if (found !== undefined) return found;
  }
  return undefined;
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

/** @returns undefined where it is gone, what `onRefusal` gives where it is not ours to look into */
function tryTo<T>(read: () => T, onRefusal?: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && missing.has(error.code))) throw error;
    return error.code === "EACCES" || error.code === "EPERM" ? onRefusal?.() : undefined;
  }
}
