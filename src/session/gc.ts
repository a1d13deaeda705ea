/** `gc`: removes what labs left whose init died, and labs whose state was lost. Running labs are not touched. */
import { removeStaleLocks, withLabLock } from "../lab/lock.js";
import { removeInstances, staleInstances } from "../kernel/tracefs/index.js";
import { Failure } from "../model/failure.js";
import { isAlive, LabFolder } from "../lab/state.js";
import { endInit, lostInits } from "../lab/inits.js";
import { listNames, removeDangling, removeNames } from "../lab/names.js";
import { findLeftovers, type Leftovers, sweep } from "../lab/sweep.js";

export async function gc(options: {
  readonly dryRun: boolean;
  readonly onWarning: (text: string) => void;
}): Promise<readonly Leftovers[]> {
  const traces = staleInstances();
  const found = findLeftovers();
  if (options.dryRun) return [...found, ...ofTraces(traces)];
  const removed: Leftovers[] = [];
  for (const leftover of found) {
    const { lab, names } = leftover;
    if (lab === undefined) {
      removeDangling(names);
      removed.push(leftover);
      continue;
    }
    const onWait = (holder: string) => options.onWarning(`lab '${lab}' is in use by ${holder}; waiting`);
    await withLabLock(lab, "gc", async () => removed.push(...(await collect(lab, options.onWarning))), { onWait });
  }
  removeStaleLocks();
  return [...removed, ...ofTraces(removeInstances(traces))];
}

/** Trace instances of the kernel that a killed `trace --self-check` left, with their events on. */
function ofTraces(instances: readonly string[]): Leftovers[] {
  if (instances.length === 0) return [];
  const machine = instances.map((name) => `trace instance ${name}`);
  return [{ inits: [], names: [], cgroups: [], machine, notes: [] }];
}

/** Asks anew: the lab may have been started while we waited for the lock. */
async function collect(lab: string, onWarning: (text: string) => void): Promise<Leftovers[]> {
  const names: string[] = [];
  const lost = lostInits().filter((init) => init.lab === lab);
  for (const init of lost) {
    names.push(...listNames(init.pid));
    await endInit(init);
    removeNames(init.pid);
  }
  const inits = lost.map(({ pid }) => pid);
  const folder = new LabFolder(lab);
  const record = folder.read();
  if (record !== undefined && isAlive(record))
    return inits.length === 0 ? [] : [{ lab, inits, names, cgroups: [], machine: [], notes: [] }];
  const swept = await sweepHere(folder, onWarning);
  return swept.map((each) => ({ ...each, inits, names: [...each.names, ...names] }));
}

/** Passes over a lab that was built in another network namespace: it is for whoever runs `gc` there. */
async function sweepHere(folder: LabFolder, onWarning: (text: string) => void): Promise<Leftovers[]> {
  try {
    return [await sweep(folder)];
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "OTHER_NAMESPACE") throw error;
    onWarning(error.message);
    return [];
  }
}
