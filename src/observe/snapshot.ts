/** Reads live namespaces into a snapshot: dumps of rtnetlink, nf_tables and conntrack, and a few files of /proc. */
import type { NodeLine, NodeStatus } from "../init/api.js";
import {
  addresses,
  conntrack,
  DumpInterruptedError,
  links,
  neighbours,
  NetlinkError,
  nftables,
  nsids,
  qdiscs,
  routes,
  rules,
  type Link,
} from "../kernel/index.js";
import type { ConntrackFlow } from "../model/conntrack.js";
import type { NftTable } from "../model/nft.js";
import type { ContainerSnapshot, NodeSnapshot, ProcessSnapshot, Snapshot, Unread } from "../model/snapshot.js";
import { toFlow } from "./flows.js";
import { type LinkName, toFdbEntry, toNeighbour, toRoute, toRule } from "./forwarding.js";
import { toInterfaces } from "./interfaces.js";
import { listenersOf } from "./listeners.js";
import { type NodeLinks, peerKey, relate, type Relations } from "./peers.js";
import { qdiscsByLink } from "./qdiscs.js";
import type { NetlinkClient } from "../kernel/client.js";
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
  /** What is known of a node beside what its namespace says. */
  readonly inhabitants?: (node: NodeStatus) => Inhabitants;
  /** What is known not to be looked at. */
  readonly unread?: readonly Unread[];
  /** Wall clock, milliseconds since 1970. */
  readonly now: number;
}

/** Who is in a namespace. */
export interface Inhabitants {
  readonly processes: readonly ProcessSnapshot[];
  readonly containers: readonly ContainerSnapshot[];
}

/**
 * Reads every node: first all that the kernel says, then what refers to what. Processes may end meanwhile, and tables
 * may change: a namespace cannot go, since the line holds it. What may not be read, or never stood still, is told of.
 */
export async function observe(line: NodeLine, sockets: NodeSockets, options: ObserveOptions): Promise<Snapshot> {
  const statuses = inOrder(await line.nodes(), options.order ?? []);
  await sockets.open(
    statuses.map(({ name }) => name),
    ["namespace", "route", "netfilter", "diagnosis"],
  );
  const read = statuses.map((status) => ({ status, links: sockets.route(status.name).execute(links.list()) }));
  const relations = relate(read.map(({ status, links: list }) => nodeLinks(status.name, list, sockets)));
  const nodes: NodeSnapshot[] = [];
  const unread: Unread[] = [...(options.unread ?? [])];
  for await (const [{ status, links: list }, settings] of readAhead(read, (each) => settingsOf(line, each))) {
    const context = { list, settings, relations, role: roleOf(status, options), unread };
    const node = await observeNode(line, sockets, status, context);
    const inside = options.inhabitants?.(status);
    nodes.push({
      ...node,
      ...(inside === undefined ? {} : { processes: inside.processes }),
      ...(inside === undefined || inside.containers.length === 0 ? {} : { containers: inside.containers }),
    });
  }
  return {
    version: 1,
    takenAt: new Date(options.now).toISOString(),
    ...(options.lab === undefined ? {} : { lab: options.lab }),
    nodes,
    ...(unread.length === 0 ? {} : { unread }),
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
    lookInto(id, index) {
      try {
        return sockets.route(node).execute(links.get(index, id));
      } catch (error) {
        // Gone since, or in a namespace where the socket's owner has no rights: the candidates are asked one by one.
        if (error instanceof NetlinkError) return undefined;
        throw error;
      }
    },
  };
}

interface NodeContext {
  readonly list: readonly Link[];
  readonly settings: Settings;
  readonly relations: Relations;
  readonly role: NodeSnapshot["role"];
  /** Gets what cannot be read. */
  readonly unread: Unread[];
}

async function observeNode(
  line: NodeLine,
  sockets: NodeSockets,
  status: NodeStatus,
  { list, settings, relations, role, unread }: NodeContext,
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
        const key = peerKey(name, each.index);
        const [peer, parent, beyond] = [
          relations.peers.get(key),
          relations.parents.get(key),
          relations.beyond.get(key),
        ];
        return {
          ...each,
          ...(peer === undefined ? {} : { peer }),
          ...(parent === undefined ? {} : { parent }),
          ...(beyond === undefined ? {} : { beyond }),
        };
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
    nftables: rulesOf(name, netfilter, unread),
    // A dump of conntrack walks the table of the whole machine, 10 ms where it is large: only where there is something.
    conntrack: settings.tracked === 0 ? [] : flowsOf(name, netfilter, unread),
    listeners,
    sysctls: settings.sysctls,
  };
}

function rulesOf(node: string, netfilter: NetlinkClient, unread: Unread[]): NftTable[] {
  try {
    return nftables.readTables(netfilter);
  } catch (error) {
    if (isRefusal(error)) unread.push({ what: "rules", node, text: `the rules (nf_tables) of ${node}: for root only` });
    else if (error instanceof DumpInterruptedError) {
      unread.push({ what: "rules", node, text: `rules of ${node} that changed while they were read` });
      return error.partial as NftTable[]; // what readTables says of it
    } else throw error;
    return [];
  }
}

function flowsOf(node: string, netfilter: NetlinkClient, unread: Unread[]): ConntrackFlow[] {
  try {
    return netfilter.execute(conntrack.flows.list()).map(toFlow);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    unread.push({ what: "connections", node, text: `the connections (conntrack) of ${node}: for root only` });
    return [];
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof NetlinkError && error.code === "EPERM";
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
  line: NodeLine,
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
