/** `up`: a lab from a topology file, or a running lab changed to match it. */
import { existsSync, lstatSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { connectInit, startInit } from "../init/client.js";
import { apply } from "../lab/apply.js";
import { ContainerRunner } from "../lab/containers.js";
import { withLabLock } from "../lab/lock.js";
import { publishNames } from "../lab/names.js";
import { bootId, isAlive, labNamePattern, LabFolder, type LabRecord } from "../lab/state.js";
import { sweep } from "../lab/sweep.js";
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { describeBody } from "../plan/describe.js";
import type { Operation } from "../plan/operation.js";
import type { PlanOptions } from "../plan/current.js";
import { plan } from "../plan/plan.js";
import { formatProblems } from "../topology/problem.js";
import { readTopology } from "../topology/read.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import { OpenLab } from "./open-lab.js";
import { shippedTopologies } from "./places.js";
import { waitUntilReady } from "./ready.js";

export interface UpOptions {
  /** Path of a topology file, or the name of one that ships. */
  readonly file: string;
  readonly name?: string;
  readonly dryRun: boolean;
  readonly strict: boolean;
  /** `NAME=VALUE`. */
  readonly assignments: readonly string[];
  readonly onProgress?: (done: number, total: number) => void;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface PlannedOperation {
  readonly text: string;
  readonly reason: string;
}

export interface UpResult {
  readonly lab: string;
  readonly file: string;
  /** False where the lab ran already. */
  readonly created: boolean;
  readonly dryRun: boolean;
  readonly operations: readonly PlannedOperation[];
  /** After the last operation; absent in a dry run of a lab that does not run. */
  readonly snapshot?: Snapshot;
}

export async function up(options: UpOptions): Promise<UpResult> {
  const { file, topology } = loadTopology(options);
  const run = (): Promise<UpResult> => bring(file, topology, options);
  // A dry run changes nothing and needs no right to anything: it takes no lock.
  if (options.dryRun) return run();
  return withLabLock(topology.name, "up", run, {
    onWait: (holder) => options.onWarning(`lab '${topology.name}' is in use by ${holder}; waiting`),
  });
}

/** Reads and checks a topology file. @throws Failure (usage) with every problem of the file */
export function loadTopology(options: Pick<UpOptions, "file" | "name" | "strict" | "assignments" | "onWarning">): {
  readonly file: string;
  readonly topology: ResolvedTopology;
} {
  const file = findTopology(options.file);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Failure("usage", `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  if (options.name !== undefined && !labNamePattern.test(options.name))
    throw new Failure("usage", `'${options.name}' is no name for a lab`, {
      hint: "letters, digits, '.', '_' and '-', 48 at the most, the first a letter or digit",
    });
  const read = readTopology(text, {
    path: path.relative(process.cwd(), file),
    variables: Object.fromEntries(options.assignments.map(parseAssignment)),
    ...(options.name === undefined ? {} : { name: options.name }),
    strict: options.strict,
    files: {
      rootExists: (root) => statSync(path.resolve(path.dirname(file), root), { throwIfNoEntry: false }) !== undefined,
      commandExists: (root, command) => commandExists(path.resolve(path.dirname(file), root), command),
    },
  });
  if (!read.ok) throw new Failure("usage", formatProblems(read.problems), { code: "TOPOLOGY" });
  if (read.problems.length > 0) options.onWarning(formatProblems(read.problems));
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

function findTopology(name: string): string {
  const direct = path.resolve(name);
  if (existsSync(direct)) return direct;
  const shipped = path.join(shippedTopologies, name.endsWith(".json") ? path.basename(name) : `${name}.json`);
  if (!name.includes("/") && existsSync(shipped)) return shipped;
  throw new Failure("usage", `no topology file ${name}`, {
    hint: `give the path of one, or the name of one that ships, such as docker-bridge`,
    code: "ENOENT",
  });
}

async function bring(file: string, topology: ResolvedTopology, options: UpOptions): Promise<UpResult> {
  const folder = new LabFolder(topology.name);
  const record = folder.read();
  const running = record !== undefined && isAlive(record);
  if (options.dryRun && !running)
    return result(
      file,
      topology,
      options,
      plan(topology, undefined, planOptions(process.getuid?.() !== 0)).operations,
      true,
    );
  return running ? change(file, topology, options, folder, record) : create(file, topology, options, folder);
}

async function create(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  folder: LabFolder,
): Promise<UpResult> {
  if (folder.exists()) sweep(folder);
  folder.make();
  // Until commit, init ends with our connection: a lab that was not finished leaves only its folder.
  const line = await startInit({ stateFolder: folder.path }).catch((error: unknown) => {
    folder.remove();
    throw error;
  });
  const base: LabRecord = {
    version: 1,
    name: topology.name,
    file,
    created: new Date().toISOString(),
    pid: line.pid,
    startTime: line.startTime,
    bootId: bootId(),
    rootless: line.rootless,
    committed: false,
    topology,
  };
  folder.write(base);
  const lab = new OpenLab({ folder, record: base }, line, options.onWarning);
  try {
    const { operations } = plan(topology, undefined, planOptions(line.rootless));
    await applyTo(lab, topology, operations, false, options);
    const snapshot = await finish(lab, topology, options);
    folder.write({ ...base, committed: true });
    await line.commit();
    await nameNodes(lab, options);
    lab[Symbol.dispose]();
    return result(file, topology, options, operations, true, snapshot);
  } catch (error) {
    lab.sockets[Symbol.dispose]();
    await line.shutdown().catch(() => undefined);
    line[Symbol.dispose]();
    sweep(folder);
    throw error;
  }
}

async function change(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  folder: LabFolder,
  record: LabRecord,
): Promise<UpResult> {
  using lab = new OpenLab({ folder, record }, await connectInit({ stateFolder: folder.path }), options.onWarning);
  const snapshot = await lab.snapshot();
  const running = new Set((await lab.line.nodes()).flatMap((node) => (node.pid === undefined ? [] : [node.name])));
  const { operations } = plan(topology, { snapshot, topology: record.topology, running }, planOptions(record.rootless));
  if (options.dryRun) return result(file, topology, options, operations, false, snapshot);
  if (operations.length === 0) return result(file, topology, options, operations, false, snapshot);
  await applyTo(lab, topology, operations, true, options);
  folder.write({ ...record, file, topology });
  const after = await finish(lab, topology, options);
  await nameNodes(lab, options);
  return result(file, topology, options, operations, false, after);
}

function planOptions(rootless: boolean): PlanOptions {
  return rootless ? { soleGroup: process.getgid?.() ?? 0 } : {};
}

function applyTo(
  lab: OpenLab,
  topology: ResolvedTopology,
  operations: readonly Operation[],
  undo: boolean,
  options: UpOptions,
): Promise<void> {
  return apply(operations, {
    undo,
    line: lab.line,
    sockets: lab.sockets,
    folder: lab.found.folder,
    containers: new ContainerRunner(lab.line, lab.found.folder, topology, options),
    signal: options.signal,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
}

async function finish(lab: OpenLab, topology: ResolvedTopology, options: UpOptions): Promise<Snapshot> {
  await waitUntilReady(lab, topology, options.signal);
  return lab.snapshot();
}

/** `ip netns list` shows the nodes of root's labs. */
async function nameNodes(lab: OpenLab, options: UpOptions): Promise<void> {
  const { record } = lab.found;
  if (record.rootless) return;
  const names = (await lab.line.nodes()).map((node) => ({
    name: `${record.name}-${node.name}`,
    target: `/proc/${record.pid}/fd/${node.descriptor}`,
  }));
  for (const taken of publishNames(names))
    options.onWarning(`/run/netns/${taken} is somebody else's: this node has no name there`);
}

function result(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  operations: readonly Operation[],
  created: boolean,
  snapshot?: Snapshot,
): UpResult {
  return {
    lab: topology.name,
    file,
    created,
    dryRun: options.dryRun,
    operations: operations.map((operation) => ({ text: describeBody(operation), reason: operation.reason })),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}
