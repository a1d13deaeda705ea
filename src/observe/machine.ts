/** The machine's own network: its namespaces adopted into an init, those that belong to it kept, and read. */
import type { InitLine, NodeLine } from "../init/api.js";
import { links } from "../kernel/index.js";
import type { Snapshot, Unread } from "../model/snapshot.js";
import { type DiscoveredNode, type Discovery, machineName } from "./discover.js";
import { peerKey, relate } from "./peers.js";
import { nodeLinks, observe } from "./snapshot.js";
import type { NodeSockets } from "./sockets.js";

/**
 * Makes nodes of the discovered namespaces, and lets go of those that have no link to the machine, near or far.
 * @param keep what stays without one
 * @returns the nodes that are left
 */
export async function adopt(
  line: InitLine,
  sockets: NodeSockets,
  discovered: readonly DiscoveredNode[],
  keep: (node: DiscoveredNode) => boolean,
): Promise<readonly DiscoveredNode[]> {
  await adoptAll(line, discovered);
  if (discovered.every(keep)) return discovered;
  await sockets.open(
    discovered.map(({ name }) => name),
    ["namespace", "route"],
  );
  const connected = connectedNodes(discovered, sockets);
  const kept = discovered.filter((node) => connected.has(node.name) || keep(node));
  for (const node of discovered) {
    if (kept.includes(node)) continue;
    sockets.forget(node.name);
    await line.removeNode(node.name);
  }
  return kept;
}

/** So many at once: descriptors that are under way count against a limit. */
const together = 64;

export async function adoptAll(line: InitLine, nodes: readonly DiscoveredNode[]): Promise<void> {
  for (let at = 0; at < nodes.length; at += together)
    await Promise.all(nodes.slice(at, at + together).map(({ name, descriptor }) => line.adoptNode(name, descriptor)));
}

/** The machine, and what hangs on it: over veth pairs, or as a child (macvlan, ipvlan) of one of its interfaces. */
function connectedNodes(discovered: readonly DiscoveredNode[], sockets: NodeSockets): ReadonlySet<string> {
  const nodes = discovered.map(({ name }) => nodeLinks(name, sockets.route(name).execute(links.list()), sockets));
  const { peers, parents } = relate(nodes);
  const neighbours = new Map<string, Set<string>>(nodes.map(({ node }) => [node, new Set()]));
  const connect = (a: string, b: string): void => {
    neighbours.get(a)?.add(b);
    neighbours.get(b)?.add(a);
  };
  for (const { node, links: list } of nodes)
    for (const { index } of list) {
      const other = peers.get(peerKey(node, index)) ?? parents.get(peerKey(node, index));
      if (other !== undefined) connect(node, other.node);
    }
  // A set keeps its order and is walked while it grows.
  const connected = new Set([machineName]);
  for (const name of connected) for (const next of neighbours.get(name) ?? []) connected.add(next);
  return connected;
}

/** @param nodes those of the discovery that the line has; `unread` comes on top of what the discovery did not see */
export function observeMachine(
  line: NodeLine,
  sockets: NodeSockets,
  { discovery, nodes, unread }: MachineView,
  now: number,
): Promise<Snapshot> {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return observe(line, sockets, {
    machine: machineName,
    order: nodes.map(({ name }) => name),
    containers: new Set(nodes.filter(({ role }) => role === "container").map(({ name }) => name)),
    inhabitants: ({ name }) => {
      const node = byName.get(name);
      return node === undefined
        ? { processes: [], containers: [] }
        : { processes: discovery.processesOf(node), containers: node.containers };
    },
    unread: [...discovery.unread, ...unread],
    now,
  });
}

export interface MachineView {
  readonly discovery: Discovery;
  readonly nodes: readonly DiscoveredNode[];
  readonly unread: readonly Unread[];
}
