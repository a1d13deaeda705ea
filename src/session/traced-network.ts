/** What a trace runs on: a lab, or, without one, this machine and the containers behind its bridges. */
import type { InitLine } from "../init/api.js";
import { Failure } from "../model/failure.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { TraceFilter } from "../model/trace.js";
import { machineName } from "../observe/discover.js";
import { hops } from "../path/hops.js";
import { machineHops } from "../path/machine-hops.js";
import { withAddresses } from "../path/named-hosts.js";
import { checkProtocols } from "../path/tap-filter.js";
import { bareEnvironment, type CommandPlace, placeOf } from "./exec.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { type ContainerLogs, engineLogs, labLogs } from "./trace-logs.js";
import { checkNode, findLab, parseTarget, runningLabs } from "./target.js";

export interface NetworkOptions {
  readonly lab: string | undefined;
  /** This machine, even where a lab runs. */
  readonly machine?: boolean;
  /** On the machine: namespaces without a link to it, and containers that the filter does not concern. */
  readonly all?: boolean;
  /** Node in which the command runs: `[LAB/]NODE`. */
  readonly from: string | undefined;
  /** Taps only there; none for everywhere. */
  readonly nodes?: readonly string[];
  readonly filter: TraceFilter;
  readonly onWarning: (text: string) => void;
}

export interface TracedNetwork extends AsyncDisposable {
  readonly line: InitLine;
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
  if (options.machine === true && (from?.lab ?? options.lab) !== undefined)
    throw new Failure("usage", "--machine means this machine, not a lab", { hint: "leave out --machine, or the lab" });
  return meansMachine(options.machine === true, from?.lab ?? options.lab)
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
  const { all = false, onWarning } = options;
  const machine = await OpenMachine.open({ asked: options.machine === true, all, onWarning });
  try {
    const from = named === undefined ? undefined : machine.node(named);
    const nodes = (options.nodes ?? []).map((each) => machine.node(each));
    const snapshot = await machine.snapshot();
    const filter = withAddresses(options.filter, snapshot);
    const selection = { filter, nodes, all, ...(from === undefined ? {} : { from }) };
    const { hops: tapped, left } = machineHops(snapshot, selection);
    if (tapped.length === 0)
      throw new Failure("usage", "this machine has no interface with an address, and no container", { code: "NO_HOP" });
    if (left.length > 0)
      onWarning(
        `${left.length} of ${snapshot.nodes.length - 1} containers are not tapped, because they do not serve what is asked for ` +
          `(${shortened(left)}): --all taps them too, --node NAME those that you name`,
      );
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
