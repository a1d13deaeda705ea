/**
 * The site of a container: its folders in the lab's state folder, and what its program must know of the machine.
 */
import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, posix, resolve } from "node:path";
import { Failure } from "../model/failure.js";
import type { ContainerSite, LowerLayer, RootEntry } from "../model/container.js";
import type { NodeCgroup } from "./cgroup.js";

export interface SiteRequest {
  readonly stateFolder: string;
  readonly node: string;
  /** `/`, a folder, or a tar archive. */
  readonly root: string;
  readonly files: ContainerSite["files"];
  readonly rootless: boolean;
  readonly cgroup?: NodeCgroup;
}

/** All of a site but its user, which takes the container's own passwd file: read it with `readInside`. */
export type UnownedSite = Omit<ContainerSite, "user">;

/**
 * Makes the folders `containers/NODE/{upper,work,root}` (they stay from one start to the next, as a container's files
 * do) and looks at the root. Throws a usage Failure where the root is neither a folder nor an archive.
 */
export function prepareSite(request: SiteRequest): UnownedSite {
  const folder = join(request.stateFolder, "containers", request.node);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const make = (name: string) => {
    const path = join(folder, name);
    // The mode of `upper` is that of `/` inside, for every user there.
    mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  };
  const [upper, work, root] = [make("upper"), make("work"), make("root")];
  const lower = lowerLayer(request.root, folder);
  const machine = readFileSync("/proc/sys/kernel/cap_last_cap", "utf8");
  return {
    upper,
    work,
    root,
    rootless: request.rootless,
    lower,
    files: request.files.map(([path, content]) => [resolveInside(lower, path), content]),
    cgroups: request.cgroup?.shown ?? [],
    cgroupCount: request.cgroup?.memberships.length ?? 0,
    countsOom: request.cgroup?.oomCounter !== undefined,
    lastCapability: Number(machine),
    architecture: process.arch,
  };
}

function lowerLayer(root: string, folder: string): LowerLayer {
  const path = resolve(root);
  if (path === "/") return { kind: "machine", entries: surveyRoot() };
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return { kind: "folder", path: realpathSync(path) };
  if (found?.isFile() === true) return { kind: "folder", path: unpack(path, join(folder, "lower"), found.mtimeMs) };
  throw new Failure("usage", `the root of a container is a folder or a tar archive, ${root} is neither`, {
    code: "ENOENT",
  });
}

/** Unpacks an archive once; GNU tar takes leading slashes and `..` off by itself, and finds out the compression. */
function unpack(archive: string, below: string, changed: number): string {
  const target = join(below, String(Math.trunc(changed)));
  if (statSync(target, { throwIfNoEntry: false }) !== undefined) return target;
  const partial = `${target}.partial`;
  rmSync(below, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o755 });
  const owner = process.getuid?.() === 0 ? ["--same-owner", "--numeric-owner"] : ["--no-same-owner"];
  const { status, stderr, error } = spawnSync("tar", ["-xpf", archive, "-C", partial, ...owner, "--exclude=dev/*"], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) {
    rmSync(below, { recursive: true, force: true });
    const words = error?.message ?? stderr.split("\n")[0] ?? "";
    throw new Failure("usage", `cannot unpack ${archive}: ${words}`, { code: "NO_ARCHIVE", cause: error });
  }
  renameSync(partial, target);
  return target;
}

/** How deep mount points are looked for below the root; what lies deeper stays empty in the container. */
const depth = 4;

function surveyRoot(): RootEntry[] {
  const mountPoints = new Set(
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => decodeMountPath(line.split(" ")[4] ?? "")),
  );
  return survey("/", mountPoints, depth);
}

/** mountinfo writes blanks and backslashes as octal (proc_pid_mountinfo(5)). */
function decodeMountPath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

function survey(folder: string, mountPoints: ReadonlySet<string>, levels: number): RootEntry[] {
  return readableNames(folder).flatMap((name): RootEntry[] => {
    const path = posix.join(folder, name);
    const mountPoint = mountPoints.has(path);
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isSymbolicLink() === true) return [{ path, mountPoint, empty: false, link: readlinkSync(path) }];
    if (entry?.isDirectory() !== true) return [];
    const mountsBelow = [...mountPoints].some((point) => point.startsWith(`${path}/`));
    if (!mountsBelow) return [{ path, mountPoint, empty: readableNames(path).length === 0 }];
    return [{ path, mountPoint, empty: false, children: levels > 1 ? survey(path, mountPoints, levels - 1) : [] }];
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

/** The path that a file of the container has once the links of its root are followed; links do not lead out. */
export function resolveInside(lower: LowerLayer, path: string): string {
  const base = lower.kind === "folder" ? lower.path : "";
  const ahead = posix.normalize(posix.join("/", path)).split("/").filter(Boolean);
  const done: string[] = [];
  for (let links = 0; ahead.length > 0;) {
    const part = ahead.shift() ?? "";
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = `${base}/${[...done, part].join("/")}`;
    const last = ahead.length === 0;
    if (!last && isLink(here)) {
      if (++links > 40)
        throw new Failure("usage", `too many links on the way to ${path} in the root of the container`, {
          code: "ELOOP",
        });
      const text = readlinkSync(here);
      if (text.startsWith("/")) done.length = 0;
      ahead.unshift(...text.split("/").filter((piece) => piece !== "" && piece !== "."));
    } else {
      done.push(part);
    }
  }
  return `/${done.join("/")}`;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** The most that a passwd file may have. Bytes. */
const passwdMax = 1 << 20;

/** Text of a small file of the container-to-be: one of its own `files`, or one of its root; empty where there is none. */
export function readInside(site: UnownedSite, path: string): string {
  const inside = resolveInside(site.lower, path);
  const own = site.files.find(([target]) => target === inside);
  if (own !== undefined) return own[1];
  const file = `${site.lower.kind === "folder" ? site.lower.path : ""}${inside}`;
  const found = lstatSync(file, { throwIfNoEntry: false });
  return found?.isFile() === true && found.size <= passwdMax ? readFileSync(file, "utf8") : "";
}
