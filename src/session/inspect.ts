/** `inspect`: what the kernel says now about a running lab, or about this machine and its containers. */
import type { NodeStatus } from "../init/api.js";
import { labNames } from "../lab/state.js";
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { pidsByNamespace } from "../observe/namespaces.js";
import { toProcesses } from "../observe/processes.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { checkNode, findLab, type FoundLab, parseTarget, runningLabs } from "./target.js";
import { containerState } from "./container-state.js";
import { meansMachine } from "./traced-network.js";

export interface InspectOptions {
  readonly lab: string | undefined;
  /** A lab, `[LAB/]NODE`, or a container or namespace of this machine; absent: the lab or machine that is meant. */
  readonly name?: string | undefined;
  /** This machine, even where a lab runs. */
  readonly machine: boolean;
  /** On the machine: namespaces without a link to it too. */
  readonly all: boolean;
  /** Only these; none for all. */
  readonly nodes: readonly string[];
  readonly onWarning: (text: string) => void;
}

export interface Inspected {
  /** Of the whole network: what is told of a node names the other ends of its links. */
  readonly snapshot: Snapshot;
  /** What was asked for; none for all. */
  readonly nodes: readonly string[];
}

export async function inspect(options: InspectOptions): Promise<Inspected> {
  const { name, machine, lab: named } = options;
  if (name === undefined)
    return meansMachine(machine, named) ? inspectMachine(options) : inspectLab(options, findLab(named));
  if (machine) return inspectMachine(options);
  const lab = labOf(name, named);
  if (lab === undefined) return inspectMachine(options).catch((error: unknown) => notEvenHere(name, error));
  return inspectLab({ ...options, nodes: [...options.nodes, ...lab.nodes] }, lab.found);
}

/** The lab that a name means, or that has a node of that name; undefined where it is for the machine to tell. */
function labOf(name: string, named: string | undefined): { found: FoundLab; nodes: readonly string[] } | undefined {
  if (named === undefined && labNames().includes(name)) return { found: findLab(name), nodes: [] };
  const target = parseTarget(name);
  if (target.interface !== undefined)
    throw new Failure("usage", `'${name}' names an interface; inspect shows nodes`, {
      hint: `yapc-net inspect ${target.node}`,
    });
  if (target.lab !== undefined || named !== undefined)
    return { found: findLab(target.lab ?? named), nodes: [target.node] };
  const holders = runningLabs().filter(({ record }) => record.topology.nodes.some((node) => node.name === target.node));
  const [only] = holders;
  if (only === undefined) return undefined;
  // Which of several is meant is said as it is for every command.
  return { found: holders.length === 1 ? only : findLab(undefined), nodes: [target.node] };
}

/** A name that is neither a lab's or its node's nor the machine's: whoever typed it may have meant either. */
function notEvenHere(name: string, error: unknown): never {
  if (!(error instanceof Failure) || error.code !== "NO_NODE") throw error;
  throw new Failure("usage", `no lab '${name}' runs, and there is ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    code: "NO_LAB",
    cause: error,
  });
}

async function inspectLab({ nodes }: InspectOptions, found: FoundLab): Promise<Inspected> {
  for (const node of nodes) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const snapshot = withContainers(await lab.snapshot(), found, await lab.line.nodes());
  return { snapshot: withProcesses(snapshot), nodes };
}

function withContainers(snapshot: Snapshot, { record }: FoundLab, statuses: readonly NodeStatus[]): Snapshot {
  const containers = new Map(record.topology.nodes.map(({ name, container }) => [name, container]));
  const nodes = snapshot.nodes.map((node) => {
    const container = containers.get(node.name);
    if (container === undefined) return node;
    const status = statuses.find(({ name }) => name === node.name);
    return { ...node, container: containerState(container, status) };
  });
  return { ...snapshot, nodes };
}

function withProcesses(snapshot: Snapshot): Snapshot {
  const { pids } = pidsByNamespace();
  return {
    ...snapshot,
    nodes: snapshot.nodes.map((node) => ({ ...node, processes: toProcesses(pids.get(node.netns) ?? []) })),
  };
}

async function inspectMachine({ all, name, nodes, onWarning }: InspectOptions): Promise<Inspected> {
  const target = { containers: name === undefined ? [] : [name] };
  await using machine = await OpenMachine.open({ all, target, onWarning });
  const named = nodes.map((node) => machine.node(node));
  return { snapshot: await machine.snapshot(), nodes: [...machine.targets, ...named] };
}

/** The part of a snapshot that was asked for. */
export function inspected({ snapshot, nodes }: Inspected): Snapshot {
  if (nodes.length === 0) return snapshot;
  return { ...snapshot, nodes: snapshot.nodes.filter((node) => nodes.includes(node.name)) };
}
