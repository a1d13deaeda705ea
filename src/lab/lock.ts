/**
 * One command at a time on a lab. An flock(2) on a file beside the lab's folder: the kernel lets go of it when its
 * holder dies, so there are no stale locks.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { tryLockFile } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { labNames, stateRoot } from "./state.js";

export interface LockOptions {
  /** Called once when somebody else holds the lock, with what is known of the holder: `yapc-net up (PID 812)`. */
  readonly onWait?: (holder: string) => void;
  /** Milliseconds before giving up. */
  readonly patience?: number;
}

const pollInterval = 50;

/** Holds the lock of a lab while `action` runs. @param purpose what the holder does, told to those who wait: `up` */
export async function withLabLock<T>(
  lab: string,
  purpose: string,
  action: () => Promise<T>,
  { onWait, patience = 60_000 }: LockOptions = {},
): Promise<T> {
  const file = path.join(stateRoot(), `${lab}.lock`);
  const descriptor = await acquire(file, lab, onWait, patience);
  try {
    truncateSync(file);
    writeSync(descriptor, `yapc-net ${purpose} (PID ${process.pid})`, 0);
    return await action();
  } finally {
    // Removed while held: whoever waits on this inode sees that it lost its name and opens the new one.
    unlinkSync(file);
    closeSync(descriptor);
  }
}

/** Removes the lock files of commands that were killed, but for those of labs that are there. @returns how many */
export function removeStaleLocks(): number {
  const root = stateRoot();
  const names = new Set(labNames());
  let removed = 0;
  for (const entry of readdirSync(root)) {
    if (!entry.endsWith(".lock") || names.has(entry.slice(0, -".lock".length))) continue;
    const file = path.join(root, entry);
    const descriptor = openSync(file, "a", 0o600);
    if (tryLockFile(descriptor)) {
      unlinkSync(file);
      removed += 1;
    }
    closeSync(descriptor);
  }
  return removed;
}

async function acquire(file: string, lab: string, onWait: LockOptions["onWait"], patience: number): Promise<number> {
  const deadline = Date.now() + patience;
  let told = false;
  for (let attempt = 0; ; attempt += 1) {
    const descriptor = openSync(file, "a", 0o600);
    if (tryLockFile(descriptor)) {
      if (statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(descriptor).ino) return descriptor;
      closeSync(descriptor);
      continue;
    }
    closeSync(descriptor);
    // Between taking the lock and writing who it is, a holder has no name: it gets a moment.
    const holder = holderOf(file);
    if (!told && (holder !== undefined || attempt > 0)) {
      onWait?.(holder ?? unnamed);
      told = true;
    }
    if (Date.now() > deadline)
      throw new Failure("kernel", `lab '${lab}' has been in use by ${holder ?? unnamed} for ${patience / 1000} s`, {
        hint: "wait for it, or end it",
        code: "LOCKED",
      });
    await delay(pollInterval);
  }
}

const unnamed = "another command";

function holderOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8") || undefined;
  } catch {
    return undefined;
  }
}
