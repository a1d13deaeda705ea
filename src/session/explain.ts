/** `explain`: the way of a packet as a snapshot promises it, and, if asked, as it was seen. */
import type { NodeLine } from "../init/api.js";
import { formatAddress, parseAddress } from "../model/address.js";
import type { Explanation } from "../model/explanation.js";
import { Failure } from "../model/failure.js";
import type { NodeSnapshot, Snapshot } from "../model/snapshot.js";
import type { TraceFilter } from "../model/trace.js";
import { type ExchangeStart, predictExchange } from "../path/exchange.js";
import { narrate } from "../path/narrate.js";
import { type Destination, findDestination, parseDestination } from "./destination.js";
import { observeExchanges, type ObserveOptions } from "./observe-exchange.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { checkNode, findLab, parseTarget, type Target } from "./target.js";
import { meansMachine } from "./traced-network.js";

export interface ExplainOptions {
  readonly lab: string | undefined;
  /** This machine, even where a lab runs. */
  readonly machine: boolean;
  /** On the machine: namespaces without a link to it too. */
  readonly all: boolean;
  /** `[LAB/]NODE`, or `NODE:INTERFACE` for a packet that comes in there. */
  readonly from: string;
  /** `tcp://web:80`, `203.0.113.1:8080`, `icmp://[fd00::1]`, `web`. */
  readonly to: string;
  /** Where TO names none. */
  readonly protocol: "tcp" | "udp" | "icmp" | undefined;
  readonly family: 4 | 6 | undefined;
  readonly source: string | undefined;
  readonly sourcePort: number | undefined;
  /** Sends it, and lays what was seen beside the prediction. */
  readonly observe: boolean;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

export async function explain(options: ExplainOptions): Promise<Explanation> {
  const from = parseTarget(options.from);
  const to = parseDestination(options.to, options.protocol);
  if (options.observe && options.source !== undefined && to.protocol === "icmp")
    throw new Failure("usage", "an echo that is sent takes the address that the kernel chooses: leave out --source");
  if (from.interface !== undefined) {
    if (options.source === undefined)
      throw new Failure("usage", `a packet that comes in by ${options.from} needs an address that it comes from`, {
        hint: "give it: --source 198.51.100.7",
      });
    if (options.observe)
      throw new Failure(
        "usage",
        "what comes from outside cannot be sent from here: --observe needs a node to send from",
      );
  }
  await using network = await open(options, from);
  const { snapshot, node } = network;
  const start = startOf(snapshot, node, { ...from, node: node.name }, to, options);
  const predicted = narrate(snapshot, start.start, predictExchange(snapshot, start.start), start.name);
  if (!options.observe) return predicted;
  const [observed = predicted] = await observeExchanges([predicted], {
    line: network.line,
    snapshot,
    filter: filterOf(snapshot, start.start),
    concurrency: 1,
    ...bindOf(options),
    onWarning: options.onWarning,
    signal: options.signal,
  });
  return observed;
}

interface OpenNetwork extends AsyncDisposable {
  readonly line: NodeLine;
  readonly snapshot: Snapshot;
  readonly node: NodeSnapshot;
}

async function open(options: ExplainOptions, from: Target): Promise<OpenNetwork> {
  const { machine: asked, all, onWarning } = options;
  if (asked && from.lab !== undefined)
    throw new Failure("usage", "--machine means this machine, not a lab", { hint: "leave out --machine, or the lab" });
  if (!meansMachine(asked, from.lab ?? options.lab)) {
    const found = findLab(from.lab ?? options.lab);
    const name = checkNode(found.record, from.node);
    const lab = await OpenLab.connect(found);
    return opened(lab, name, () => {
      lab[Symbol.dispose]();
      return Promise.resolve();
    });
  }
  const machine = await OpenMachine.open({ all, whole: { asked }, onWarning });
  return opened(machine, machine.node(from.node), () => machine[Symbol.asyncDispose]());
}

async function opened(
  network: { readonly line: NodeLine; snapshot(): Promise<Snapshot> },
  name: string,
  close: () => Promise<void>,
): Promise<OpenNetwork> {
  try {
    const snapshot = await network.snapshot();
    const node = snapshot.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Failure("usage", `'${name}' is gone`, { code: "NO_NODE" });
    return { line: network.line, snapshot, node, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function startOf(
  snapshot: Snapshot,
  node: NodeSnapshot,
  from: Target,
  to: Destination,
  { family, source: sourceText, sourcePort }: ExplainOptions,
): { readonly start: ExchangeStart; readonly name?: string } {
  const source = sourceText === undefined ? undefined : parseAddress(sourceText);
  if (sourceText !== undefined && source === undefined)
    throw new Failure("usage", `--source takes an address, not '${sourceText}'`);
  if (from.interface !== undefined && !node.interfaces.some(({ name }) => name === from.interface))
    throw new Failure("usage", `${node.name} has no interface '${from.interface}'`, {
      hint: `there are: ${node.interfaces.map(({ name }) => name).join(", ")}`,
    });
  const { address, name } = findDestination(snapshot, node, to, source?.family ?? family);
  if (source !== undefined && source.family !== address.family)
    throw new Failure("usage", `${formatAddress(source)} and ${formatAddress(address)} are of different families`);
  if (sourcePort !== undefined && to.protocol === "icmp") throw new Failure("usage", "an ICMP echo has no port");
  const start: ExchangeStart = {
    node: node.name,
    ...(from.interface === undefined ? {} : { interface: from.interface }),
    protocol: to.protocol,
    destination: address,
    ...(to.port === undefined ? {} : { port: to.port }),
    ...(source === undefined ? {} : { source }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
  };
  return { start, ...(name === undefined ? {} : { name }) };
}

function bindOf({ source, sourcePort }: ExplainOptions): Pick<ObserveOptions, "bind"> {
  if (source === undefined && sourcePort === undefined) return {};
  return {
    bind: {
      ...(source === undefined ? {} : { address: source }),
      ...(sourcePort === undefined ? {} : { port: sourcePort }),
    },
  };
}

/** On a machine with traffic of its own: only what may be ours. A lab is looked at as a whole. */
function filterOf({ lab }: Snapshot, { protocol, port }: ExchangeStart): TraceFilter {
  if (lab !== undefined) return { ports: [], hosts: [], protocols: [] };
  return protocol === "icmp"
    ? { ports: [], hosts: [], protocols: ["icmp", "icmp6"] }
    : { ports: port === undefined ? [] : [port], hosts: [], protocols: [protocol] };
}
