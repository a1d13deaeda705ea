/** Which interfaces go: those that the topology does not have, or has as something else, and what is made on them. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import type { CurrentNode, PlanOptions } from "./current.js";
import { equal } from "./equal.js";

/** Interfaces that do not outlive the removals of a plan, as `node:interface`. */
export type Doomed = ReadonlySet<string>;

export function placeOf(node: string, name: string): string {
  return `${node}:${name}`;
}

/** What a lab makes by itself. */
export const ownKinds: ReadonlySet<string> = new Set(["veth", "bridge", "vlan", "macvlan", "vxlan", "vrf"]);

/** Whether an interface that is there is the one that the topology has in this place. */
type Test = (node: CurrentNode, member: InterfaceSnapshot) => boolean;

export function doomedInterfaces(
  topology: ResolvedTopology,
  nodes: ReadonlyMap<string, CurrentNode>,
  replaced: ReadonlySet<string>,
  { owns = (_, member) => ownKinds.has(member.kind) }: PlanOptions,
): Doomed {
  const wanted = wantedInterfaces(topology);
  const doomed = new Set<string>();
  for (const [name, node] of nodes) {
    for (const member of node.interfaces.values()) {
      if (member.kind === "loopback") continue;
      const test = wanted.get(placeOf(name, member.name));
      if (!replaced.has(name) && test?.(node, member) === true) continue;
      if (!test && !replaced.has(name) && !owns(node.snapshot, member)) continue;
      doomed.add(placeOf(name, member.name));
      if (member.peer) doomed.add(placeOf(member.peer.node, member.peer.interface));
    }
  }
  for (const [name, node] of nodes) {
    // Parents stand before what is made on them, so one round reaches all.
    for (const { name: device, settings } of node.devices.values()) {
      const parentGoes = settings.parent !== undefined && doomed.has(placeOf(name, settings.parent));
      if (parentGoes && node.interfaces.has(device)) doomed.add(placeOf(name, device));
    }
  }
  return doomed;
}

function wantedInterfaces(topology: ResolvedTopology): Map<string, Test> {
  const wanted = new Map<string, Test>();
  for (const { ends } of topology.links) {
    const [left, right] = ends;
    const isPeer =
      (far: typeof left): Test =>
      (_, { kind, peer }) =>
        kind === "veth" && peer?.node === far.node && peer.interface === far.interface;
    wanted.set(placeOf(left.node, left.interface), isPeer(right));
    wanted.set(placeOf(right.node, right.interface), isPeer(left));
  }
  for (const node of topology.nodes) {
    for (const { name } of node.bridges) wanted.set(placeOf(node.name, name), (_, { kind }) => kind === "bridge");
    for (const { name, settings } of node.devices) {
      wanted.set(
        placeOf(node.name, name),
        // The snapshot tells a kind; ids and parents are remembered.
        (current, { kind }) => kind === settings.kind && equal(current.devices.get(name)?.settings, settings),
      );
    }
  }
  return wanted;
}
