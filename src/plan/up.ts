/** Which interfaces of a topology are up, what waits until they are, and what going down or coming up takes along. */
import { type Address, contains, networkOf, parseAddress } from "../model/address.js";
import type { ResolvedInterface, ResolvedNode, ResolvedRoute, ResolvedTopology } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { type Doomed, placeOf } from "./doomed.js";

/** A vlan goes down and comes up with what carries it (vlan_device_event in net/8021q/vlan.c). */
export function isUp(node: ResolvedNode, name: string): boolean {
  if (node.interfaces.find((member) => member.name === name)?.up === false) return false;
  const carrier = carrierOf(node, name);
  return carrier === undefined || isUp(node, carrier);
}

/** What carries a vlan. */
export function carrierOf({ devices }: ResolvedNode, name: string): string | undefined {
  const settings = devices.find((device) => device.name === name)?.settings;
  return settings?.kind === "vlan" ? settings.parent : undefined;
}

/** The interfaces that the kernel may send by for a route; none that the topology knows where it says neither interface nor gateway. */
export function egressesOf(node: ResolvedNode, { interface: name, gateway, table }: ResolvedRoute): string[] {
  if (name !== undefined) return [name];
  const via = gateway === undefined ? undefined : parseAddress(gateway);
  if (!via) return [];
  const tables = new Map(
    node.devices.flatMap((device) => (device.settings.kind === "vrf" ? [[device.name, device.settings.table]] : [])),
  );
  const vrfTable = [...tables.values()].find((each) => each === table);
  const near = node.interfaces.filter(
    (member) => tables.get(member.vrf ?? member.name) === vrfTable && isNear(member, via),
  );
  return near.map((member) => member.name);
}

function isNear({ addresses }: ResolvedInterface, via: Address): boolean {
  return addresses.some(({ address, prefixLength }) => {
    const own = parseAddress(address);
    return own !== undefined && contains(networkOf(own, prefixLength), via);
  });
}

/**
 * Whether the kernel would refuse a route for now: all that it leads over is down ("Nexthop has invalid gateway"), or its
 * source is an IPv6 address of an interface that is ("Invalid source address").
 */
export function waits(node: ResolvedNode, route: ResolvedRoute): boolean {
  if (route.type !== "unicast") return false;
  const egresses = egressesOf(node, route);
  if (egresses.length > 0 && egresses.every((name) => !isUp(node, name))) return true;
  if (route.family === 4 || route.preferredSource === undefined) return false;
  const holders = node.interfaces.filter(({ addresses }) =>
    addresses.some(({ address }) => address === route.preferredSource),
  );
  return holders.length > 0 && holders.every(({ name }) => !isUp(node, name));
}

/**
 * Interfaces that stay and go down or come up, as `node:interface`, with the reason. Going down costs an interface its
 * routes, its neighbours and its IPv6 addresses (fib_disable_ip, addrconf_ifdown): they go before, by name, and what can be
 * on an interface that is down comes anew. Coming up is the same way back, so that undoing it has them all again.
 */
export function cyclingInterfaces(
  topology: ResolvedTopology,
  nodes: ReadonlyMap<string, CurrentNode>,
  doomed: Doomed,
): ReadonlyMap<string, string> {
  const cycling = new Map<string, string>();
  for (const node of topology.nodes) {
    const existing = nodes.get(node.name)?.interfaces;
    for (const { name } of node.interfaces) {
      const before = existing?.get(name);
      if (!before || doomed.has(placeOf(node.name, name))) continue;
      const after = isUp(node, name);
      if (before.up !== after || carrierCycles(node, name, existing)) {
        cycling.set(placeOf(node.name, name), after ? "its interface comes up" : "its interface goes down");
      }
    }
  }
  return cycling;
}

/** Whether what carries a vlan goes down or comes up, which takes the vlan along, whatever it was. */
export function carrierCycles(
  node: ResolvedNode,
  name: string,
  existing: CurrentNode["interfaces"] | undefined,
): boolean {
  const carrier = carrierOf(node, name);
  if (carrier === undefined) return false;
  const before = existing?.get(carrier)?.up;
  return (before !== undefined && before !== isUp(node, carrier)) || carrierCycles(node, carrier, existing);
}
