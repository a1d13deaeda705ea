/** `gc`: removes what labs left whose init died. Running labs are not touched. */
import { removeStaleLocks, withLabLock } from "../lab/lock.js";
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
      () => {
        // It may have been started anew while we waited for the lock.
        const folder = new LabFolder(lab);
        const record = folder.read();
        if (record === undefined || !isAlive(record)) removed.push(sweep(folder));
        return Promise.resolve();
      },
      { onWait: (holder) => options.onWarning(`lab '${lab}' is in use by ${holder}; waiting`) },
    );
  removeStaleLocks();
  return removed;
}
