/** `trace --list` and `graph --live`: the hops that packets would pass, looked at and not tapped. */
import type { Hop } from "../model/hop.js";
import { hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import { type NetworkOptions, openTracedNetwork } from "./traced-network.js";

export interface ListedHops {
  readonly snapshot: Snapshot;
  /** In the order in which a trace shows them. */
  readonly hops: readonly Hop[];
}

export async function listHops(options: Omit<NetworkOptions, "list">): Promise<ListedHops> {
  await using network = await openTracedNetwork({ ...options, list: true });
  const { snapshot, hops } = network;
  return { snapshot, hops };
}

/** The part of a snapshot that the hops are in: nodes and interfaces that no hop is at are left out. */
export function atHops({ snapshot, hops }: ListedHops): Snapshot {
  const kept = new Set(hops.map(hopName));
  const order = [...new Set(hops.map(({ node }) => node))];
  const nodes = snapshot.nodes.filter(({ name }) => order.includes(name));
  return {
    ...snapshot,
    nodes: nodes
      .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
      .map((node) => ({
        ...node,
        interfaces: node.interfaces.filter(({ name }) => kept.has(hopName({ node: node.name, interface: name }))),
      })),
  };
}
