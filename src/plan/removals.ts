/** Links, bridges and devices that go, and how each would come back. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedEnd } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { type Doomed, placeOf } from "./doomed.js";
import { bridgeOf, longNameOf, portOf, stateOf } from "./existing.js";
import { interfaceOf } from "./node.js";
import type { OperationBody } from "./operation.js";
import type { Draft } from "./phase.js";
import { vrfOf } from "./vrf.js";

/**
 * Deletes what is doomed: a veth pair by one of its ends; what is made on an interface that goes, goes with it. Ports
 * are taken off a bridge before it is deleted, so that undoing puts them back on it.
 */
export function planLinkRemovals(draft: Draft, nodes: ReadonlyMap<string, CurrentNode>, doomed: Doomed): void {
  const done = new Set<string>();
  for (const [name, node] of nodes) {
    for (const member of node.interfaces.values()) {
      const place = placeOf(name, member.name);
      const { master, peer } = member;
      if (!doomed.has(place)) {
        if (master !== undefined && doomed.has(placeOf(name, master)) && vrfOf(node, member) === undefined) {
          draft.add("port.release", `its bridge ${master} goes`, {
            kind: "link.change",
            node: name,
            interface: member.name,
            change: { master: null },
            previous: { master, port: portOf(member) },
          });
        }
        continue;
      }
      const parent = node.devices.get(member.name)?.settings.parent;
      const goesByItself = parent !== undefined && doomed.has(placeOf(name, parent));
      if (done.has(place) || goesByItself) continue;
      if (member.kind === "bridge") planMtuRelease(draft, name, node, member);
      if (peer) done.add(placeOf(peer.node, peer.interface));
      draft.add(member.kind === "bridge" ? "bridge.delete" : "link.delete", "not in the topology", {
        kind: "link.delete",
        node: name,
        interface: member.name,
        undo: remake(name, node, member, nodes),
      });
    }
  }
}

/** An MTU that is not that of the ports can only be set while they are there: undoing sets it last. */
function planMtuRelease(draft: Draft, name: string, node: CurrentNode, bridge: InterfaceSnapshot): void {
  const ports = [...node.interfaces.values()].filter(({ master }) => master === bridge.name);
  const mtu = Math.min(...ports.map((port) => port.mtu));
  if (ports.length === 0 || mtu === bridge.mtu) return;
  draft.add("bridge.release", "it goes", {
    kind: "link.change",
    node: name,
    interface: bridge.name,
    change: { mtu },
    previous: { mtu: bridge.mtu },
  });
}

/** The interface again, with its peer, what is made on them, and their sysctls. */
function remake(
  name: string,
  node: CurrentNode,
  member: InterfaceSnapshot,
  nodes: ReadonlyMap<string, CurrentNode>,
): OperationBody[] {
  const far = member.peer && nodes.get(member.peer.node);
  const peer = member.peer && far?.interfaces.get(member.peer.interface);
  if (member.peer && far && peer) {
    const create: OperationBody = {
      kind: "veth.create",
      ends: [endOf(name, node, member), endOf(member.peer.node, far, peer)],
      longNames: [longNameOf(member), longNameOf(peer)],
    };
    return [create, ...withIt(name, node, member), ...withIt(member.peer.node, far, peer)];
  }
  if (member.kind === "bridge") {
    const { up } = member;
    return [
      { kind: "bridge.create", node: name, bridge: bridgeOf(member) },
      { kind: "link.change", node: name, interface: member.name, change: { up }, previous: { up: false } },
      ...withIt(name, node, member),
    ];
  }
  const device = node.devices.get(member.name);
  if (!device) return [];
  const longName = longNameOf(member);
  return [
    {
      kind: "device.create",
      node: name,
      device: { name: device.name, settings: device.settings, ...stateOf(member) },
      ...(longName === undefined ? {} : { longName }),
    },
    ...withIt(name, node, member),
  ];
}

/** What the kernel takes away with an interface. */
function withIt(name: string, node: CurrentNode, member: InterfaceSnapshot): OperationBody[] {
  const entries = (node.remembered?.sysctls ?? []).filter((entry) => interfaceOf(entry.name) === member.name);
  const children = [...node.devices.values()].flatMap(({ name: device, settings }) => {
    const child = settings.parent === member.name ? node.interfaces.get(device) : undefined;
    return child ? remake(name, node, child, new Map()) : [];
  });
  return [...(entries.length === 0 ? [] : [{ kind: "sysctl.write", node: name, entries } as const]), ...children];
}

function endOf(name: string, node: CurrentNode, member: InterfaceSnapshot): ResolvedEnd {
  const offload = node.ends.get(member.name)?.offload;
  return { node: name, interface: member.name, ...stateOf(member), ...(offload ? { offload } : {}) };
}
