/**
 * The site of a container: its folders in the lab's state folder, and what its program must know of the machine.
 */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  type Bind,
  type ContainerSite,
  freshFolders,
  type LowerLayer,
  type RootEntry,
  type SiteBind,
} from "../model/container.js";
import { Failure } from "../model/failure.js";
import { unpack } from "./archive.js";
import type { NodeCgroup } from "./cgroup.js";
import { readInside, readSmall, resolveInside } from "./inside-root.js";
import { surveyRoot } from "./root-survey.js";

export { readInside } from "./inside-root.js";

export interface SiteRequest {
  readonly stateFolder: string;
  readonly node: string;
  /** `/`, a folder, or a tar archive. */
  readonly root: string;
  /** What `surveyRoot` found, for those that start many containers; absent: looked at anew. */
  readonly machineRoot?: () => readonly RootEntry[];
  readonly files: ContainerSite["files"];
  readonly binds?: readonly Bind[];
  /** Where its layer is made; absent: in the lab's state folder. */
  readonly layer?: string;
  readonly rootless: boolean;
  readonly ids: ContainerSite["ids"];
  readonly cgroup?: NodeCgroup;
}

/** All of a site but its user, which takes the container's own passwd file: read it with `readInside`. */
export type UnownedSite = Omit<ContainerSite, "user">;

/**
 * Makes the folders `containers/NODE/LAYER/{upper,work,root}`, a layer for each root that the container is given (they
 * stay from one start to the next, as a container's files do), and looks at the root. Throws a usage Failure where the root is neither a folder nor an archive.
 */
export function prepareSite(request: SiteRequest): UnownedSite {
  const folder = join(request.stateFolder, "containers", request.node);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lower = lowerLayer(request, folder);
  const make = (name: string) => {
    const path = join(request.layer ?? join(folder, layerName(lower)), name);
    // The mode of `upper` is that of `/` inside, for every user there.
    mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  };
  const [upper, work, root] = [make("upper"), make("work"), make("root")];
  return {
    upper,
    work,
    root,
    rootless: request.rootless,
    ids: request.ids,
    lower,
    files: request.files.map(([path, content]) => [resolveInside(lower, path), content]),
    ...(request.binds === undefined ? {} : { binds: request.binds.map((bind) => siteBind(bind, lower, upper)) }),
    cgroups: request.cgroup?.shown ?? [],
    cgroupCount: request.cgroup?.memberships.length ?? 0,
    countsOom: request.cgroup?.oomCounter !== undefined,
    lastCapability: Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")),
    architecture: process.arch,
  };
}

/** Folders over which the container mounts its own. */
const kernelFolder = /^\/(?:proc|sys|dev)?(?:\/|$)/;

/** @throws Failure (usage) where the source is missing, or what is at the target is of another kind */
function siteBind({ source, target, readOnly }: Bind, lower: LowerLayer, upper: string): SiteBind {
  const found = statSync(source, { throwIfNoEntry: false });
  if (found === undefined) throw new Failure("usage", `there is no ${source} to bind at ${target}`, { code: "ENOENT" });
  const inside = resolveInside(lower, target);
  if (kernelFolder.test(inside))
    throw new Failure("usage", `nothing can be bound at ${target}: that is the container's own`, { code: "EINVAL" });
  const kind = found.isDirectory() ? "folder" : "file";
  const isFresh =
    lower.kind === "machine" && [...freshFolders.keys()].some((folder) => inside.startsWith(`${folder}/`));
  const below = isFresh ? undefined : `${lower.kind === "folder" ? lower.path : ""}${inside}`;
  // In its layer nothing is followed: a container that ran before may have left links there.
  const there =
    lstatSync(join(upper, inside), { throwIfNoEntry: false }) ??
    (below === undefined ? undefined : lstatSync(below, { throwIfNoEntry: false }));
  if (there !== undefined && there.isDirectory() !== found.isDirectory()) {
    const [one, other] = kind === "folder" ? ["folder", "file"] : ["file", "folder"];
    throw new Failure("usage", `cannot bind the ${one} ${source} at ${target}, which is a ${other}`, {
      code: "ENOTDIR",
    });
  }
  return { source: realpathSync(source), target: inside, readOnly, kind, there: there !== undefined };
}

/**
 * Text of a small file of a node's container, as it is now: what was written over its root, or what the root has;
 * empty where there is none.
 */
export function readFromContainer(request: Pick<SiteRequest, "stateFolder" | "node" | "root">, file: string): string {
  const folder = join(request.stateFolder, "containers", request.node);
  const lower = lowerLayer({ ...request, rootless: false, machineRoot: () => [] }, folder);
  const inside = resolveInside(lower, file);
  const upper = join(folder, layerName(lower), "upper", inside);
  return readSmall(upper) ?? readInside({ lower, files: [] }, file);
}

/** What was written over one root has no meaning over another, and to the kernel none that is defined. */
function layerName(lower: LowerLayer): string {
  if (lower.kind === "machine") return "machine";
  return `${basename(lower.path)}-${createHash("sha256").update(lower.path).digest("hex").slice(0, 8)}`;
}

function lowerLayer(
  { root, rootless, machineRoot }: Pick<SiteRequest, "root" | "rootless" | "machineRoot">,
  folder: string,
): LowerLayer {
  const path = resolve(root);
  if (path === "/") return { kind: "machine", entries: machineRoot?.() ?? surveyRoot(rootless) };
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return { kind: "folder", path: realpathSync(path) };
  if (found?.isFile() === true) return { kind: "folder", path: unpack(path, join(folder, "lower"), found.mtimeMs) };
  throw new Failure("usage", `the root of a container is a folder or a tar archive, ${root} is neither`, {
    code: "ENOENT",
  });
}
