/**
 * The MTU of bridges. A bridge takes the smallest of its ports as they join and leave (br_mtu_auto_adjust in
 * net/bridge/br_if.c), until it is given another: where the topology says another, it is given once the ports are there.
 */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { type Doomed, placeOf } from "./doomed.js";
import type { Draft } from "./phase.js";

/** Names of ports and their MTUs. */
type Ports = ReadonlyMap<string, number>;

export function planBridgeMtus(
  draft: Draft,
  topology: ResolvedTopology,
  currentOf: (node: string) => CurrentNode | undefined,
  doomed: Doomed,
): void {
  const wanted = wantedPorts(topology);
  for (const node of topology.nodes) {
    const current = currentOf(node.name);
    for (const { name, mtu } of node.bridges) {
      const place = placeOf(node.name, name);
      const bridge = doomed.has(place) ? undefined : current?.interfaces.get(name);
      const after = wanted.get(place) ?? new Map<string, number>();
      if (bridge && current) planSavepoint(draft, node.name, bridge, current, after);
      const taken = after.size === 0 ? 1500 : Math.min(...after.values());
      const stays = bridge && current && samePorts(portsOf(current, node.name, name, doomed), after);
      // Made without ports, it keeps what it was made with.
      if (taken === mtu || stays || (!bridge && after.size === 0)) continue;
      draft.add("link.up", "not that of its ports", {
        kind: "link.change",
        node: node.name,
        interface: name,
        change: { mtu },
        previous: { mtu: bridge?.mtu ?? taken },
      });
    }
  }
}

/**
 * A bridge without ports keeps the MTU that it was made with until one joins, and does not go back to it when that one
 * leaves: it is written before its ports come (to the kernel nothing), so that undoing writes it after they went.
 */
function planSavepoint(
  draft: Draft,
  node: string,
  bridge: InterfaceSnapshot,
  current: CurrentNode,
  after: Ports,
): void {
  const { name, mtu } = bridge;
  const bare = [...current.interfaces.values()].every(({ master }) => master !== name);
  if (!bare || after.size === 0 || mtu === 1500) return;
  draft.add("bridge.release", "ports join it", {
    kind: "link.change",
    node,
    interface: name,
    change: { mtu },
    previous: { mtu },
  });
}

function wantedPorts(topology: ResolvedTopology): Map<string, Map<string, number>> {
  const wanted = new Map<string, Map<string, number>>();
  const add = (node: string, name: string, master: string | undefined, mtu: number): void => {
    if (master === undefined) return;
    const ports = wanted.get(placeOf(node, master)) ?? new Map<string, number>();
    wanted.set(placeOf(node, master), ports.set(name, mtu));
  };
  for (const end of topology.links.flatMap(({ ends }) => ends)) add(end.node, end.interface, end.master, end.mtu);
  for (const { name, devices } of topology.nodes) {
    for (const device of devices) add(name, device.name, device.master, device.mtu);
  }
  return wanted;
}

/** A port that goes, though one of its name comes back, leaves the bridge for a while: it has no MTU to compare. */
function portsOf(current: CurrentNode, node: string, bridge: string, doomed: Doomed): Ports {
  const ports = [...current.interfaces.values()].filter(({ master }) => master === bridge);
  return new Map(ports.map(({ name, mtu }) => [name, doomed.has(placeOf(node, name)) ? 0 : mtu]));
}

function samePorts(a: Ports, b: Ports): boolean {
  return a.size === b.size && [...a].every(([name, mtu]) => b.get(name) === mtu);
}
