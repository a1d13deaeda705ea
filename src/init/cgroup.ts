/**
 * Cgroups of a lab's containers: a folder `yapc-net-LAB/NODE` in each hierarchy that limits or counts something, with
 * its limits written before anything enters it. Version 1, version 2, and machines that have both.
 */
import {
  accessSync,
  constants as fs,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { close, constants, open } from "../kernel/syscalls.js";
import type { CgroupMount } from "../model/container.js";

export interface Limits {
  /** CPUs: 0.5 is half of one. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
}

type Controller = "cpu" | "memory" | "pids";
const controllers: readonly Controller[] = ["cpu", "memory", "pids"];

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

/** The groups of one container. Descriptors belong to the caller. */
export interface NodeCgroup extends Disposable {
  readonly folders: readonly string[];
  /** cgroup.procs of each folder, open for writing. */
  readonly memberships: readonly number[];
  /** memory.events or memory.oom_control. */
  readonly oomCounter: number | undefined;
  /** What the container sees below /sys/fs/cgroup. */
  readonly shown: readonly CgroupMount[];
  /** Limits that nothing here can enforce, each with the reason. */
  readonly unenforced: readonly { readonly limit: Controller; readonly reason: string }[];
}

/** The hierarchies of this machine that have a controller of ours. Empty without root, unless one is delegated. */
export function findHierarchies(): readonly Hierarchy[] {
  const own = readFileSync("/proc/self/cgroup", "utf8");
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line): Hierarchy[] => {
      const [before = "", after = ""] = line.split(" - ");
      const mountPoint = before.split(" ")[4] ?? "";
      const [type, , options = ""] = after.split(" ");
      if (type === "cgroup2") return versionTwo(mountPoint, own);
      return type === "cgroup" ? versionOne(mountPoint, options) : [];
    });
}

function versionOne(mountPoint: string, options: string): Hierarchy[] {
  const mounted = options.split(",");
  const has = controllers.filter((controller) => mounted.includes(controller));
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
  for (let folder = join(mountPoint, path); folder.startsWith(mountPoint); folder = dirname(folder)) {
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

const labFolder = (hierarchy: Hierarchy, lab: string) => join(hierarchy.base, `yapc-net-${lab}`);

/** Makes the groups of a container, or finds those of its last run, and writes its limits. */
export function makeCgroup(hierarchies: readonly Hierarchy[], lab: string, node: string, limits: Limits): NodeCgroup {
  const folders: string[] = [];
  const enforced = new Set<Controller>();
  const reasons = new Map<Controller, string>();
  let oomCounter: string | undefined;
  for (const hierarchy of hierarchies) {
    const parent = labFolder(hierarchy, lab);
    const folder = join(parent, node);
    mkdirSync(parent, { recursive: true });
    const usable = hierarchy.version === 2 ? delegate(hierarchy, parent, reasons) : hierarchy.has;
    mkdirSync(folder, { recursive: true });
    folders.push(folder);
    for (const controller of usable) {
      const limit = limits[controller];
      const problem = writeLimit(hierarchy.version, controller, folder, limit);
      if (problem === undefined) enforced.add(controller);
      else reasons.set(controller, problem);
    }
    if (usable.includes("memory"))
      oomCounter = join(folder, hierarchy.version === 2 ? "memory.events" : "memory.oom_control");
  }
  const memberships = folders.map((folder) => open(join(folder, "cgroup.procs"), constants.O_WRONLY));
  const counter = oomCounter === undefined ? undefined : open(oomCounter, constants.O_RDONLY);
  return {
    folders,
    memberships,
    oomCounter: counter,
    shown: hierarchies.map(({ version, name }) => ({ version, controllers: name })),
    unenforced: controllers
      .filter((controller) => limits[controller] !== undefined && !enforced.has(controller))
      .map((limit) => ({ limit, reason: reasons.get(limit) ?? "no cgroup of this machine may be used for it" })),
    [Symbol.dispose]: () => {
      for (const fd of memberships) close(fd);
      if (counter !== undefined) close(counter);
    },
  };
}

/** Version 2 gives a controller to the children of a folder that asks for it, from the base downwards. */
function delegate(hierarchy: Hierarchy, parent: string, reasons: Map<Controller, string>): readonly Controller[] {
  return hierarchy.has.filter((controller) => {
    try {
      for (const folder of [hierarchy.base, parent])
        writeFileSync(join(folder, "cgroup.subtree_control"), `+${controller}`);
      return true;
    } catch (error) {
      reasons.set(controller, `${hierarchy.base} does not hand it on: ${error instanceof Error ? error.message : ""}`);
      return false;
    }
  });
}

/** Files and values of a limit; `undefined` takes it off, which a restart with another spec may need. */
function limitFiles(
  version: 1 | 2,
  controller: Controller,
  limit: number | undefined,
): [file: string, value: string][] {
  const period = 100_000;
  const quota = limit === undefined ? undefined : Math.max(1000, Math.round(limit * period));
  const value = limit === undefined ? undefined : String(limit);
  switch (controller) {
    case "cpu":
      return version === 2
        ? [["cpu.max", `${quota ?? "max"} ${period}`]]
        : [
            ["cpu.cfs_period_us", String(period)],
            ["cpu.cfs_quota_us", String(quota ?? -1)],
          ];
    case "memory":
      return version === 2
        ? [
            ["memory.max", value ?? "max"],
            ["memory.swap.max", value === undefined ? "max" : "0"],
          ]
        : [["memory.limit_in_bytes", value ?? "-1"]];
    case "pids":
      return [["pids.max", value ?? "max"]];
  }
}

/** @returns what went wrong */
function writeLimit(
  version: 1 | 2,
  controller: Controller,
  folder: string,
  limit: number | undefined,
): string | undefined {
  for (const [file, value] of limitFiles(version, controller, limit)) {
    const path = join(folder, file);
    // Without swap accounting there is no file for it, and nothing to limit.
    if (file === "memory.swap.max" && !existsSync(path)) continue;
    try {
      writeFileSync(path, value);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  return undefined;
}

/** Removes the groups of a container that has ended. @returns folders that are still in use */
export function removeCgroup(hierarchies: readonly Hierarchy[], lab: string, node: string): readonly string[] {
  return hierarchies
    .map((hierarchy) => join(labFolder(hierarchy, lab), node))
    .filter((folder) => !removeFolder(folder));
}

/** Removes all groups of a lab that has ended. @returns folders that are still in use */
export function removeLabCgroups(hierarchies: readonly Hierarchy[], lab: string): readonly string[] {
  return hierarchies.flatMap((hierarchy) => {
    const folder = labFolder(hierarchy, lab);
    if (!existsSync(folder)) return [];
    const children = readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isDirectory());
    return [...children, folder].filter((path) => !removeFolder(path));
  });
}

function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
}
