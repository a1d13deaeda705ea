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
  readonly seccomp: boolean;
}

/** What it may use; an absent one is not limited. */
export interface Limits {
  /** CPUs: 0.5 is half of one. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
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
