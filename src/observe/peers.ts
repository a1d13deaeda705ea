/**
 * Which interface is the other end of a pair, and what an interface was made on, across namespaces.
 *
 * A link names the other by index (IFLA_LINK) and by the id that its own namespace has for the other's
 * (IFLA_LINK_NETNSID, absent when both are in one). Kernels before 5.13 leave IFLA_LINK out where both indexes are the
 * same number: then the id alone tells that there is another. Indexes repeat: with ends placed directly, most are 2. So
 * the candidates are the links that point back, and where several do, the kernel is asked which namespace the id means.
 */
import type { Link } from "../kernel/rtnetlink/index.js";
import type { InterfaceRef } from "../model/snapshot.js";

export interface NodeLinks {
  readonly node: string;
  readonly links: readonly Link[];
  /** The id that this node's namespace has for another's (RTM_GETNSID), or undefined where it has none. */
  readonly namespaceId: (other: string) => number | undefined;
  /** What this node can see of a link in the namespace of an id; undefined where it may not look. */
  readonly lookInto?: (id: number, index: number) => Pick<Link, "name" | "mac"> | undefined;
}

export interface Relations {
  /** By `NODE INDEX`: the other end of a pair, where it lies in one of the nodes. */
  readonly peers: ReadonlyMap<string, InterfaceRef>;
  /** What a vlan, macvlan, … was made on, where it lies in one of the nodes. */
  readonly parents: ReadonlyMap<string, InterfaceRef>;
  /** The node's own number for the namespace of a peer or parent that lies in none of the nodes. */
  readonly beyond: ReadonlyMap<string, number>;
}

/** Kinds that are made two at a time. */
const pairs: ReadonlySet<string | undefined> = new Set(["veth", "netkit", "vxcan"]);

interface Candidate {
  readonly node: NodeLinks;
  readonly link: Link;
}

/** More candidates than these are told apart by what the kernel shows of the other end. */
const few = 4;

export function relate(nodes: readonly NodeLinks[]): Relations {
  const pointing = new Map<string, Candidate[]>();
  for (const node of nodes)
    for (const link of node.links) {
      const other = otherIndex(link);
      if (!pairs.has(link.kind) || other === undefined) continue;
      const place = `${link.index} ${other}`;
      const known = pointing.get(place);
      if (known === undefined) pointing.set(place, [{ node, link }]);
      else known.push({ node, link });
    }

  const peers = new Map<string, InterfaceRef>();
  const parents = new Map<string, InterfaceRef>();
  const beyond = new Map<string, number>();
  for (const node of nodes)
    for (const link of node.links) {
      const other = otherIndex(link);
      if (other === undefined) continue;
      const key = peerKey(node.node, link.index);
      const found = pairs.has(link.kind)
        ? findPeer(node, link, pointing.get(`${other} ${link.index}`) ?? [])
        : findParent(nodes, node, link);
      if (found !== undefined) (pairs.has(link.kind) ? peers : parents).set(key, found);
      else if (link.linkNetnsid !== undefined) beyond.set(key, link.linkNetnsid);
    }
  return { peers, parents, beyond };
}

/** Index of the other end or of the parent, in its namespace. */
function otherIndex({ link, linkNetnsid, index }: Link): number | undefined {
  if (link !== undefined && link !== 0) return link;
  return linkNetnsid === undefined ? undefined : index;
}

function findPeer(node: NodeLinks, link: Link, candidates: readonly Candidate[]): InterfaceRef | undefined {
  const id = link.linkNetnsid;
  const others = candidates.filter((each) => each.link !== link);
  const told =
    id === undefined || others.length <= few ? undefined : node.lookInto?.(id, otherIndex(link) ?? link.index);
  const near =
    told === undefined ? others : others.filter((each) => each.link.name === told.name && each.link.mac === told.mac);
  const peer = near.find((each) =>
    id === undefined ? each.node === node : each.node !== node && node.namespaceId(each.node.node) === id,
  );
  return peer && { node: peer.node.node, interface: peer.link.name };
}

function findParent(nodes: readonly NodeLinks[], node: NodeLinks, link: Link): InterfaceRef | undefined {
  const id = link.linkNetnsid;
  const holder = id === undefined ? node : nodes.find((each) => each !== node && node.namespaceId(each.node) === id);
  const parent = holder?.links.find(({ index }) => index === otherIndex(link));
  return holder === undefined || parent === undefined || parent === link
    ? undefined
    : { node: holder.node, interface: parent.name };
}

export function peerKey(node: string, index: number): string {
  return `${node} ${index}`;
}
