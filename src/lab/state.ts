/**
 * Where the state of labs lies: one folder a lab, readable by its owner only.
 *
 * `/run/yapc-net` for root, `$XDG_RUNTIME_DIR/yapc-net` or `/tmp/yapc-net-UID` for everyone else. Nothing in it is
 * needed to end a lab (its init's death is enough): it lets commands find a running lab and tells what is left over.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Failure } from "../model/failure.js";
import type { ResolvedTopology } from "../topology/resolved.js";

/** Names that are safe as a file name, in `/run/netns` and in a cgroup path. */
export const labNamePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,47}$/;

export interface LabRecord {
  readonly version: 1;
  readonly name: string;
  /** File that the lab was started from, absolute; absent for a topology that was made in memory. */
  readonly file?: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** PID of the lab's init as seen from the machine. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: with the PID it names the process for the life of the machine. */
  readonly startTime: string;
  /** /proc/sys/kernel/random/boot_id: after a reboot nothing of the lab is alive. */
  readonly bootId: string;
  readonly rootless: boolean;
  /** What it has on the machine itself; absent for a sandbox that keeps to its own namespaces. */
  readonly machine?: MachineRecord;
  /** False until the first `up` is complete. */
  readonly committed: boolean;
  /** What was carried out last. */
  readonly topology: ResolvedTopology;
  /** What is being carried out, or was when a command was killed: the lab is anywhere between the two. */
  readonly towards?: ResolvedTopology;
}

export interface MachineRecord {
  /** The node that is built on the machine (`up --real`). */
  readonly node?: string;
  /** Sysctls of the machine that the lab relies on, whoever raised them. */
  readonly needs: readonly string[];
}

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Start time of a process (proc_pid_stat(5), field 22), or undefined where there is none, or only its zombie. */
export function processStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command name may hold spaces and parentheses: fields are counted from the last one.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" || state === "X" ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

/** The folder of all labs of this user. Made when absent; refused when somebody else owns it. */
export function stateRoot(): string {
  const uid = process.getuid?.() ?? 0;
  const runtime = process.env.XDG_RUNTIME_DIR;
  const folder =
    uid === 0
      ? "/run/yapc-net"
      : runtime !== undefined && path.isAbsolute(runtime) && ownedFolder(runtime, uid)
        ? path.join(runtime, "yapc-net")
        : `/tmp/yapc-net-${uid}`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure("machine", `cannot make the state folder of labs: ${reason}`, {
      hint: "set XDG_RUNTIME_DIR to a folder of your own, or unset it",
      cause: error,
    });
  }
  if (!ownedFolder(folder, uid))
    throw new Failure("machine", `state folder ${folder} is not a folder of yours`, {
      hint: `remove it, or set XDG_RUNTIME_DIR to a folder of your own`,
    });
  chmodSync(folder, 0o700);
  return folder;
}

function ownedFolder(folder: string, uid: number): boolean {
  try {
    const status = lstatSync(folder);
    return status.isDirectory() && status.uid === uid;
  } catch {
    return false;
  }
}

/** The folder of one lab and what lies in it. */
export class LabFolder {
  readonly path: string;
  readonly socket: string;
  readonly containers: string;
  readonly logs: string;
  readonly hosts: string;
  readonly resolv: string;

  constructor(readonly name: string) {
    this.path = path.join(stateRoot(), name);
    this.socket = path.join(this.path, "init.sock");
    this.containers = path.join(this.path, "containers");
    this.logs = path.join(this.path, "logs");
    this.hosts = path.join(this.path, "hosts");
    this.resolv = path.join(this.path, "resolv");
  }

  /** Log of a node's container: one line a line of output, stamped by init. */
  log(node: string): string {
    return path.join(this.logs, `${node}.log`);
  }

  make(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    for (const folder of [this.containers, this.logs, this.hosts, this.resolv])
      mkdirSync(folder, { recursive: true, mode: 0o755 });
  }

  exists(): boolean {
    return lstatSync(this.path, { throwIfNoEntry: false }) !== undefined;
  }

  read(): LabRecord | undefined {
    let text: string;
    try {
      text = readFileSync(path.join(this.path, "lab.json"), "utf8");
    } catch {
      return undefined;
    }
    try {
      // Written by `write` below, in a folder that only this user can write: its form is ours.
      const record = JSON.parse(text) as Omit<LabRecord, "version"> & { readonly version: number };
      return record.version === 1 ? { ...record, version: 1 } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Replaces the record in one step: a reader sees the old or the new one, never half of it. */
  write(record: LabRecord): void {
    const file = path.join(this.path, "lab.json");
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

/** Names of all labs that have a folder, alive or not. */
export function labNames(): string[] {
  return readdirSync(stateRoot(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && labNamePattern.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** Whether the init that the record names still runs. */
export function isAlive(record: LabRecord): boolean {
  return record.bootId === bootId() && processStartTime(record.pid) === record.startTime;
}
