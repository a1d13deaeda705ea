/** Topology files on disk: found, read and checked. Loads nothing that talks to the kernel. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { labNamePattern } from "../lab/state.js";
import { Failure, fileFailure } from "../model/failure.js";
import { didYouMean } from "../model/spelling.js";
import { formatProblems } from "../topology/problem.js";
import { readTopology, type ReadResult } from "../topology/read.js";
import type { ResolvedContainer, ResolvedTopology } from "../topology/resolved.js";
import { shippedTopologies } from "./places.js";

export interface TopologyFileOptions {
  /** Path of a topology file, or the name of one that ships. */
  readonly file: string;
  readonly name?: string;
  readonly strict: boolean;
  /** `NAME=VALUE`. */
  readonly assignments: readonly string[];
}

/**
 * Reads and checks a topology file; what is wrong in it stands in the result.
 * @throws Failure (usage) where it cannot be read
 */
export function readTopologyFile(options: TopologyFileOptions): { readonly file: string; readonly read: ReadResult } {
  const file = findTopology(options.file);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw fileFailure(`read topology file ${file}`, error);
  }
  if (options.name !== undefined && !labNamePattern.test(options.name))
    throw new Failure("usage", `'${options.name}' is no name for a lab`, {
      hint: "letters, digits, '.', '_' and '-', 48 at the most, the first a letter or digit",
    });
  const read = readTopology(text, {
    path: shownPath(file),
    variables: Object.fromEntries(options.assignments.map(parseAssignment)),
    ...(options.name === undefined ? {} : { name: options.name }),
    strict: options.strict,
    files: {
      rootExists: (root) => statSync(path.resolve(path.dirname(file), root), { throwIfNoEntry: false }) !== undefined,
      commandExists: (root, command) => commandExists(path.resolve(path.dirname(file), root), command),
    },
  });
  return { file, read: read.ok ? { ...read, topology: withAbsolutePaths(read.topology, path.dirname(file)) } : read };
}

/** Paths of the machine are written as seen from the file, and the lab lives in no folder. */
function withAbsolutePaths(topology: ResolvedTopology, folder: string): ResolvedTopology {
  const nodes = topology.nodes.map((node) =>
    node.container === undefined ? node : { ...node, container: absolutePaths(node.container, folder) },
  );
  return { ...topology, nodes };
}

function absolutePaths(container: ResolvedContainer, folder: string): ResolvedContainer {
  const { root, seccomp, binds } = container;
  return {
    ...container,
    root: path.resolve(folder, root),
    seccomp: typeof seccomp === "string" ? path.resolve(folder, seccomp) : seccomp,
    ...(binds === undefined
      ? {}
      : { binds: binds.map((bind) => ({ ...bind, source: path.resolve(folder, bind.source) })) }),
  };
}

/** A topology ready to be carried out. @throws Failure (usage) with every problem of the file */
export function loadTopology(options: TopologyFileOptions & { readonly onWarning: (text: string) => void }): {
  readonly file: string;
  readonly topology: ResolvedTopology;
} {
  const { file, read } = readTopologyFile(options);
  if (!read.ok) throw new Failure("usage", formatProblems(read.problems), { code: "TOPOLOGY" });
  if (read.problems.length > 0)
    options.onWarning(`the topology file can be used, but:\n${formatProblems(read.problems)}`);
  return { file, topology: read.topology };
}

/** Folders that a container's PATH names. An archive is not looked into: what is in it shows when it starts. */
const searched = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];

function commandExists(root: string, command: string): boolean {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return true;
  const places = command.includes("/") ? [command] : searched.map((folder) => path.join(folder, command));
  // A link may be absolute and mean a file of the root, so its being there is enough.
  return places.some((place) => lstatSync(path.join(root, place), { throwIfNoEntry: false }) !== undefined);
}

function parseAssignment(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new Failure("usage", `--set ${text} is not of the form NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The file that a name means: a path, or the name of one that ships. */
export function findTopologyFile(name: string): string | undefined {
  const direct = path.resolve(name);
  if (existsSync(direct)) return direct;
  const shipped = path.join(shippedTopologies, name.endsWith(".json") ? path.basename(name) : `${name}.json`);
  return !name.includes("/") && existsSync(shipped) ? shipped : undefined;
}

function findTopology(name: string): string {
  const found = findTopologyFile(name);
  if (found !== undefined) return found;
  throw new Failure("usage", `no topology file ${name}`, {
    hint:
      didYouMean(path.basename(name, ".json"), shippedNames()) ??
      `give the path of one, or the name of one that ships, such as docker-bridge`,
    code: "ENOENT",
  });
}

function shippedNames(): string[] {
  return readdirSync(shippedTopologies).flatMap((file) =>
    file.endsWith(".json") && file !== "schema.json" ? [path.basename(file, ".json")] : [],
  );
}

/** As a person would write it: below the current folder without that, elsewhere in full. */
export function shownPath(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative;
}
