/** `gc`: removes what labs left whose init died. Running labs are not touched. */
import { removeStaleLocks, withLabLock } from "../lab/lock.js";
import { Failure } from "../model/failure.js";
import { isAlive, LabFolder } from "../lab/state.js";
import { findLeftovers, type Leftovers, sweep } from "../lab/sweep.js";

export async function gc(options: {
  readonly dryRun: boolean;
  readonly onWarning: (text: string) => void;
}): Promise<readonly Leftovers[]> {
  const found = findLeftovers();
  if (options.dryRun) return found;
  const removed: Leftovers[] = [];
  for (const { lab } of found)
    await withLabLock(
      lab,
      "gc",
      async () => {
        // It may have been started anew while we waited for the lock.
        const folder = new LabFolder(lab);
        const record = folder.read();
        if (record === undefined || !isAlive(record)) removed.push(...(await sweepHere(folder, options.onWarning)));
      },
      { onWait: (holder) => options.onWarning(`lab '${lab}' is in use by ${holder}; waiting`) },
    );
  removeStaleLocks();
  return removed;
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
