/** What a trace runs on: a lab, or, without one, this machine and the containers behind its bridges. */
import type { NodeLine } from "../init/api.js";
import { Failure } from "../model/failure.js";
import type { Hop } from "../model/hop.js";
import type { InterfaceRef, Snapshot } from "../model/snapshot.js";
import { didYouMean } from "../model/spelling.js";
import type { TraceFilter } from "../model/trace.js";
import { machineName } from "../observe/discover.js";
import { hops } from "../path/hops.js";
import { machineHops } from "../path/machine-hops.js";
import { withAddresses } from "../path/named-hosts.js";
import { checkProtocols } from "../path/tap-filter.js";
import { bareEnvironment, type CommandPlace, placeOf } from "./exec.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { isTargeted, type MachineTarget } from "./machine-target.js";
import { type ContainerLogs, engineLogs, labLogs } from "./trace-logs.js";
import { checkNode, findLab, parseTarget, runningLabs } from "./target.js";

export interface NetworkOptions {
  readonly lab: string | undefined;
  /** This machine, even where a lab runs. */
  readonly machine?: boolean;
  /** On the machine: namespaces without a link to it, and containers that the filter does not concern. */
  readonly all?: boolean;
  /** On the machine: only what these mean, and the way there. */
  readonly target?: MachineTarget;
  /** Node in which the command runs: `[LAB/]NODE`. */
  readonly from: string | undefined;
  /** Taps only there; none for everywhere. */
  readonly nodes?: readonly string[];
  readonly filter: TraceFilter;
  /** The hops are looked at, not tapped. */
  readonly list?: boolean;
  readonly onWarning: (text: string) => void;
}

export interface TracedNetwork extends AsyncDisposable {
  readonly line: NodeLine;
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  /** With addresses for the names of nodes. */
  readonly filter: TraceFilter;
  /** Where the command runs; undefined: here, as an ordinary child of ours. */
  readonly place: CommandPlace | undefined;
  readonly logs: ContainerLogs;
}

export async function openTracedNetwork(options: NetworkOptions): Promise<TracedNetwork> {
  checkProtocols(options.filter);
  const from = options.from === undefined ? undefined : parseTarget(options.from);
  const asked = options.machine === true || isTargeted(options.target ?? {});
  if (asked && (from?.lab ?? options.lab) !== undefined)
    throw new Failure("usage", "--machine means this machine, not a lab", { hint: "leave out --machine, or the lab" });
  return meansMachine(asked, from?.lab ?? options.lab)
    ? openMachine(options, from?.node)
    : openLab(options, from?.lab, from?.node);
}

/** Whether a command is about this machine: it says so, or there is no lab that it could mean. */
export function meansMachine(asked: boolean, lab: string | undefined): boolean {
  return asked || (lab === undefined && runningLabs().length === 0);
}

async function openLab(
  options: NetworkOptions,
  named: string | undefined,
  from: string | undefined,
): Promise<TracedNetwork> {
  const found = findLab(named ?? options.lab);
  const node = from === undefined ? undefined : checkNode(found.record, from);
  const nodes = (options.nodes ?? []).map((each) => checkNode(found.record, each));
  const lab = await OpenLab.connect(found);
  try {
    const snapshot = await lab.snapshot();
    const tapped = hops(snapshot, {
      ...(node === undefined ? {} : { from: node }),
      ...(nodes.length === 0 ? {} : { filter: (hop) => nodes.includes(hop.node) }),
    });
    if (tapped.length === 0) throw new Failure("usage", `lab '${found.record.name}' has no interface to trace`);
    return {
      line: lab.line,
      snapshot,
      filter: withAddresses(options.filter, snapshot),
      hops: tapped,
      logs: labLogs(found.folder, snapshot, tapped),
      place: node === undefined ? undefined : await placeOf(lab, node, false),
      [Symbol.asyncDispose]() {
        lab[Symbol.dispose]();
        return Promise.resolve();
      },
    };
  } catch (error) {
    lab[Symbol.dispose]();
    throw error;
  }
}

async function openMachine(options: NetworkOptions, named: string | undefined): Promise<TracedNetwork> {
  const { all = false, target = {}, onWarning } = options;
  const machine = await OpenMachine.open({ all, target, onWarning });
  try {
    const from = named === undefined ? undefined : machine.node(named);
    const nodes = [...(options.nodes ?? []).map((each) => machine.node(each)), ...machine.targets];
    const snapshot = await machine.snapshot();
    const filter = withAddresses(options.filter, snapshot);
    const interfaces = (target.interfaces ?? []).map((each) => interfaceOf(snapshot, each));
    const around = machine.targets.length > 0;
    const selection = { filter, nodes, interfaces, around, all, ...(from === undefined ? {} : { from }) };
    const { hops: found, left } = machineHops(snapshot, selection);
    if (found.length === 0)
      throw new Failure("usage", "this machine has no interface with an address, and no container", { code: "NO_HOP" });
    if (left.length > 0)
      onWarning(
        `${left.length} of ${snapshot.nodes.length - 1} containers are not tapped, because they do not serve what is asked for ` +
          `(${shortened(left)}): --all taps them too, --node NAME those that you name`,
      );
    const tapped = options.list === true ? found : tappable(found, machine, onWarning);
    return {
      line: machine.line,
      snapshot,
      filter,
      hops: tapped,
      logs: engineLogs(snapshot, tapped, onWarning),
      place: from === undefined || from === machineName ? undefined : placeIn(from),
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    };
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
}

/** Without root there are taps in what is the user's own, and none on the machine itself. */
function tappable(hops: readonly Hop[], machine: OpenMachine, onWarning: (text: string) => void): readonly Hop[] {
  const open = hops.filter(({ node }) => machine.mayRunIn(node));
  if (open.length === 0)
    throw new Failure("machine", "the networks of this machine and of its containers are open to root only", {
      hint: "run it with sudo; or start a lab, which needs no root: yapc-net up docker-bridge",
      code: "EPERM",
    });
  if (open.length < hops.length)
    onWarning("only what is your own is tapped: the interfaces of the machine itself are open to root only");
  return open;
}

/** An interface of the machine, or of `NODE:IF`. @throws Failure (usage) that names those there are */
function interfaceOf(snapshot: Snapshot, text: string): InterfaceRef {
  const [node = machineName, name = ""] = text.includes(":") ? text.split(/:(.*)/s) : [machineName, text];
  const names = snapshot.nodes
    .find((each) => each.name === node)
    ?.interfaces.flatMap((each) => [each.name, ...each.altnames]);
  const found = snapshot.nodes
    .find((each) => each.name === node)
    ?.interfaces.find((each) => each.name === name || each.altnames.includes(name));
  if (found !== undefined) return { node, interface: found.name };
  throw new Failure(
    "usage",
    names === undefined ? `no node '${node}' to have an interface` : `${node} has no interface '${name}'`,
    {
      hint: `${didYouMean(name, names ?? []) ?? ""} there are: ${(names ?? snapshot.nodes.map((each) => each.name)).join(", ")}`.trimStart(),
      code: "NO_INTERFACE",
    },
  );
}

function shortened(names: readonly string[]): string {
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")}, …`;
}

/** In the network namespace of somebody else's container, with the machine's own files. */
function placeIn(node: string): CommandPlace {
  return {
    node,
    place: "namespace",
    environment: bareEnvironment(),
    workingDirectory: process.cwd(),
    ownView: true,
  };
}
