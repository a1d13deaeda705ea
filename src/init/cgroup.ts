/**
 * Cgroups of a lab's containers: a folder `yapc-net-LAB/NODE` in each hierarchy that limits or counts something, with
 * its limits written before anything enters it. Version 1, version 2, and machines that have both.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { close, constants, open } from "../kernel/syscalls.js";
import type { CgroupMount, Limits } from "../model/container.js";
import { type Controller, type Hierarchy, controllers } from "./hierarchy.js";

export { findHierarchies } from "./hierarchy.js";

/** The groups of one container. Descriptors belong to the caller. */
export interface NodeCgroup extends Disposable {
  readonly folders: readonly string[];
  /** The file of each folder that takes its members, open for writing: see `membership`. */
  readonly memberships: readonly number[];
  /** memory.events or memory.oom_control. */
  readonly oomCounter: number | undefined;
  /** What the container sees below /sys/fs/cgroup. */
  readonly shown: readonly CgroupMount[];
  /** Limits that nothing here can enforce, each with the reason. */
  readonly unenforced: readonly { readonly limit: Controller; readonly reason: string }[];
}

const labFolder = (hierarchy: Hierarchy, lab: string) => join(hierarchy.base, `yapc-net-${lab}`);

/** Makes the groups of a container, or finds those of its last run, and writes its limits. */
export function makeCgroup(hierarchies: readonly Hierarchy[], lab: string, node: string, limits: Limits): NodeCgroup {
  const groups = hierarchies.map((hierarchy) => makeGroup(hierarchy, labFolder(hierarchy, lab), node, limits));
  const made = groups.flatMap(({ folder }) => folder ?? []);
  const problems = new Map(groups.flatMap((group) => [...group.problems]));
  const counter = groups.find(({ oomCounter }) => oomCounter !== undefined)?.oomCounter;
  const descriptors: number[] = [];
  const opened = (path: string, flags: number) => {
    const descriptor = open(path, flags);
    descriptors.push(descriptor);
    return descriptor;
  };
  return {
    folders: made,
    memberships: groups.flatMap(({ folder, membership }) =>
      folder === undefined ? [] : [opened(join(folder, membership), constants.O_WRONLY)],
    ),
    oomCounter: counter === undefined ? undefined : opened(counter, constants.O_RDONLY),
    shown: hierarchies.map(({ version, name }) => ({ version, controllers: name })),
    unenforced: controllers
      .filter((controller) => limits[controller] !== undefined)
      .filter((controller) => problems.has(controller) || !hierarchies.some(({ has }) => has.includes(controller)))
      .map((limit) => ({ limit, reason: problems.get(limit) ?? "no cgroup of this machine may be used for it" })),
    [Symbol.dispose]: () => {
      for (const descriptor of descriptors.splice(0)) close(descriptor);
    },
  };
}

/**
 * Who joins has one thread, so that either file of version 1 does. With `tasks` the kernel need not stop all that begin
 * or end threads, which takes an RCU grace period: 10 to 20 ms on a busy machine (kernel/cgroup/cgroup.c,
 * cgroup_procs_write_start). Version 2 takes single threads in threaded groups only.
 */
const membershipFiles = { 1: "tasks", 2: "cgroup.procs" } as const;

/** A group in one hierarchy; `folder` is absent where none could be made. */
interface Group {
  readonly folder?: string;
  readonly membership: string;
  readonly oomCounter?: string;
  readonly problems: ReadonlyMap<Controller, string>;
}

function makeGroup(hierarchy: Hierarchy, parent: string, node: string, limits: Limits): Group {
  const { version, has } = hierarchy;
  const folder = join(parent, node);
  const membership = membershipFiles[version];
  const refused = attempt(() => {
    mkdirSync(folder, { recursive: true });
  });
  if (refused !== undefined) return { membership, problems: new Map(has.map((controller) => [controller, refused])) };
  const problems = new Map<Controller, string>();
  for (const controller of has) {
    const problem = attempt(() => {
      if (version === 2) delegate(controller, [hierarchy.base, parent]);
      writeLimit(version, controller, folder, limits[controller]);
    });
    if (problem !== undefined) problems.set(controller, problem);
  }
  const counts = has.includes("memory") && !problems.has("memory");
  const oomCounter = join(folder, version === 2 ? "memory.events" : "memory.oom_control");
  return { folder, membership, problems, ...(counts ? { oomCounter } : {}) };
}

/** @returns what went wrong */
function attempt(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Version 2 gives a controller to the children of a folder that asks for it, from the base downwards. */
function delegate(controller: Controller, folders: readonly string[]): void {
  for (const folder of folders) writeFileSync(join(folder, "cgroup.subtree_control"), `+${controller}`);
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

function writeLimit(version: 1 | 2, controller: Controller, folder: string, limit: number | undefined): void {
  for (const [file, value] of limitFiles(version, controller, limit)) {
    // Without swap accounting there is no file for it, and nothing to limit.
    if (file === "memory.swap.max" && !existsSync(join(folder, file))) continue;
    writeFileSync(join(folder, file), value);
  }
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
