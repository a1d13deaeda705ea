/** What is at the other end of an interface, in words: `↔ host:veth31f6706 in docker0`. */
import { hopName } from "../model/hop.js";
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../model/snapshot.js";

/** @param snapshot the whole one, with the other ends */
export function linkWords(snapshot: Snapshot, node: NodeSnapshot, one: InterfaceSnapshot): string {
  return [...endWords(snapshot, node, one), ...(one.master === undefined ? [] : [masterWords(node, one.master)])].join(
    ", ",
  );
}

function masterWords(node: NodeSnapshot, name: string): string {
  const master = node.interfaces.find((each) => each.name === name);
  return master === undefined || master.kind === "bridge" ? `port of ${name}` : `in ${master.kind} ${name}`;
}

function endWords(snapshot: Snapshot, node: NodeSnapshot, one: InterfaceSnapshot): string[] {
  if (one.kind === "bridge") {
    const ports = node.interfaces.filter(({ master }) => master === one.name).map(({ name }) => name);
    return [ports.length === 0 ? "bridge without ports" : `bridge of ${ports.join(" ")}`];
  }
  if (one.peer !== undefined) {
    const { peer } = one;
    const far = snapshot.nodes
      .find(({ name }) => name === peer.node)
      ?.interfaces.find(({ name }) => name === peer.interface);
    return [`↔ ${hopName(peer)}${far?.master === undefined ? "" : ` in ${far.master}`}`];
  }
  if (one.kind === "loopback") return [];
  const made = one.parent === undefined ? [] : [`on ${hopName(one.parent)}`];
  const beyond = one.beyond === undefined ? [] : [`${one.parent ? "" : "↔ "}namespace ${one.beyond}, not looked at`];
  return [[deviceWords(one), ...made, ...beyond].join(" ")];
}

function deviceWords({ kind, device }: InterfaceSnapshot): string {
  switch (device?.kind) {
    case "vlan":
      return `vlan ${device.id}`;
    case "macvlan":
      return `macvlan (${device.mode})`;
    case "vrf":
      return `vrf of table ${device.table}`;
    case "vxlan":
      return `vxlan ${device.id}${device.remote === undefined ? "" : ` to ${device.remote}`}`;
    default:
      return kind;
  }
}
