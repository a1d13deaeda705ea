/**
 * What a container is to be, and what the machine has for it: the two inputs of its program (`src/container`).
 */

/** What to run and how confined. The topology's `ResolvedContainer` is one. */
export interface ContainerSpec {
  readonly command: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  readonly workingDirectory: string;
  readonly hostname: string;
  /** Complete bounding set, `net_raw` style. */
  readonly capabilities: readonly string[];
  readonly seccomp: boolean | SeccompProfile;
  /** Nothing of its root can be written, what is bound into it excepted. */
  readonly readOnly?: boolean;
}

/** A filter of system calls in Docker's JSON form. */
export interface SeccompProfile {
  /** Where it was read, for errors. */
  readonly name: string;
  readonly text: string;
  /** `uname -r`: entries may ask for a kernel. */
  readonly kernel: string;
}

/** A file or folder of the machine that is seen inside. */
export interface Bind {
  /** Path on the machine. */
  readonly source: string;
  /** Absolute path inside. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** What it may use; an absent one is not limited. */
export interface Limits {
  /** CPUs: 0.5 is half of one. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
  /** CPUs by number, `0-1,3`: it runs on no others. */
  readonly cpuset?: string;
  /** Bytes a second that it may read from each disk, and as many that it may write to it. */
  readonly io?: number;
}

/** How a command ended. */
export interface ExitStatus {
  /** Exit code, or undefined where a signal ended it. */
  readonly code?: number;
  readonly signal?: string;
  /** The kernel ended it, or a process beside it, for want of memory below its limit. */
  readonly outOfMemory?: boolean;
}

/** What the container of a node is doing. */
export interface ContainerState {
  readonly state: "running" | "ended" | "not started";
  readonly command: readonly string[];
  /** Of its first process, as seen from the machine. */
  readonly pid?: number;
  /** As its topology gives them; of one that runs those that its cgroups enforce. */
  readonly limits: Limits;
  /** How many of its processes the kernel ended for want of memory, while it runs. */
  readonly oomKills?: number;
  readonly exit?: ExitStatus;
  /** `exit` in words. */
  readonly reason?: string;
}

/** `status 3`, `ended by SIGTERM`, `killed: memory limit 100M reached`. @param limits that were in force */
export function exitText({ code, signal, outOfMemory }: ExitStatus, limits: Limits = {}): string {
  const how = signal === undefined ? `status ${code ?? 0}` : `ended by ${signal}`;
  if (outOfMemory !== true) return how;
  const reached = limits.memory === undefined ? "out of memory" : `memory limit ${sizeText(limits.memory)} reached`;
  // A shell gives 128 + 9 for a child that was killed.
  return signal === "SIGKILL" || code === 137 ? `killed: ${reached}` : `${how}; a process in it was killed: ${reached}`;
}

/** As a topology writes it: `100M`. */
export function sizeText(bytes: number): string {
  const units = ["", "K", "M", "G"];
  let size = bytes;
  let unit = 0;
  while (unit < units.length - 1 && size > 0 && size % 1024 === 0) {
    size /= 1024;
    unit += 1;
  }
  return `${size}${units[unit] ?? ""}`;
}

/** An entry of the machine's root: a folder, unless it says otherwise. For a container that has it as its lower layer. */
export interface RootEntry {
  readonly path: string;
  /** Text of a symbolic link. */
  readonly link?: string;
  /** A plain file beside something that is mounted. */
  readonly file?: true;
  readonly mountPoint: boolean;
  /** A folder with nothing in it needs no layer. */
  readonly empty: boolean;
  /** Given where something is mounted below: such a folder cannot be one layer. */
  readonly children?: readonly RootEntry[];
}

export type LowerLayer =
  | { readonly kind: "folder"; readonly path: string }
  /** `/`: its entries. */
  | { readonly kind: "machine"; readonly entries: readonly RootEntry[] };

/** Folders that start empty in a container over `/`: what is there is of the machine's own processes, or mounted. */
export const freshFolders: ReadonlyMap<string, number> = new Map([
  ["/boot", 0o755],
  ["/media", 0o755],
  ["/mnt", 0o755],
  ["/run", 0o755],
  ["/snap", 0o755],
  ["/tmp", 0o1777],
]);

/** A hierarchy that the container sees, read-only, below /sys/fs/cgroup. */
export interface CgroupMount {
  readonly version: 1 | 2;
  /** Version 1: the folder's name below /sys/fs/cgroup, which is also the mount option (`memory`, `cpu,cpuacct`). */
  readonly controllers: string;
}

export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export interface SiteBind extends Bind {
  readonly kind: "folder" | "file";
  /** Whether its root has something at the target; else that is made in its own layer. */
  readonly there: boolean;
}

/** Where a container is built. Paths are absolute; the folders are there already and belong to the lab's owner. */
export interface ContainerSite {
  /** Becomes the container's own layer: what it writes can be read here. */
  readonly upper: string;
  readonly work: string;
  /** Where its root is put together, in a mount namespace of its own. */
  readonly root: string;
  readonly rootless: boolean;
  /** How many users and groups there are inside, from 0 up: without root perhaps one. */
  readonly ids: { readonly users: number; readonly groups: number };
  readonly lower: LowerLayer;
  readonly user: ContainerUser;
  /** Absolute paths inside, without links on the way. */
  readonly files: readonly (readonly [path: string, content: string])[];
  /** In the order in which they are mounted; targets without links on the way. */
  readonly binds?: readonly SiteBind[];
  readonly cgroups: readonly CgroupMount[];
  /** How many cgroups it joins (descriptors that take its members). */
  readonly cgroupCount: number;
  /** Whether a descriptor that counts OOM kills follows those. */
  readonly countsOom: boolean;
  /** /proc/sys/kernel/cap_last_cap */
  readonly lastCapability: number;
  /** `x64`, `arm64` as Node names them: the system call filter depends on it. */
  readonly architecture: string;
}
