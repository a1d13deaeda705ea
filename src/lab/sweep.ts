/**
 * What a lab leaves behind by nature when its init dies: names in /run/netns, empty cgroups, its state folder. Removed
 * by `down`, by `gc`, and by the next `up` of that name. Nothing that is not the lab's own is touched.
 *
 * The state folder may be lost, too, while the lab runs or after. What is left is then found by its marks: inits by what
 * they are called, cgroups by their name, links, tables and rules by theirs, names in /run/netns by where they lead.
 */
import { findHierarchies, removeLabCgroups } from "../init/cgroup.js";
import { removeTree } from "../init/remove-tree.js";
import { labInits, lostInits } from "./inits.js";
import { isAlive, labNames, LabFolder, type LabRecord } from "./state.js";
import { clearOnMachine, labsOnMachine, onMachine } from "./machine/lab-on-machine.js";
import { danglingNames, listNames, removeNames } from "./names.js";
import { cgroupLabs, labCgroups } from "./owned.js";

export interface Leftovers {
  /** Absent for names in /run/netns that nothing tells the lab of, and for what a trace left. */
  readonly lab?: string;
  /** PIDs of inits that ran on without a state folder. */
  readonly inits: readonly number[];
  /** Names in /run/netns. */
  readonly names: readonly string[];
  readonly cgroups: readonly string[];
  /** Its state folder, where it is there. */
  readonly folder?: string;
  /** Links, tables, rules and the like on the machine itself. */
  readonly machine: readonly string[];
  /** What could not be removed, or was left as it is on purpose, and why. */
  readonly notes: readonly string[];
}

/** Labs of which there is something without a state folder: the folder was removed, or never written. */
export function lostLabs(): string[] {
  const inits = labInits();
  // A cgroup is the computer's: a lab whose state we do not see may live in another mount namespace.
  const elsewhere = new Set(inits.filter(({ ours }) => !ours).map(({ lab }) => lab));
  const found = [...inits.filter(({ ours }) => ours).map(({ lab }) => lab), ...labsOnMachine(), ...cgroupLabs()];
  const known = new Set(labNames());
  return [...new Set(found)].filter((lab) => !known.has(lab) && !elsewhere.has(lab));
}

/** Labs that are no longer alive, and what is left of each. */
export function findLeftovers(): Leftovers[] {
  const lost = lostInits();
  const labs = [...new Set([...labNames(), ...lostLabs()])].flatMap((name) => {
    const folder = new LabFolder(name);
    const record = folder.read();
    const inits = lost.filter(({ lab }) => lab === name).map(({ pid }) => pid);
    // One that runs may have lost an earlier init of its name: that one goes, and nothing else of it.
    if (record !== undefined && isAlive(record)) return inits.length === 0 ? [] : [ofInits(name, inits)];
    return [
      {
        ...leftovers(folder, record, onMachine(folder)),
        inits,
        names: [...namesOf(record), ...inits.flatMap(listNames)],
      },
    ];
  });
  const told = new Set(labs.flatMap(({ names }) => names));
  const names = danglingNames().filter((name) => !told.has(name));
  return names.length === 0 ? labs : [...labs, { inits: [], names, cgroups: [], machine: [], notes: [] }];
}

function ofInits(lab: string, inits: readonly number[]): Leftovers {
  return { lab, inits, names: inits.flatMap(listNames), cgroups: [], machine: [], notes: [] };
}

const namesOf = (record: LabRecord | undefined) => (record === undefined ? [] : listNames(record.pid));

function leftovers(folder: LabFolder, record: LabRecord | undefined, machine: readonly string[]): Leftovers {
  return {
    lab: folder.name,
    inits: [],
    names: namesOf(record),
    cgroups: labCgroups(folder.name),
    ...(folder.exists() ? { folder: folder.path } : {}),
    machine,
    notes: [],
  };
}

/** Removes what a dead lab left. @returns what there was */
export async function sweep(folder: LabFolder): Promise<Leftovers> {
  const record = folder.read();
  // The journal goes last, with the folder: until then what it tells of may be there.
  const { found: machine, failures, notes } = clearOnMachine(folder);
  const found = leftovers(folder, record, machine);
  if (record !== undefined) removeNames(record.pid);
  removeLabCgroups(findHierarchies(), folder.name);
  if (failures.length === 0) await removeTree(folder.path);
  return { ...found, notes: [...failures, ...notes] };
}
