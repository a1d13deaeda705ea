/** `down`: ends a lab. Works from its name alone, whatever state it is in. */
import { connectInit } from "../init/client.js";
import { withLabLock } from "../lab/lock.js";
import { isAlive, labNames, LabFolder } from "../lab/state.js";
import { checkOwnMachine, labsOnMachine } from "../lab/machine/lab-on-machine.js";
import { sweep } from "../lab/sweep.js";
import { countOwned } from "../lab/owned.js";
import { closest } from "../model/spelling.js";
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
  if (!labNames().includes(name) && !labsOnMachine().includes(name)) {
    const near = closest(name, labNames());
    throw new Failure("usage", `no lab '${name}'`, {
      hint: near === undefined ? "yapc-net ls shows what runs" : `did you mean '${near}'?`,
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
  for (const note of (await sweep(folder)).notes) onWarning(note);
  return { lab: name, wasRunning, nodes: record?.topology.nodes.length ?? 0, left: countOwned(name, record) };
}
