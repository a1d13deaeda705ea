/** /etc/hosts: the names of all nodes, in every node of a lab. */
import { type Family, formatAddress } from "../model/address.js";
import { addressesOf, type Draft, type DraftAddress, type DraftNode } from "./draft.js";
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

/** Nodes with several addresses of a family: by which of them they are known depends on who asks. */
export function severalAddresses(draft: Draft): { node: DraftNode; family: Family; first: DraftAddress }[] {
  return [...draft.nodes.values()].flatMap((node) =>
    ([4, 6] as const).flatMap((family) => {
      const [first, second] = addressesOf(node, family);
      return first && second ? [{ node, family, first }] : [];
    }),
  );
}

/** What one node must read first: of each node with several addresses, the one that is nearest to it. */
export function nearHosts(node: DraftNode, several: ReturnType<typeof severalAddresses>): HostsLine[] {
  return several.flatMap(({ node: other, family, first }): HostsLine[] => {
    const near = other === node ? undefined : nearestAddress(node, other, family);
    return near && near !== first ? [[formatAddress(near.address), [other.name]]] : [];
  });
}
