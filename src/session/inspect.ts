/** `inspect`: what the kernel says now about a running lab, or about this machine and its containers. */
import type { Snapshot } from "../model/snapshot.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { checkNode, findLab } from "./target.js";
import { meansMachine } from "./traced-network.js";

export interface InspectOptions {
  readonly lab: string | undefined;
  /** This machine, even where a lab runs. */
  readonly machine: boolean;
  /** On the machine: namespaces without a link to it too. */
  readonly all: boolean;
  /** Only these; none for all. */
  readonly nodes: readonly string[];
  readonly onWarning: (text: string) => void;
}

export async function inspect(options: InspectOptions): Promise<Snapshot> {
  return meansMachine(options.machine, options.lab) ? inspectMachine(options) : inspectLab(options);
}

async function inspectLab({ lab: name, nodes }: InspectOptions): Promise<Snapshot> {
  const found = findLab(name);
  for (const node of nodes) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  return only(nodes, await lab.snapshot());
}

async function inspectMachine({ all, nodes, onWarning }: InspectOptions): Promise<Snapshot> {
  await using machine = await OpenMachine.open({ all, onWarning });
  const names = nodes.map((node) => machine.node(node));
  return only(names, await machine.snapshot());
}

function only(names: readonly string[], snapshot: Snapshot): Snapshot {
  if (names.length === 0) return snapshot;
  return { ...snapshot, nodes: snapshot.nodes.filter((node) => names.includes(node.name)) };
}
