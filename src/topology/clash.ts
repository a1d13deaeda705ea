/** What is wrong between nodes: addresses that clash, networks that overlap, bridges in a loop. */
import { formatAddress, formatPrefix, overlaps } from "../model/address.js";
import type { Draft, DraftInterface } from "./draft.js";
import { segmentsOf, type Subnet, subnetsOf } from "./segment.js";
import { realmsOf } from "./vrf.js";

export function checkClashes(draft: Draft): void {
  const segments = segmentsOf(draft);
  for (const segment of segments) {
    checkSameAddresses(draft, segment);
    checkSameMacs(draft, segment);
  }
  for (const family of [4, 6] as const) {
    for (const realm of realmsOf(draft, subnetsOf(segments, family))) checkSubnets(draft, realm);
  }
  checkLoops(draft);
}

function checkSameAddresses(draft: Draft, segment: readonly DraftInterface[]): void {
  const holders = new Map<string, DraftInterface>();
  for (const member of segment) {
    for (const { address, at } of member.addresses) {
      const text = formatAddress(address);
      const other = holders.get(text);
      if (other && other.node !== member.node) {
        draft.document.warning(
          at,
          `${text} is an address of ${other.node.name}:${other.name} on the same network as well`,
          {
            code: "unreachable",
          },
        );
      }
      holders.set(text, member);
    }
  }
}

function checkSameMacs(draft: Draft, segment: readonly DraftInterface[]): void {
  const holders = new Map<string, DraftInterface>();
  for (const member of segment) {
    const mac = member.settings.mac?.toLowerCase();
    if (mac === undefined) continue;
    const other = holders.get(mac);
    if (other) {
      draft.document.warning(
        draft.document.placed([...member.at, "mac"], member.at),
        `${mac} is the address of ${other.node.name}:${other.name} on the same network as well`,
        { code: "unreachable" },
      );
    }
    holders.set(mac, member);
  }
}

/** The same network in two places, or one inside another, which routers cannot tell apart. */
function checkSubnets(draft: Draft, subnets: readonly Subnet[]): void {
  const sorted = subnets.toSorted(
    (a, b) =>
      Number(a.prefix.value - b.prefix.value > 0n) - Number(a.prefix.value - b.prefix.value < 0n) ||
      a.prefix.length - b.prefix.length,
  );
  // Sorted by start, wider first: what overlaps a network stands right behind it.
  let widest: Subnet | undefined;
  for (const subnet of sorted) {
    const [first] = subnet.attachments;
    const [other] = widest?.attachments ?? [];
    if (widest && other && first && overlaps(widest.prefix, subnet.prefix)) {
      const words =
        formatPrefix(widest.prefix) === formatPrefix(subnet.prefix)
          ? `${formatPrefix(subnet.prefix)} is in two places that have no link: at ${nameOf(other.interface)} and at ${nameOf(first.interface)}`
          : `${formatPrefix(subnet.prefix)} at ${nameOf(first.interface)} overlaps ${formatPrefix(widest.prefix)} at ${nameOf(other.interface)}`;
      draft.document.warning(first.address.at, words, { code: "unreachable" });
    } else widest = subnet;
  }
}

function nameOf(member: DraftInterface): string {
  return `${member.node.name}:${member.name}`;
}

/** A frame to all would go round for ever. One bridge that speaks STP cuts the loops that it is in. */
function checkLoops(draft: Draft): void {
  const parents = new Map<DraftInterface, DraftInterface>();
  const root = (bridge: DraftInterface): DraftInterface => {
    let current = bridge;
    for (let parent = parents.get(current); parent; parent = parents.get(current)) current = parent;
    return current;
  };
  for (const link of draft.links) {
    const [left, right] = link.ends.map((end) =>
      end.master === undefined ? undefined : end.node.interfaces.get(end.master),
    );
    if (!left?.bridge || !right?.bridge || left.bridge.stp === true || right.bridge.stp === true) continue;
    if (root(left) === root(right)) {
      draft.document.warning(link.at, `this link closes a loop of bridges: a broadcast would go round for ever`, {
        code: "unreachable",
        hint: `set "stp": true on ${nameOf(left)} or ${nameOf(right)}`,
      });
    } else parents.set(root(right), root(left));
  }
}
