/**
 * Cgroups of a lab's containers: a folder `yapc-net-LAB/NODE` in each hierarchy that limits or counts something, with
 * its limits written before anything enters it. Version 1, version 2, and machines that have both.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { close, constants, open } from "../kernel/syscalls.js";
import type { CgroupMount, Limits } from "../model/container.js";
import { Failure } from "../model/failure.js";
import { type LimitFile, limitFiles } from "./cgroup-files.js";
import { type Controller, type Hierarchy, alwaysUsed, controllers } from "./hierarchy.js";

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
  /** What was written, path and value, in this order. */
  readonly written: readonly (readonly [path: string, value: string])[];
  /** Limits that nothing here can enforce, each with the reason. */
  readonly unenforced: readonly { readonly limit: Controller; readonly reason: string }[];
}

const labFolder = (hierarchy: Hierarchy, lab: string) => join(hierarchy.base, `yapc-net-${lab}`);

/**
 * Makes the groups of a container, or finds those of its last run, and writes its limits. Hierarchies that only limit
 * what nobody asked to be limited are left alone. Throws a Failure for a limit that the kernel refuses; what was made
 * for it is removed.
 */
export function makeCgroup(hierarchies: readonly Hierarchy[], lab: string, node: string, limits: Limits): NodeCgroup {
  const isUsed = (controller: Controller) => alwaysUsed.has(controller) || limits[controller] !== undefined;
  const used = hierarchies.filter(({ has }) => has.some(isUsed));
  let groups: Group[];
  try {
    groups = used.map((hierarchy) => makeGroup(hierarchy, labFolder(hierarchy, lab), node, limits, isUsed));
  } catch (error) {
    removeCgroup(used, lab, node);
    throw error;
  }
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
    written: groups.flatMap(({ written }) => written),
    shown: used.map(({ version, name }) => ({ version, controllers: name })),
    unenforced: controllers
      .filter((controller) => limits[controller] !== undefined)
      .filter((controller) => problems.has(controller) || !used.some(({ has }) => has.includes(controller)))
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
  readonly written: readonly (readonly [path: string, value: string])[];
}

function makeGroup(
  hierarchy: Hierarchy,
  parent: string,
  node: string,
  limits: Limits,
  isUsed: (controller: Controller) => boolean,
): Group {
  const { version, has } = hierarchy;
  const folder = join(parent, node);
  const membership = membershipFiles[version];
  const refused = attempt(() => {
    mkdirSync(folder, { recursive: true });
  });
  if (refused !== undefined)
    return { membership, written: [], problems: new Map(has.map((controller) => [controller, refused.text])) };
  const problems = new Map<Controller, string>();
  const written: [string, string][] = [];
  // A group of version 1 has members only once it has CPUs and memory nodes.
  if (version === 1 && has.includes("cpuset")) for (const each of [parent, folder]) inheritCpus(each);
  for (const controller of has.filter(isUsed)) {
    const problem = attempt(() => {
      if (version === 2) delegate(controller, [hierarchy.base, parent]);
    });
    if (problem !== undefined) problems.set(controller, problem.text);
    else {
      const limited = { folder, node, controller, problems, written: limits[controller] === undefined ? [] : written };
      writeLimit(limitFiles(version, controller, limits), limited);
    }
  }
  const counts = has.includes("memory") && !problems.has("memory");
  const oomCounter = join(folder, version === 2 ? "memory.events" : "memory.oom_control");
  return { folder, membership, problems, written, ...(counts ? { oomCounter } : {}) };
}

/** @returns what went wrong */
function attempt(act: () => void): { readonly code: string; readonly text: string } | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // Node: "EACCES: permission denied, mkdir '/sys/fs/cgroup/x'"; a write to a descriptor names no path.
    const [, code = "", reason = text, tried = "", path = ""] =
      /^([A-Z]\w+): ([^,]+), (\w+)(?: '(.*)')?/.exec(text) ?? [];
    return { code, text: code === "" ? text : `${tried}${path === "" ? "" : ` ${path}`}: ${reason} (${code})` };
  }
}

/** Version 2 gives a controller to the children of a folder that asks for it, from the base downwards. */
function delegate(controller: Controller, folders: readonly string[]): void {
  for (const folder of folders) writeFileSync(join(folder, "cgroup.subtree_control"), `+${controller}`);
}

function inheritCpus(folder: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const above = join(dirname(folder), file);
    if (existsSync(above)) writeFileSync(join(folder, file), readFileSync(above));
  }
}

/** What a value that the kernel understands and does not want is answered with. */
const refusals = new Set(["EINVAL", "ERANGE", "EBUSY", "ENODEV", "ENOSPC"]);

interface Limited {
  readonly folder: string;
  readonly node: string;
  readonly controller: Controller;
  readonly problems: Map<Controller, string>;
  readonly written: [path: string, value: string][];
}

function writeLimit(files: readonly LimitFile[], { folder, node, controller, problems, written }: Limited): void {
  for (const { file, value, whereThere } of files) {
    const path = join(folder, file);
    if (whereThere === true && !existsSync(path)) continue;
    const problem = attempt(() => {
      writeFileSync(path, value);
    });
    if (problem === undefined) {
      written.push([path, value]);
      continue;
    }
    if (refusals.has(problem.code))
      throw new Failure(
        "kernel",
        `cannot limit the ${controller} of '${node}': write ${value} to ${path}: ${problem.text}`,
        {
          code: problem.code,
          hint: hints[controller],
        },
      );
    problems.set(controller, problem.text);
    return;
  }
}

const hints: Readonly<Record<Controller, string>> = {
  cpu: "no more CPUs than the group above it has, and no less than 0.01",
  memory: "more memory: the group uses more than that already",
  pids: "a whole number of processes",
  cpuset: "CPUs of this machine that the group above it has: lscpu lists them",
  io: "bytes a second, such as 10M",
};

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
