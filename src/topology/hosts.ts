/** /etc/hosts: the names of all nodes, in every node of a lab. */
import { formatAddress } from "../model/address.js";
import { addressesOf, type Draft, type DraftNode } from "./draft.js";
import { nearestAddress } from "./nat.js";
import type { HostsLine } from "./resolved.js";

/** Lines that hold for all nodes: the first address of each node in each family. */
export function commonHosts(draft: Draft): HostsLine[] {
  return [...draft.nodes.values()].flatMap((node) =>
    ([4, 6] as const).flatMap((family): HostsLine[] => {
      const first = addressesOf(node, family)[0];
      return first ? [[formatAddress(first.address), [node.name]]] : [];
    }),
  );
}

/** What one node must read first: of a node with several addresses, the one that is nearest to it. */
export function nearHosts(draft: Draft, node: DraftNode): HostsLine[] {
  const lines: HostsLine[] = [];
  for (const other of draft.nodes.values()) {
    if (other === node) continue;
    for (const family of [4, 6] as const) {
      const addresses = addressesOf(other, family);
      if (addresses.length < 2) continue;
      const near = nearestAddress(node, other, family);
      if (near && near !== addresses[0]) lines.push([formatAddress(near.address), [other.name]]);
    }
  }
  return lines;
}
