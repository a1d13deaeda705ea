/** `down`: ends a lab. Works from its name alone, whatever state it is in. */
import { connectInit } from "../init/client.js";
import { withLabLock } from "../lab/lock.js";
import { isAlive, labNames, LabFolder } from "../lab/state.js";
import { checkOwnMachine } from "../lab/machine/lab-on-machine.js";
import { endInit, lostInits } from "../lab/inits.js";
import { danglingNames, removeDangling, removeNames } from "../lab/names.js";
import { lostLabs, sweep } from "../lab/sweep.js";
import { countOwned } from "../lab/owned.js";
import { didYouMean } from "../model/spelling.js";
import { Failure } from "../model/failure.js";
import { findLab } from "./target.js";

export interface DownOptions {
  /** Absent: the lab that is meant when none is named. */
  readonly lab: string | undefined;
  readonly onWarning: (text: string) => void;
}

export interface DownResult {
  readonly lab: string;
  /** Whether its init ran; false for the remains of a dead one. */
  readonly wasRunning: boolean;
  readonly nodes: number;
  /** What is still there that belongs to the lab: 0 but for a failure. */
  readonly left: readonly string[];
}

export async function down(options: DownOptions): Promise<DownResult> {
  const name = options.lab ?? findLab(undefined).record.name;
  if (!labNames().includes(name) && !lostLabs().includes(name)) {
    throw new Failure("usage", `no lab '${name}'`, {
      hint: didYouMean(name, labNames()) ?? "yapc-net ls shows what runs",
      code: "NO_LAB",
    });
  }
  return withLabLock(name, "down", () => end(name, options.onWarning), {
    onWait: (holder) => options.onWarning(`lab '${name}' is in use by ${holder}; waiting`),
  });
}

async function end(name: string, onWarning: (text: string) => void): Promise<DownResult> {
  const folder = new LabFolder(name);
  const record = folder.read();
  const wasRunning = record !== undefined && isAlive(record);
  // Before anything ends: from elsewhere the rest could not be removed.
  checkOwnMachine(folder);
  if (wasRunning) {
    using line = await connectInit({ stateFolder: folder.path });
    await line.shutdown();
  }
  // Without a record an init may still run: its state was removed under it.
  const lost = record === undefined ? lostInits().filter((init) => init.lab === name) : [];
  for (const init of lost) {
    await endInit(init);
    removeNames(init.pid);
  }
  if (record === undefined) removeDangling(danglingNames().filter((each) => each.startsWith(`${name}-`)));
  for (const note of (await sweep(folder)).notes) onWarning(note);
  return {
    lab: name,
    wasRunning: wasRunning || lost.length > 0,
    nodes: record?.topology.nodes.length ?? 0,
    left: countOwned(name, record),
  };
}
