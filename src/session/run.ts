/**
 * `run`: one container, as yapc starts it: a lab that lives as long as its command, or, detached, until `down`.
 *
 * With a network of its own it has two nodes: `yapc`, the container with eth0, and `host`, a namespace that stands for
 * the machine, with the other end, `vethyapcPID`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { explainProgram, type ExplainedStep } from "../container/explain.js";
import { removeTree } from "../init/remove-tree.js";
import { ContainerRunner, type PreparedContainer } from "../lab/containers.js";
import { withLabLock } from "../lab/lock.js";
import { isAlive, LabFolder } from "../lab/state.js";
import { exitText } from "../model/container.js";
import { Failure } from "../model/failure.js";
import type { ResolvedContainer } from "../topology/resolved.js";
import { abandonLab, buildLab, type BuildOptions } from "./build-lab.js";
import { searchPath } from "./exec.js";
import type { OpenLab } from "./open-lab.js";
import {
  explainNetwork,
  findNetwork,
  type ForeignNetwork,
  makeNetwork,
  nodeOf,
  ownHosts,
  runNode,
  runTopology,
} from "./run-network.js";
import type { RunSettings } from "./run-settings.js";
import { onTerminal, shellStatus } from "./terminal.js";

export interface RunOptions extends RunSettings {
  readonly argv: readonly string[];
  /** What the command finds in its environment, besides PATH and HOME. */
  readonly environment: readonly (readonly [string, string])[];
  /** A terminal of its own; absent: where there is one. */
  readonly tty: boolean | undefined;
  /** It goes on in a lab of its own, whose name is told, and writes to a log. */
  readonly detach: boolean;
  /** What it wrote stays. */
  readonly keep: boolean;
  /** A limit that the machine cannot enforce is an error. */
  readonly strict: boolean;
  /** Tells the steps and runs nothing. */
  readonly explain: boolean;
  readonly onSteps: (steps: readonly ExplainedStep[]) => void;
  readonly onDetached: (lab: string) => void;
  /** One line about how it went. */
  readonly onNote: (text: string) => void;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

/** @returns the command's status as a shell gives it; 0 with `explain` and `detach` */
export async function run(options: RunOptions): Promise<number> {
  checkTogether(options);
  using foreign = await findNetwork(options.network);
  const { lab, runner, container } = await makeLab(options, foreign);
  let detached = false;
  const layer =
    options.keep && !options.explain ? mkdtempSync(path.join(os.tmpdir(), `yapc.${process.pid}.`)) : undefined;
  try {
    using prepared = runner.prepare(runNode, container, layer);
    if (options.explain || options.debug)
      options.onSteps([
        ...explainNetwork(options.network.kind, foreign, lab.found.record.name),
        ...explainProgram(prepared.program, { written: prepared.cgroup.written, layer: prepared.layer }),
      ]);
    if (options.explain) return 0;
    // What interrupts from here on is passed on to the command.
    if (options.signal.aborted) throw new Failure("interrupted", "interrupted");
    if (options.detach) {
      await detach(lab, runner, prepared);
      detached = true;
      options.onDetached(lab.found.record.name);
      return 0;
    }
    const exit = await onTerminal(
      (stdio) => runner.startPrepared(runNode, prepared, { ...stdio, tied: true }),
      options.tty,
    );
    if (layer !== undefined) await tellKept(layer, options.onNote);
    if (exit.outOfMemory === true) options.onNote(exitText(exit, limitsOf(options)));
    return shellStatus(exit);
  } catch (error) {
    if (layer !== undefined) await removeTree(layer);
    throw error;
  } finally {
    if (detached) lab[Symbol.dispose]();
    else await abandonLab(lab);
  }
}

function checkTogether({ detach: isDetached, keep, tty, explain }: RunOptions): void {
  if (!isDetached) return;
  if (keep)
    throw new Failure("usage", "--detach and --keep do not go together", {
      hint: "what a detached container writes stays until: yapc-net down LAB",
    });
  if (tty === true)
    throw new Failure("usage", "--detach and --tty do not go together: a log is no terminal", {
      hint: "a terminal in it, later: yapc-net shell LAB/yapc",
    });
  if (explain) throw new Failure("usage", "--detach and --explain do not go together: --explain runs nothing");
}

interface MadeLab {
  readonly lab: OpenLab;
  readonly runner: ContainerRunner;
  readonly container: ResolvedContainer;
}

async function makeLab(options: RunOptions, foreign: ForeignNetwork | undefined): Promise<MadeLab> {
  const folder = freeFolder();
  const container = containerOf(options, foreign);
  const hosts = ownHosts(container.hostname);
  const empty = runTopology(folder.name, hosts);
  const build: BuildOptions = {
    strict: options.strict,
    onWarning: options.onWarning,
    signal: options.signal,
    ...(foreign?.userNamespace === undefined ? {} : { userNamespace: foreign.userNamespace }),
  };
  // Not held while the command runs: others may look at the lab and change its links meanwhile.
  return withLabLock(folder.name, "run", async () => {
    const { lab } = await buildLab(empty, undefined, folder, build);
    try {
      const { nodes, links } = await makeNetwork(lab, options.network.kind, foreign, build);
      const topology = runTopology(folder.name, hosts, [nodeOf(runNode, container), ...nodes], links);
      folder.write({ ...lab.found.record, topology });
      return { lab, runner: new ContainerRunner(lab.line, folder, empty, build), container };
    } catch (error) {
      await abandonLab(lab);
      throw error;
    }
  });
}

/** `yapcPID`, as yapc names it; a detached one may still have the name from when the number was another process's. */
function freeFolder(): LabFolder {
  for (let number = 1; ; number++) {
    const folder = new LabFolder(`yapc${process.pid}${number === 1 ? "" : `-${number}`}`);
    const record = folder.read();
    if (record === undefined || !isAlive(record)) return folder;
  }
}

async function detach({ found, line }: OpenLab, runner: ContainerRunner, prepared: PreparedContainer): Promise<void> {
  await runner.startPrepared(runNode, prepared, { logPath: found.folder.log(runNode) });
  const record = found.folder.read() ?? found.record;
  found.folder.write({ ...record, committed: true });
  await line.commit();
}

/** Of an overlay only the upper folder means something to others. */
async function tellKept(layer: string, onNote: RunOptions["onNote"]): Promise<void> {
  await removeTree(path.join(layer, "work"));
  rmSync(path.join(layer, "root"), { recursive: true, force: true });
  onNote(`kept: ${path.join(layer, "upper")}`);
}

function limitsOf({ cpu, memory, pids, cpuset, io }: RunSettings): ResolvedContainer["limits"] {
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(pids === undefined ? {} : { pids }),
    ...(cpuset === undefined ? {} : { cpuset }),
    ...(io === undefined ? {} : { io }),
  };
}

function containerOf(options: RunOptions, foreign: ForeignNetwork | undefined): ResolvedContainer {
  const { argv, root, capabilities, name, user, seccomp, binds, readOnly } = options;
  const hostname = name ?? os.hostname();
  return {
    command: argv,
    root: path.resolve(root),
    environment: [["PATH", searchPath], ...options.environment],
    workingDirectory: options.workingDirectory,
    user,
    hostname,
    files: filesOf(hostname, foreign),
    limits: limitsOf(options),
    capabilities,
    seccomp,
    ...(binds.length === 0 ? {} : { binds }),
    ...(readOnly ? { readOnly } : {}),
    restart: "no",
  };
}

/** The machine's own, which yapc copies in too; of a lab's node those that it has there. */
function filesOf(hostname: string, foreign: ForeignNetwork | undefined): ResolvedContainer["files"] {
  const own = ownHosts(hostname).map(([address, names]) => `${address}\t${names.join(" ")}\n`);
  const files = new Map<string, string>();
  for (const file of ["/etc/resolv.conf", "/etc/hosts"]) {
    const text = readOrNothing(file);
    if (text !== undefined) files.set(file, text);
  }
  for (const [file, text] of foreign?.files ?? []) files.set(file, text);
  const hosts = files.get("/etc/hosts");
  if (hosts !== undefined) files.set("/etc/hosts", [hosts, hosts.endsWith("\n") ? "" : "\n", ...own].join(""));
  return [...files];
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
