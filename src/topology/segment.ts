/** Broadcast domains: which interfaces hear each other, over links and bridges, and which of them share a subnet. */
import { contains, type Family, formatPrefix, networkOf, type Prefix } from "../model/address.js";
import { deviceNeighbours } from "./devices.js";
import type { Draft, DraftAddress, DraftInterface, DraftNode } from "./draft.js";

/** An address of an interface on a segment. */
export interface Attachment {
  readonly node: DraftNode;
  readonly interface: DraftInterface;
  readonly address: DraftAddress;
  readonly subnet: Prefix;
}

/** The addresses of one broadcast domain that are on one link with each other. */
export interface Subnet {
  readonly prefix: Prefix;
  /** In the order of the file. */
  readonly attachments: readonly Attachment[];
}

/**
 * All interfaces of each broadcast domain.
 * @param takesPart which interfaces hear and are heard: the others are in none
 */
export function segmentsOf(
  draft: Draft,
  takesPart: (member: DraftInterface) => boolean = () => true,
): DraftInterface[][] {
  const parents = new Map<DraftInterface, DraftInterface>();
  const root = (start: DraftInterface): DraftInterface => {
    let current = start;
    for (let parent = parents.get(current); parent; parent = parents.get(current)) current = parent;
    if (current !== start) parents.set(start, current);
    return current;
  };
  const join = (a: DraftInterface, b: DraftInterface): void => {
    if (!takesPart(a) || !takesPart(b)) return;
    const [rootA, rootB] = [root(a), root(b)];
    if (rootA !== rootB) parents.set(rootB, rootA);
  };
  for (const { ends } of draft.links) join(...ends);
  const all = [...draft.nodes.values()].flatMap((node) => [...node.interfaces.values()].filter(takesPart));
  for (const member of all) {
    const bridge = member.master === undefined ? undefined : member.node.interfaces.get(member.master);
    if (bridge) join(bridge, member);
  }
  for (const pair of deviceNeighbours(draft, root)) join(...pair);
  return [...groupBy(all, root).values()];
}

/**
 * The subnets of a family, in the order of the file: each with who has an address in it, per broadcast domain.
 * @param nodeOf who an interface stands for: its node, or the vrf of it that it is in
 */
export function subnetsOf(
  segments: readonly DraftInterface[][],
  family: Family,
  nodeOf: (member: DraftInterface) => DraftNode = ({ node }) => node,
): Subnet[] {
  return segments.flatMap((segment) => {
    const attachments = segment.flatMap((member) =>
      member.addresses
        .filter(({ address }) => address.family === family)
        .map((address): Attachment => ({
          node: nodeOf(member),
          interface: member,
          address,
          subnet: networkOf(address.address, address.length),
        })),
    );
    const groups = groupBy(attachments, ({ subnet }) => formatPrefix(subnet));
    return [...groups.values()].flatMap((group) => (group[0] ? [{ prefix: group[0].subnet, attachments: group }] : []));
  });
}

/** Whether two addresses take each other to be on the link. */
export function onLink(a: Attachment, b: Attachment): boolean {
  return contains(a.subnet, b.address.address) && contains(b.subnet, a.address.address);
}

/** Map.groupBy, which Node 20 lacks. */
export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
