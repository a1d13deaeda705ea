/** Reads live namespaces into a snapshot: dumps of rtnetlink, nf_tables and conntrack, and a few files of /proc. */
import type { InitLine, NodeStatus } from "../init/api.js";
import {
  addresses,
  conntrack,
  links,
  neighbours,
  nftables,
  nsids,
  qdiscs,
  routes,
  rules,
  type Link,
} from "../kernel/index.js";
import type { InterfaceRef, NodeSnapshot, QdiscSnapshot, Snapshot } from "../model/snapshot.js";
import { toFlow } from "./flows.js";
import { type LinkName, toFdbEntry, toNeighbour, toRoute, toRule } from "./forwarding.js";
import { toInterfaces } from "./interfaces.js";
import { listenersOf } from "./listeners.js";
import { findPeers, peerKey, type NodeLinks } from "./peers.js";
import type { NodeSockets } from "./sockets.js";
import { sysctlNames } from "./sysctls.js";

export interface ObserveOptions {
  readonly lab?: string;
  /** Node that stands for the computer. */
  readonly machine?: string;
  /** Order of the nodes in the snapshot; those that it does not name come last. */
  readonly order?: readonly string[];
  /** Nodes that run a container of somebody else's. */
  readonly containers?: ReadonlySet<string>;
  /** Wall clock, milliseconds since 1970. */
  readonly now: number;
}

/** Reads every node of a lab. Nodes that vanish meanwhile are an error: the caller holds the lab's lock, or retries. */
export async function observe(line: InitLine, sockets: NodeSockets, options: ObserveOptions): Promise<Snapshot> {
  const statuses = inOrder(await line.nodes(), options.order ?? []);
  await sockets.open(
    statuses.map(({ name }) => name),
    ["namespace", "route", "netfilter", "diagnosis"],
  );
  const read = statuses.map((status) => ({ status, links: sockets.route(status.name).execute(links.list()) }));
  const peers = findPeers(read.map(({ status, links: list }) => nodeLinks(status.name, list, sockets)));
  const nodes: NodeSnapshot[] = [];
  for await (const [{ status, links: list }, settings] of readAhead(read, (each) => settingsOf(line, each)))
    nodes.push(await observeNode(line, sockets, status, { list, settings, peers, role: roleOf(status, options) }));
  return {
    version: 1,
    takenAt: new Date(options.now).toISOString(),
    ...(options.lab === undefined ? {} : { lab: options.lab }),
    nodes,
  };
}

/** How many nodes init is asked about while the sockets of one are read. */
const ahead = 16;

/** Each item with what `read` gives for it, which is begun some items earlier. */
async function* readAhead<T, V>(items: readonly T[], read: (item: T) => Promise<V>): AsyncGenerator<[T, V]> {
  const begun: Promise<V>[] = [];
  for (const [index, item] of items.entries()) {
    for (const next of items.slice(index + begun.length, index + ahead)) {
      const reading = read(next);
      // Where an earlier one fails, nobody awaits it.
      reading.catch(() => undefined);
      begun.push(reading);
    }
    const [first] = begun.splice(0, 1);
    if (first !== undefined) yield [item, await first];
  }
}

function inOrder(statuses: readonly NodeStatus[], order: readonly string[]): NodeStatus[] {
  const rank = new Map(order.map((name, index) => [name, index]));
  return statuses.toSorted((a, b) => (rank.get(a.name) ?? order.length) - (rank.get(b.name) ?? order.length));
}

function roleOf({ name, container }: NodeStatus, { machine, containers }: ObserveOptions): NodeSnapshot["role"] {
  if (name === machine) return "machine";
  return container || containers?.has(name) === true ? "container" : "namespace";
}

export function nodeLinks(node: string, list: readonly Link[], sockets: NodeSockets): NodeLinks {
  const ids = new Map<string, number | undefined>();
  return {
    node,
    links: list,
    namespaceId(other) {
      if (!ids.has(other)) ids.set(other, sockets.route(node).execute(nsids.get(sockets.namespace(other))));
      return ids.get(other);
    },
  };
}

interface NodeContext {
  readonly list: readonly Link[];
  readonly settings: Settings;
  readonly peers: ReadonlyMap<string, InterfaceRef>;
  readonly role: NodeSnapshot["role"];
}

async function observeNode(
  line: InitLine,
  sockets: NodeSockets,
  status: NodeStatus,
  { list, settings, peers, role }: NodeContext,
): Promise<NodeSnapshot> {
  const { name } = status;
  const nameOf = new Map(list.map((link) => [link.index, link.name]));
  const linkName: LinkName = (index) => (index === undefined ? undefined : nameOf.get(index));
  const listeners = await listenersOf(line, sockets, name, linkName);
  const route = sockets.route(name);
  const netfilter = sockets.netfilter(name);
  return {
    name,
    role,
    netns: status.netns,
    interfaces: toInterfaces(list, route.execute(addresses.list()), qdiscsByLink(route.execute(qdiscs.list()))).map(
      (each) => {
        const peer = peers.get(peerKey(name, each.index));
        return peer === undefined ? each : { ...each, peer };
      },
    ),
    routes: route
      .execute(routes.list())
      .map((each) => toRoute(each, linkName))
      .filter(known),
    rules: route.execute(rules.list()).map(toRule),
    neighbours: route
      .execute(neighbours.list())
      .map((each) => toNeighbour(each, linkName))
      .filter(known),
    fdb: list.some((link) => link.kind === "bridge")
      ? route
          .execute(neighbours.listFdb())
          .map((each) => toFdbEntry(each, linkName))
          .filter(known)
      : [],
    nftables: nftables.readTables(netfilter),
    // A dump of conntrack walks the table of the whole machine, 10 ms where it is large: only where there is something.
    conntrack: settings.tracked === 0 ? [] : netfilter.execute(conntrack.flows.list()).map(toFlow),
    listeners,
    sysctls: settings.sysctls,
  };
}

/** The kernel's own choices say nothing about what happens to a packet. */
const defaultQdiscs = new Set(["noqueue", "fq_codel", "pfifo_fast", "mq"]);

function qdiscsByLink(list: readonly qdiscs.Qdisc[]): Map<number, QdiscSnapshot[]> {
  const byLink = new Map<number, QdiscSnapshot[]>();
  for (const { index, kind, handle, parent, drops, backlog, settings } of list) {
    if (defaultQdiscs.has(kind)) continue;
    const rate = settings?.kind === "tbf" ? settings.rate : undefined;
    const { delay, jitter }: { delay?: number; jitter?: number } = settings?.kind === "netem" ? settings : {};
    const entry = {
      ...{ kind, handle, parent, drops, backlog },
      ...(rate === undefined ? {} : { rate }),
      ...(delay === undefined ? {} : { delay }),
      ...(jitter === undefined ? {} : { jitter }),
    };
    byLink.set(index, [...(byLink.get(index) ?? []), entry]);
  }
  return byLink;
}

function known<T>(value: T | undefined): value is T {
  return value !== undefined;
}

interface Settings {
  readonly sysctls: Record<string, string>;
  /** Connections that the node's conntrack holds; undefined where the kernel has none. */
  readonly tracked: number | undefined;
}

async function settingsOf(
  line: InitLine,
  { status, links: list }: { readonly status: NodeStatus; readonly links: readonly Link[] },
): Promise<Settings> {
  const names = sysctlNames(list.map(({ name }) => name));
  const [count, ...values] = await line.readSysctls(status.name, ["net.netfilter.nf_conntrack_count", ...names]);
  const there = names.flatMap((name, index) => {
    const value = values[index];
    return value === undefined ? [] : [[name, value.replaceAll("\t", " ")] as const];
  });
  return { sysctls: Object.fromEntries(there), tracked: count === undefined ? undefined : Number(count) };
}
