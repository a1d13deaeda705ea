/**
 * The root of a container: an overlay whose upper folder can be read from the machine, so that what the container
 * writes at /yapc is found at UPPER/yapc.
 *
 * Over a folder it is one overlay. Over the machine's own `/` it is the upper folder itself with an overlay on each of
 * its folders: in a user namespace `lowerdir=/` is refused (its mounts are locked), and as root one overlay would miss
 * what is mounted below `/`.
 */
import { type ContainerSite, freshFolders, type RootEntry } from "../model/container.js";
import { mountFlag, type ProgramOperation } from "./program.js";

/** Mount points of the kernel's own file systems. */
const kernelFolders = ["/proc", "/sys", "/dev"];

/** Option strings of overlayfs: `\`, `:` and `,` separate (overlayfs.rst). */
function escapeOption(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

function overlayOptions(site: ContainerSite, lower: string, upper: string, work: string): string {
  const layers = `lowerdir=${escapeOption(lower)},upperdir=${escapeOption(upper)},workdir=${escapeOption(work)}`;
  // Without root the trusted.* attributes of overlayfs cannot be written.
  return site.rootless ? `${layers},userxattr` : layers;
}

function folder(target: string, mode: number, like?: string): ProgramOperation {
  return { kind: "mkdir", target, inside: true, mode, ...(like === undefined ? {} : { like }) };
}

/** Folders above a path, outermost first, without `/`. */
function parents(path: string): string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
}

/**
 * Lays the files into the upper folder: there root-owned folders below do not stand in the way of an ordinary user.
 * @param made folders that are there already
 */
function layFiles(site: ContainerSite, lower: string, made: readonly string[]): ProgramOperation[] {
  const missing = (site.binds ?? []).filter(({ there }) => !there);
  const folders = new Set([
    ...[...site.files.map(([path]) => path), ...missing.map(({ target }) => target)].flatMap(parents),
    ...missing.flatMap(({ kind, target }) => (kind === "folder" ? [target] : [])),
  ]);
  return [
    ...[...folders].filter((path) => !made.includes(path)).map((target) => folder(target, 0o755, `${lower}${target}`)),
    ...missing.flatMap(({ kind, target }): ProgramOperation[] =>
      kind === "folder" ? [] : [{ kind: "write", target, inside: true, mode: 0o644, content: "" }],
    ),
    ...site.files.map(([target, content]): ProgramOperation => ({
      kind: "write",
      target,
      inside: true,
      mode: 0o644,
      content,
    })),
  ];
}

function overFolder(site: ContainerSite, lower: string): ProgramOperation[] {
  const options = overlayOptions(site, lower, site.upper, site.work);
  return [
    { kind: "base", target: site.upper },
    ...kernelFolders.map((target) => folder(target, 0o755)),
    ...layFiles(site, lower, kernelFolders),
    { kind: "mount", type: "overlay", target: site.root, inside: false, flags: mountFlag.noDev, options },
    { kind: "base", target: site.root },
  ];
}

function flatten(entries: readonly RootEntry[]): RootEntry[] {
  return entries.flatMap((entry) => [entry, ...flatten(entry.children ?? [])]);
}

function layEntry({ path, link, file }: RootEntry): ProgramOperation {
  if (link !== undefined) return { kind: "symlink", target: path, inside: true, text: link };
  // Some an ordinary user may not read (/etc/shadow): he could not do so outside either.
  if (file === true) return { kind: "copy", target: path, inside: true, source: path, optional: true };
  return folder(path, 0o755, path);
}

function overMachine(site: ContainerSite, entries: readonly RootEntry[]): ProgramOperation[] {
  const leftOut = [...kernelFolders, ...freshFolders.keys(), "/lost+found"];
  const all = flatten(entries.filter(({ path }) => !leftOut.includes(path)));
  const fresh = [...freshFolders].filter(([target]) => entries.some(({ path }) => path === target));
  const layers = all.filter(({ link, file, children, empty }) => !(link ?? file ?? children ?? empty));
  return [
    { kind: "base", target: site.work },
    ...layers.map((_, index) => folder(`/${index}`, 0o700)),
    { kind: "base", target: site.upper },
    ...kernelFolders.map((target) => folder(target, 0o755)),
    ...fresh.map(([target, mode]) => folder(target, mode)),
    ...all.map(layEntry),
    ...layFiles(site, "", [...kernelFolders, ...fresh.map(([path]) => path), ...all.map(({ path }) => path)]),
    { kind: "bind", source: site.upper, target: site.root, inside: false, flags: mountFlag.noDev },
    { kind: "base", target: site.root },
    ...layers.map(({ path, mountPoint }, index): ProgramOperation => ({
      kind: "mount",
      type: "overlay",
      target: path,
      inside: true,
      flags: mountFlag.noDev,
      options: overlayOptions(site, path, `${site.upper}${path}`, `${site.work}/${index}`),
      // Not every file system can be a layer (vfat cannot); the folder is empty then.
      ...(mountPoint ? { optional: true } : {}),
    })),
  ];
}

/** Puts the root together, with what is bound into it; afterwards the base is the new root. */
export function rootOperations(site: ContainerSite, isReadOnly: boolean): ProgramOperation[] {
  const { lower, binds = [] } = site;
  return [
    ...(lower.kind === "folder" ? overFolder(site, lower.path) : overMachine(site, lower.entries)),
    ...(isReadOnly ? [{ kind: "readOnly", target: "/", inside: true } satisfies ProgramOperation] : []),
    ...binds.map(({ source, target, readOnly }): ProgramOperation => ({
      kind: "bind",
      source,
      target,
      inside: true,
      flags: mountFlag.recursive | mountFlag.noDev | (readOnly ? mountFlag.readOnly : 0),
    })),
  ];
}
