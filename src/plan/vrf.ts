/** Which interfaces are in which vrf. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { type Doomed, placeOf } from "./doomed.js";
import type { Draft } from "./phase.js";

/** The vrf that an interface is in. */
export function vrfOf(node: CurrentNode, { master }: InterfaceSnapshot): string | undefined {
  return master !== undefined && node.interfaces.get(master)?.kind === "vrf" ? master : undefined;
}

/**
 * Interfaces that stay and whose vrf changes, as `node:interface`. The kernel takes such an interface down for a moment
 * (cycle_netdev in drivers/net/vrf.c), and a vlan on it, too: IPv6 addresses, routes and neighbours are lost with that,
 * and what is left stands in another table. So all of it goes before, by name, and comes anew: undo has it back, too.
 */
export function movingInterfaces(
  topology: ResolvedTopology,
  nodes: ReadonlyMap<string, CurrentNode>,
  doomed: Doomed,
): ReadonlySet<string> {
  const moving = new Set<string>();
  for (const { name, interfaces, devices } of topology.nodes) {
    const node = nodes.get(name);
    for (const { name: member, vrf } of interfaces) {
      const existing = node?.interfaces.get(member);
      if (!node || !existing || doomed.has(placeOf(name, member))) continue;
      const before = vrfOf(node, existing);
      // Made anew, a vrf of the same name is another one.
      if (before !== vrf || (vrf !== undefined && doomed.has(placeOf(name, vrf)))) moving.add(placeOf(name, member));
    }
    // Parents stand before what is made on them.
    for (const { name: device, settings } of devices) {
      const follows = settings.kind === "vlan" && moving.has(placeOf(name, settings.parent));
      if (follows && !doomed.has(placeOf(name, device))) moving.add(placeOf(name, device));
    }
  }
  return moving;
}

/** What leaves a vrf, since it, the vrf or its place in it goes. Before any of them is deleted: undo has all there to join. */
export function planVrfLeaves(
  draft: Draft,
  topology: ResolvedTopology,
  nodes: ReadonlyMap<string, CurrentNode>,
  doomed: Doomed,
): void {
  const wanted = new Map(topology.nodes.map((node) => [node.name, node]));
  for (const [name, node] of nodes) {
    const members = new Map(wanted.get(name)?.interfaces.map((member) => [member.name, member.vrf]));
    for (const member of node.interfaces.values()) {
      const vrf = vrfOf(node, member);
      if (vrf === undefined) continue;
      const goes = doomed.has(placeOf(name, member.name));
      const vrfGoes = doomed.has(placeOf(name, vrf));
      const isWanted = members.get(member.name) === vrf || !members.has(member.name);
      if (!goes && !vrfGoes && isWanted) continue;
      draft.add("vrf.leave", goes ? "it goes" : vrfGoes ? `the vrf ${vrf} goes` : "not in the topology", {
        kind: "link.change",
        node: name,
        interface: member.name,
        change: { master: null },
        previous: { master: vrf },
      });
    }
  }
}

export function planVrfJoins(
  draft: Draft,
  node: ResolvedNode,
  current: CurrentNode | undefined,
  there: (member: string) => InterfaceSnapshot | undefined,
): void {
  for (const { name, vrf } of node.interfaces) {
    const existing = there(name);
    const before = existing && current ? vrfOf(current, existing) : undefined;
    if (vrf === undefined || (before === vrf && there(vrf))) continue;
    const reason = before === vrf ? `the vrf ${vrf} is made anew` : `vrf ${before ?? "none"} -> ${vrf}`;
    draft.add("vrf.join", existing ? reason : "new", {
      kind: "link.change",
      node: node.name,
      interface: name,
      change: { master: vrf },
      previous: { master: null },
    });
  }
}
