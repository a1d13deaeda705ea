/**
 * What a lab leaves behind by nature when its init dies: names in /run/netns, empty cgroups, its state folder. Removed
 * by `down`, by `gc`, and by the next `up` of that name. Nothing that is not the lab's own is touched.
 */
import { findHierarchies, removeLabCgroups } from "../init/cgroup.js";
import { removeTree } from "../init/remove-tree.js";
import { isAlive, labNames, LabFolder, type LabRecord } from "./state.js";
import { clearOnMachine, labsOnMachine, onMachine } from "./machine/lab-on-machine.js";
import { listNames, removeNames } from "./names.js";
import { labCgroups } from "./owned.js";

export interface Leftovers {
  readonly lab: string;
  /** Names in /run/netns. */
  readonly names: readonly string[];
  readonly cgroups: readonly string[];
  readonly folder: string;
  /** Links, tables, rules and the like on the machine itself. */
  readonly machine: readonly string[];
  /** What could not be removed, or was left as it is on purpose, and why. */
  readonly notes: readonly string[];
}

/** Labs that are no longer alive, and what is left of each. */
export function findLeftovers(): Leftovers[] {
  return [...new Set([...labNames(), ...labsOnMachine()])].flatMap((name) => {
    const folder = new LabFolder(name);
    const record = folder.read();
    return record !== undefined && isAlive(record) ? [] : [leftovers(folder, record)];
  });
}

function leftovers(folder: LabFolder, record: LabRecord | undefined): Leftovers {
  return {
    lab: folder.name,
    names: record === undefined ? [] : listNames(record.pid),
    cgroups: labCgroups(folder.name),
    folder: folder.path,
    machine: onMachine(folder),
    notes: [],
  };
}

/** Removes what a dead lab left. @returns what there was */
export async function sweep(folder: LabFolder): Promise<Leftovers> {
  const record = folder.read();
  const found = leftovers(folder, record);
  // The journal goes last, with the folder: until then what it tells of may be there.
  const { failures, notes } = clearOnMachine(folder);
  if (record !== undefined) removeNames(record.pid);
  removeLabCgroups(findHierarchies(), folder.name);
  if (failures.length === 0) await removeTree(folder.path);
  return { ...found, notes: [...failures, ...notes] };
}
