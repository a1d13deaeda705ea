/** The machine's own network: its namespaces adopted into an init, those that belong to it kept, and read. */
import type { InitLine } from "../init/api.js";
import { links } from "../kernel/index.js";
import type { Snapshot } from "../model/snapshot.js";
import { type DiscoveredNode, machineName } from "./discover.js";
import { findPeers, peerKey } from "./peers.js";
import { nodeLinks, observe } from "./snapshot.js";
import type { NodeSockets } from "./sockets.js";

/**
 * Makes nodes of the discovered namespaces, and lets go of those that have no link to the machine, near or far.
 * @param all keeps every one
 * @returns the nodes that are left
 */
export async function adopt(
  line: InitLine,
  sockets: NodeSockets,
  discovered: readonly DiscoveredNode[],
  all: boolean,
): Promise<readonly DiscoveredNode[]> {
  for (const { name, descriptor } of discovered) await line.adoptNode(name, descriptor);
  if (all) return discovered;
  const connected = connectedNodes(discovered, sockets);
  for (const { name } of discovered) {
    if (connected.has(name)) continue;
    sockets.forget(name);
    await line.removeNode(name);
  }
  return discovered.filter(({ name }) => connected.has(name));
}

/** The machine, and what hangs on it: over veth pairs, or as a child (macvlan, ipvlan) of one of its interfaces. */
function connectedNodes(discovered: readonly DiscoveredNode[], sockets: NodeSockets): ReadonlySet<string> {
  const nodes = discovered.map(({ name }) => nodeLinks(name, sockets.route(name).execute(links.list()), sockets));
  const peers = findPeers(nodes);
  const neighbours = new Map<string, Set<string>>(nodes.map(({ node }) => [node, new Set()]));
  const connect = (a: string, b: string): void => {
    neighbours.get(a)?.add(b);
    neighbours.get(b)?.add(a);
  };
  for (const { node, links: list, namespaceId } of nodes)
    for (const { index, kind, linkNetnsid } of list) {
      const peer = peers.get(peerKey(node, index));
      if (peer !== undefined) connect(node, peer.node);
      else if (kind !== "veth" && linkNetnsid !== undefined && namespaceId(machineName) === linkNetnsid)
        connect(node, machineName);
    }
  // A set keeps its order and is walked while it grows.
  const connected = new Set([machineName]);
  for (const name of connected) for (const next of neighbours.get(name) ?? []) connected.add(next);
  return connected;
}

export function observeMachine(
  line: InitLine,
  sockets: NodeSockets,
  nodes: readonly DiscoveredNode[],
  now: number,
): Promise<Snapshot> {
  return observe(line, sockets, {
    machine: machineName,
    order: nodes.map(({ name }) => name),
    containers: new Set(nodes.filter(({ role }) => role === "container").map(({ name }) => name)),
    now,
  });
}
