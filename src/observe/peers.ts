/**
 * Which interface is the other end of a veth pair.
 *
 * A link names its peer by index (IFLA_LINK) and by the id that its own namespace has for the peer's (IFLA_LINK_NETNSID,
 * absent when both are in one). Indexes repeat: with ends placed directly, most are 2. So the candidates are the veths
 * that point back, and where several do, the kernel is asked which namespace the id means.
 */
import type { Link } from "../kernel/rtnetlink/index.js";
import type { InterfaceRef } from "../model/snapshot.js";

export interface NodeLinks {
  readonly node: string;
  readonly links: readonly Link[];
  /** The id that this node's namespace has for another's (RTM_GETNSID), or undefined where it has none. */
  readonly namespaceId: (other: string) => number | undefined;
}

/** @returns for each veth end `NODE INDEX`, its peer, where that lies in one of the nodes */
export function findPeers(nodes: readonly NodeLinks[]): Map<string, InterfaceRef> {
  const byPeerIndex = new Map<string, { readonly node: NodeLinks; readonly link: Link }[]>();
  for (const node of nodes)
    for (const link of node.links) {
      if (link.kind !== "veth" || link.link === undefined) continue;
      const place = `${link.index} ${link.link}`;
      const known = byPeerIndex.get(place);
      if (known === undefined) byPeerIndex.set(place, [{ node, link }]);
      else known.push({ node, link });
    }

  const peers = new Map<string, InterfaceRef>();
  for (const node of nodes)
    for (const link of node.links) {
      if (link.kind !== "veth" || link.link === undefined) continue;
      const candidates = byPeerIndex.get(`${link.link} ${link.index}`) ?? [];
      const peer = candidates.find(
        (candidate) =>
          candidate.link !== link &&
          (link.linkNetnsid === undefined
            ? candidate.node === node
            : candidate.node !== node && node.namespaceId(candidate.node.node) === link.linkNetnsid),
      );
      if (peer !== undefined)
        peers.set(peerKey(node.node, link.index), { node: peer.node.node, interface: peer.link.name });
    }
  return peers;
}

export function peerKey(node: string, index: number): string {
  return `${node} ${index}`;
}
