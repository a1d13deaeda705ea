/** The cgroup hierarchies of this machine that can limit or count something for us: version 1, version 2, or both. */
import { accessSync, constants as fs, existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export type Controller = "cpu" | "memory" | "pids" | "cpuset" | "io";
export const controllers: readonly Controller[] = ["cpu", "memory", "pids", "cpuset", "io"];
/** These count, too (`stats`, the end for want of memory): every container has a group of theirs. */
export const alwaysUsed: ReadonlySet<Controller> = new Set(["cpu", "memory", "pids"]);
/** Version 1 has another name for it. */
const oldNames: ReadonlyMap<Controller, string> = new Map([["io", "blkio"]]);

/** A hierarchy that is mounted, and the folder in it below which groups can be made. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Version 1: as mounted, `cpu,cpuacct`. Version 2: empty. */
  readonly name: string;
  /** Which of ours it has. */
  readonly has: readonly Controller[];
  readonly base: string;
}

/** The hierarchies of this machine that have a controller of ours. Empty without root, unless one is delegated. */
export function findHierarchies(): readonly Hierarchy[] {
  return hierarchiesOf(readFileSync("/proc/self/mountinfo", "utf8"), readFileSync("/proc/self/cgroup", "utf8"));
}

/** @param mountinfo and @param own as /proc/self/mountinfo and /proc/self/cgroup say */
export function hierarchiesOf(mountinfo: string, own: string): readonly Hierarchy[] {
  return mountinfo.split("\n").flatMap((line): Hierarchy[] => {
    const [before = "", after = ""] = line.split(" - ");
    const mountPoint = before.split(" ")[4] ?? "";
    const [type, , options = ""] = after.split(" ");
    if (type === "cgroup2") return versionTwo(mountPoint, own);
    return type === "cgroup" ? versionOne(mountPoint, options) : [];
  });
}

function versionOne(mountPoint: string, options: string): Hierarchy[] {
  const mounted = options.split(",");
  const has = controllers.filter((controller) => mounted.includes(oldNames.get(controller) ?? controller));
  if (has.length === 0 || !writable(mountPoint)) return [];
  const all = mounted.filter(
    (option) => !["rw", "ro", "xattr", "clone_children"].includes(option) && !option.includes("="),
  );
  return [{ version: 1, mountPoint, name: all.join(","), has, base: mountPoint }];
}

/** The topmost folder of ours that may be written: the root of the hierarchy, or what a systemd scope delegates. */
function versionTwo(mountPoint: string, own: string): Hierarchy[] {
  const path = /^0::(.*)$/m.exec(own)?.[1] ?? "/";
  let base: string | undefined;
  for (let folder = resolve(join(mountPoint, path)); folder.startsWith(mountPoint); folder = dirname(folder)) {
    if (existsSync(folder) && writable(folder) && writable(join(folder, "cgroup.procs"), true)) base = folder;
  }
  if (base === undefined) return [];
  const offered = readFileSync(join(base, "cgroup.controllers"), "utf8").trim().split(" ");
  const has = controllers.filter((controller) => offered.includes(controller));
  return has.length === 0 ? [] : [{ version: 2, mountPoint, name: "", has, base }];
}

function writable(path: string, absentIsFine = false): boolean {
  try {
    accessSync(path, fs.W_OK);
    return true;
  } catch {
    return absentIsFine && !existsSync(path);
  }
}
