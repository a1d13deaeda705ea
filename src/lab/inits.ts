/**
 * The inits of labs, found without their state folders: each is called `yapc-init FOLDER` and is PID 1 of a PID
 * namespace right below ours. What lost its folder while it ran is found by this alone.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../model/failure.js";
import { labNamePattern, LabFolder, processStartTime, stateRoot } from "./state.js";

export interface LabInit {
  readonly lab: string;
  /** As seen from the machine. */
  readonly pid: number;
  readonly startTime: string;
  /** Its state lies, or lay, below our `stateRoot`; else it is another user's, a container's, another mount namespace's. */
  readonly ours: boolean;
}

export function labInits(): LabInit[] {
  const root = stateRoot();
  const depth = namespacePids("self").length;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [program, folder = ""] = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        const lab = path.basename(folder);
        if (program !== "yapc-init" || !labNamePattern.test(lab)) return [];
        // A container's first process is a fork of init and has its command line, but lives one namespace deeper.
        const pids = namespacePids(name);
        const startTime = processStartTime(Number(name));
        if (pids.length !== depth + 1 || pids.at(-1) !== "1" || startTime === undefined) return [];
        const ours = folder === path.join(root, lab) && sameFolder(root, `/proc/${name}/root${root}`);
        return [{ lab, pid: Number(name), startTime, ours }];
      } catch {
        return []; // gone meanwhile, or somebody else's
      }
    });
}

/** Milliseconds that the kernel gets to end what init held. */
const patience = 10_000;

/** Those of ours that no state folder tells of: it was removed while they ran, or made anew since. */
export function lostInits(): LabInit[] {
  return labInits().filter(({ lab, pid, ours }) => ours && new LabFolder(lab).read()?.pid !== pid);
}

/** Kills it, and with it all that the lab has in namespaces of its own. Settles when it is gone. */
export async function endInit({ lab, pid, startTime }: LabInit): Promise<void> {
  const deadline = Date.now() + patience;
  if (processStartTime(pid) === startTime) process.kill(pid, "SIGKILL");
  while (processStartTime(pid) === startTime) {
    if (Date.now() > deadline)
      throw new Failure("kernel", `init of lab '${lab}' (PID ${pid}) does not end`, { code: "ETIMEDOUT" });
    await delay(5);
  }
}

/** The PIDs of a process in the PID namespaces that it is in, ours first (proc_pid_status(5), NSpid). */
function namespacePids(name: string): string[] {
  const status = readFileSync(`/proc/${name}/status`, "latin1");
  return /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
}

function sameFolder(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)];
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false; // not for us to look into
  }
}
