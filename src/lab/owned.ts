/** The count that `down` ends with: what on this machine still belongs to a lab. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { findHierarchies } from "../init/cgroup.js";
import { onMachine } from "./machine/lab-on-machine.js";
import { listNames } from "./names.js";
import { isAlive, labNamePattern, LabFolder, type LabRecord } from "./state.js";

/** @returns one line for each thing that is left; empty when the lab is gone without a trace */
export function countOwned(name: string, record: LabRecord | undefined): string[] {
  const folder = new LabFolder(name);
  return [
    ...(record !== undefined && isAlive(record) ? [`process ${record.pid} (its init)`] : []),
    ...(record === undefined ? [] : listNames(record.pid).map((each) => `/run/netns/${each}`)),
    ...labCgroups(name),
    ...onMachine(folder),
    ...(existsSync(folder.path) ? [folder.path] : []),
  ];
}

/** What the name of a lab's cgroup folders begins with. */
const cgroupMark = "yapc-net-";

/** Cgroup folders of a lab that are there. */
export function labCgroups(name: string): string[] {
  return findHierarchies()
    .map((hierarchy) => path.join(hierarchy.base, `${cgroupMark}${name}`))
    .filter((folder) => existsSync(folder));
}

/** Labs that have cgroup folders. */
export function cgroupLabs(): string[] {
  const folders = findHierarchies().flatMap((hierarchy) => readdirSync(hierarchy.base));
  const names = folders.filter((name) => name.startsWith(cgroupMark)).map((name) => name.slice(cgroupMark.length));
  return [...new Set(names)].filter((name) => labNamePattern.test(name));
}
