/** `link`: changes one end of a running link: what it does to what it sends, and whether it is up. */
import { type Link, links, UnsupportedError } from "../kernel/index.js";
import { apply } from "../lab/apply.js";
import { ContainerRunner } from "../lab/containers.js";
import { withLabLock } from "../lab/lock.js";
import { applyShaping, readShaping } from "../lab/shaping.js";
import { Failure } from "../model/failure.js";
import { didYouMean } from "../model/spelling.js";
import type { Operation } from "../plan/operation.js";
import { plan } from "../plan/plan.js";
import { carrierOf, egressesOf } from "../plan/up.js";
import { parseDuration, parsePercentage, parseRate } from "../topology/quantity.js";
import type { ResolvedEnd, ResolvedNode, ResolvedShaping, ResolvedTopology } from "../topology/resolved.js";
import { planOptions } from "./build-lab.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab, type FoundLab, parseTarget } from "./target.js";

/** As a person writes them; `0` takes a setting away. */
export interface LinkSettings {
  readonly rate?: string;
  readonly delay?: string;
  readonly jitter?: string;
  readonly loss?: string;
}

export interface LinkOptions extends LinkSettings {
  readonly lab: string | undefined;
  /** `[LAB/]NODE:INTERFACE`. */
  readonly end: string;
  /** The other end too. */
  readonly both: boolean;
  readonly up?: boolean;
  /** Back to what the lab's file says, before anything else is changed. */
  readonly reset: boolean;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface LinkEnd {
  readonly node: string;
  readonly interface: string;
  readonly up: boolean;
  /** What it does to what it sends: bits a second, nanoseconds, shares from 0 to 1. Absent where nothing. */
  readonly shaping?: ResolvedShaping;
}

export interface LinkResult {
  readonly lab: string;
  readonly ends: readonly LinkEnd[];
}

/** Settings that are not given stay as they are. @throws Failure (machine) where the kernel lacks a qdisc */
export async function changeLink(options: LinkOptions): Promise<LinkResult> {
  const target = parseTarget(options.end);
  if (target.interface === undefined)
    throw new Failure("usage", `'${options.end}' names no interface: write [LAB/]NODE:INTERFACE`);
  const found = findLab(target.lab ?? options.lab);
  const wanted = parseSettings(options);
  const node = checkNode(found.record, target.node);
  const first = checkInterface(found, node, target.interface);
  const ends = options.both ? [first, ...peersOf(found, first)] : [first];
  const { name } = found.record;
  return withLabLock(
    name,
    "link",
    async () => {
      using lab = await OpenLab.connect(found);
      for (const end of ends) await changeEnd(lab, end, wanted, options);
      return { lab: name, ends: ends.map((end) => readEnd(lab, end)) };
    },
    { onWait: (holder) => options.onWarning(`lab '${name}' is in use by ${holder}; waiting`) },
  );
}

interface End {
  readonly node: string;
  readonly interface: string;
}

/** `undefined` takes the setting away. */
type Wanted = Partial<Record<"rate" | "delay" | "jitter" | "loss", number | undefined>>;

function parseSettings(settings: LinkSettings): Wanted {
  const parsers = {
    rate: [parseRate, "10mbit, 500kbit"],
    delay: [parseDuration, "5ms, 200us"],
    jitter: [parseDuration, "1ms"],
    loss: [parsePercentage, "0.5%"],
  } as const;
  const wanted: { -readonly [Key in keyof Wanted]: Wanted[Key] } = {};
  for (const key of ["rate", "delay", "jitter", "loss"] as const) {
    const text = settings[key];
    if (text === undefined) continue;
    const [parse, examples] = parsers[key];
    const value = /^0[a-z%]*$/.test(text) ? 0 : parse(text);
    if (value === undefined)
      throw new Failure("usage", `--${key} ${text} cannot be read`, {
        hint: `as a topology file writes it: ${examples}; 0 takes it away`,
      });
    wanted[key] = value === 0 ? undefined : value;
  }
  return wanted;
}

function checkInterface({ record }: FoundLab, node: string, wanted: string): End {
  const own = record.topology.nodes.find((each) => each.name === node);
  const names = [
    ...record.topology.links.flatMap((link) => link.ends).flatMap((end) => (end.node === node ? end.interface : [])),
    ...(own?.bridges ?? []).map((bridge) => bridge.name),
  ];
  const long = own?.interfaces.find((each) => each.longName === wanted)?.name;
  if (long !== undefined || names.includes(wanted)) return { node, interface: long ?? wanted };
  throw new Failure("usage", `node '${node}' of lab '${record.name}' has no link '${wanted}'`, {
    hint: didYouMean(wanted, names) ?? `links: ${names.join(", ") || "none"}`,
    code: "NO_INTERFACE",
  });
}

function peersOf({ record }: FoundLab, end: End): End[] {
  const link = record.topology.links.find(({ ends }) => ends.some((each) => sameEnd(each, end)));
  return link?.ends.filter((each) => !sameEnd(each, end)) ?? [];
}

function sameEnd(a: End, b: End): boolean {
  return a.node === b.node && a.interface === b.interface;
}

async function changeEnd(lab: OpenLab, end: End, wanted: Wanted, options: LinkOptions): Promise<void> {
  const client = lab.sockets.route(end.node);
  const { index, up } = linkOf(lab, end);
  const previous = readShaping(client, index);
  const file = fileEnd(lab, end);
  const shaping = merged(options.reset ? file?.shaping : previous, wanted);
  if (shaping?.jitter !== undefined && shaping.delay === undefined)
    throw new Failure("usage", `jitter is a part of a delay, and ${end.node}:${end.interface} has none`, {
      hint: "give --delay too",
    });
  if (options.reset || Object.keys(wanted).length > 0)
    try {
      applyShaping(client, index, shaping);
    } catch (error) {
      // What was there was taken away first.
      applyShaping(client, index, previous);
      throw shapingFailure(error, end);
    }
  const wantsUp = options.up ?? (options.reset ? (file?.up ?? true) : undefined);
  if (wantsUp === undefined || wantsUp === up) return;
  client.execute(links.set(index, { up: wantsUp }));
  if (wantsUp) await restore(lab, end, options);
}

function merged(shaping: ResolvedShaping | undefined, wanted: Wanted): ResolvedShaping | undefined {
  const all = { ...shaping, ...wanted };
  // A bucket belongs to its rate.
  if ("rate" in wanted) delete all.burst;
  const kept = Object.entries(all).filter(([, value]) => value !== undefined);
  return kept.length === 0 ? undefined : Object.fromEntries(kept); // the same keys, those that are set
}

function shapingFailure(error: unknown, end: End): unknown {
  if (!(error instanceof UnsupportedError)) return error;
  return new Failure(
    "machine",
    `this kernel has no ${error.feature.name} (${error.feature.symbol}), so ${end.node}:${end.interface} cannot do that`,
    {
      hint: "--rate needs the tbf qdisc, --delay, --jitter and --loss need netem; yapc-net doctor says what is there",
      code: error.code,
      cause: error,
    },
  );
}

/**
 * A link that goes down takes its IPv6 addresses, neighbours and routes with it: what the file says of it comes back. So
 * do routes that waited since the file says that it is down.
 */
async function restore(lab: OpenLab, end: End, { onWarning, signal }: LinkOptions): Promise<void> {
  const { record, folder } = lab.found;
  const topology = withUp(record.topology, end);
  const node = topology.nodes.find(({ name }) => name === end.node);
  const { operations } = plan(
    topology,
    { snapshot: await lab.snapshot(), topology },
    planOptions(record, lab.line.ids),
  );
  await apply(
    operations.filter((operation) => node && belongsTo(operation, node, end.interface)),
    {
      undo: true,
      line: lab.line,
      sockets: lab.sockets,
      folder,
      containers: new ContainerRunner(lab.line, folder, topology, { strict: false, onWarning }),
      signal,
    },
  );
}

/** As if the file said of this end that it is up. */
function withUp(topology: ResolvedTopology, end: End): ResolvedTopology {
  return {
    ...topology,
    nodes: topology.nodes.map((node) => ({
      ...node,
      interfaces: node.interfaces.map((member) =>
        sameEnd({ node: node.name, interface: member.name }, end) ? { ...member, up: true } : member,
      ),
    })),
    links: topology.links.map(({ kind, ends: [left, right] }) => ({ kind, ends: [asUp(left, end), asUp(right, end)] })),
  };
}

function asUp(own: ResolvedEnd, end: End): ResolvedEnd {
  return sameEnd(own, end) ? { ...own, up: true } : own;
}

/** Whether it puts something on an interface, or on a vlan that it carries, or lets a route lead over it. */
function belongsTo(operation: Operation, node: ResolvedNode, name: string): boolean {
  const isOnIt = (member: string): boolean => {
    const carrier = carrierOf(node, member);
    return member === name || (carrier !== undefined && isOnIt(carrier));
  };
  if (!("node" in operation) || operation.node !== node.name) return false;
  if (operation.kind === "address.add") return isOnIt(operation.interface);
  if (operation.kind === "neighbour.add") return isOnIt(operation.neighbour.interface);
  return operation.kind === "route.add" && egressesOf(node, operation.route).some(isOnIt);
}

function fileEnd(lab: OpenLab, end: End): ResolvedEnd | undefined {
  return lab.found.record.topology.links.flatMap((link) => link.ends).find((each) => sameEnd(each, end));
}

function linkOf(lab: OpenLab, end: End): Link {
  const list = lab.sockets.route(end.node).execute(links.list({ statistics: false }));
  const link = list.find((each) => each.name === end.interface);
  if (link === undefined)
    throw new Failure("kernel", `${end.node}:${end.interface} is in the lab's file and not in the kernel`, {
      hint: "somebody removed or renamed it; `yapc-net up` with the lab's file brings it back",
      code: "ENODEV",
    });
  return link;
}

function readEnd(lab: OpenLab, end: End): LinkEnd {
  const { index, up } = linkOf(lab, end);
  const shaping = readShaping(lab.sockets.route(end.node), index);
  return { node: end.node, interface: end.interface, up, ...(shaping === undefined ? {} : { shaping }) };
}
