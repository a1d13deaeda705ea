/**
 * Names in /run/netns: `ip netns list` shows the nodes of a rootful lab as `LAB-NODE`.
 *
 * Each is a symbolic link into init's /proc, not a bind mount: when init dies the link dangles and holds nothing
 * (`ip netns exec` follows it like a mount, ip-netns(8)).
 */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import path from "node:path";

const folder = "/run/netns";

export interface NamespaceName {
  readonly name: string;
  /** `/proc/PID/fd/N` of the lab's init. */
  readonly target: string;
}

/** Makes or renews the names of a lab's nodes. @returns names that somebody else holds, left alone */
export function publishNames(names: readonly NamespaceName[]): string[] {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const taken: string[] = [];
  for (const { name, target } of names) {
    const file = path.join(folder, name);
    const status = lstatSync(file, { throwIfNoEntry: false });
    if (status !== undefined) {
      if (!status.isSymbolicLink() || !isOurs(readlinkSync(file))) {
        taken.push(name);
        continue;
      }
      unlinkSync(file);
    }
    symlinkSync(target, file);
  }
  return taken;
}

/** Removes every name that points into the given init. @returns how many there were */
export function removeNames(initPid: number): number {
  let removed = 0;
  for (const name of listNames(initPid)) {
    unlinkSync(path.join(folder, name));
    removed += 1;
  }
  return removed;
}

export function removeName(name: string, initPid: number): void {
  if (listNames(initPid).includes(name)) unlinkSync(path.join(folder, name));
}

/** Names in /run/netns that point into the given init. */
export function listNames(initPid: number): string[] {
  return namesWhere((target) => target.startsWith(`/proc/${initPid}/fd/`));
}

function namesWhere(holds: (target: string) => boolean): string[] {
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch {
    return [];
  }
  return entries.filter((name) => {
    try {
      return holds(readlinkSync(path.join(folder, name)));
    } catch {
      return false; // not a link, or gone meanwhile
    }
  });
}

/**
 * Names of labs whose init is gone and whose state is lost: of the form that we make, and leading to no namespace, so
 * that nobody has a use for them.
 */
export function danglingNames(): string[] {
  // Where a link leads in another user's process is for root to see.
  if (process.getuid?.() !== 0) return [];
  return namesWhere((target) => isOurs(target) && !leadsToNamespace(target));
}

export function removeDangling(names: readonly string[]): void {
  const dangling = new Set(danglingNames());
  for (const name of names) if (dangling.has(name)) unlinkSync(path.join(folder, name));
}

function leadsToNamespace(descriptor: string): boolean {
  try {
    return readlinkSync(descriptor).startsWith("net:");
  } catch {
    return false; // no such process, or no such descriptor
  }
}

function isOurs(target: string): boolean {
  return /^\/proc\/\d+\/fd\/\d+$/.test(target);
}
