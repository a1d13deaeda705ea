/** The machine's own root as the lower layer of a container: its folders and links, and where something is mounted. */
import { lstatSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { posix } from "node:path";
import type { RootEntry } from "../model/container.js";

/** How deep mount points are looked for below the root; what lies deeper stays empty in the container. */
const depth = 4;

/** File systems without files of their own, or of other containers. As root an overlay goes on below them as if they were not there. */
const passedOver = new Set(
  `autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs overlay
  proc pstore ramfs rpc_pipefs securityfs squashfs sysfs tmpfs tracefs`.split(/\s+/),
);

/** What is larger than this is not copied into a container from beside a mount point. Bytes. */
const largestCopy = 1 << 20;

interface Mounts {
  /** Every mount point, with the type of what is on top there. */
  readonly types: ReadonlyMap<string, string>;
  /** Those that a layer cannot pass over. */
  readonly inTheWay: readonly string[];
}

/** @param rootless then every mount is locked: no folder with one below it can be a layer */
export function surveyRoot(rootless: boolean): RootEntry[] {
  const types = new Map(readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(Boolean).map(readMount));
  const matters = ([path, type]: readonly [string, string]) => rootless || (!passedOver.has(type) && isFolder(path));
  const inTheWay = [...types].filter(matters).map(([path]) => path);
  return survey("/", { types, inTheWay }, depth);
}

/** A line of proc_pid_mountinfo(5): the mount point, whose blanks and backslashes are octal, and the type behind `-`. */
function readMount(line: string): [path: string, type: string] {
  const [before = "", after = ""] = line.split(" - ");
  const path = (before.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return [path, after.split(" ")[0] ?? ""];
}

/** Something mounted on a file (Docker does so with /etc/hosts) is covered by a file of the container's. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function survey(folder: string, mounts: Mounts, levels: number): RootEntry[] {
  return readableNames(folder).flatMap((name): RootEntry[] => {
    const path = posix.join(folder, name);
    const type = mounts.types.get(path);
    const mountPoint = type !== undefined;
    // To look into it would mount something.
    if (type === "autofs") return [{ path, mountPoint, empty: true }];
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isSymbolicLink() === true) return [{ path, mountPoint, empty: false, link: readlinkSync(path) }];
    if (entry?.isFile() === true && folder !== "/" && entry.size <= largestCopy) {
      return [{ path, mountPoint, empty: false, file: true }];
    }
    if (entry?.isDirectory() !== true) return [];
    if (!mounts.inTheWay.some((point) => point.startsWith(`${path}/`))) {
      return [{ path, mountPoint, empty: readableNames(path).length === 0 }];
    }
    return [{ path, mountPoint, empty: false, children: levels > 1 ? survey(path, mounts, levels - 1) : [] }];
  });
}

/** A folder that an ordinary user may not look into has nothing for his container. */
function readableNames(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
