/** Interfaces without another end: vlan, macvlan, vxlan, vrf. */
import { formatAddress, parseAddress } from "../model/address.js";
import type { Document } from "./document.js";
import { addressesOf, type Draft, type DraftInterface, type DraftNode, findInterface } from "./draft.js";
import type { InterfaceForm } from "./form/node.js";
import type { Path } from "./problem.js";
import { resolvePort } from "./port.js";
import type { ResolvedDevice, ResolvedDeviceSettings } from "./resolved.js";
import { vrfMtu } from "./vrf.js";
import { wireName } from "./wire-name.js";

/** IANA's port of VXLAN (RFC 7348); the kernel's own default is an older one. */
const vxlanPort = 4789;
/** Outer Ethernet, IP, UDP and VXLAN headers. */
const vxlanOverhead = { 4: 50, 6: 70 } as const;

/** What an interface of the file is made of, where it is no end of a link. */
export function deviceOf(
  document: Document,
  at: Path,
  { vlan, macvlan, vxlan, vrf }: Pick<InterfaceForm, "vlan" | "macvlan" | "vxlan" | "vrf">,
): ResolvedDeviceSettings | undefined {
  const kinds = [vlan && "vlan", macvlan && "macvlan", vxlan && "vxlan", vrf && "vrf"].filter(
    (kind) => kind !== undefined,
  );
  if (kinds.length > 1) document.error(at, `this interface is ${kinds.join(" and ")} at once`, { code: "conflict" });
  if (vlan) return { kind: "vlan", parent: wireName(vlan.parent), id: vlan.id };
  if (macvlan) return { kind: "macvlan", parent: wireName(macvlan.parent), mode: macvlan.mode ?? "bridge" };
  if (vrf) return { kind: "vrf", table: vrf.table };
  if (!vxlan) return undefined;
  const [local, remote] = [vxlan.local, vxlan.remote].map((text) =>
    text === undefined ? undefined : parseAddress(text),
  );
  return {
    kind: "vxlan",
    id: vxlan.id,
    port: vxlan.port ?? vxlanPort,
    ...(local ? { local: formatAddress(local) } : {}),
    ...(remote ? { remote: formatAddress(remote) } : {}),
    ...(vxlan.parent === undefined ? {} : { parent: wireName(vxlan.parent) }),
  };
}

/** The interface that a device is made on. */
export function parentOf(member: DraftInterface): DraftInterface | undefined {
  const parent = member.device?.parent;
  return parent === undefined
    ? undefined
    : [...member.node.interfaces.values()].find((other) => wireName(other.name) === parent);
}

/** A vlan goes down and comes up with what carries it (vlan_device_event in net/8021q/vlan.c). */
export function isUp(member: DraftInterface): boolean {
  const line = lineage(member);
  const end = line.findIndex(({ device }) => device?.kind !== "vlan");
  return line.slice(0, end < 0 ? undefined : end + 1).every(({ settings }) => settings.up !== false);
}

export function checkDevice(draft: Draft, member: DraftInterface, device: ResolvedDeviceSettings): void {
  const { document } = draft;
  const { node, name, at, master, settings } = member;
  for (const key of [
    "rate",
    "burst",
    "delay",
    "jitter",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "offload",
  ] as const) {
    if (settings[key] !== undefined) {
      document.error([...at, key], `"${key}" is a setting of a link, and ${node.name}:${name} is a ${device.kind}`, {
        code: "form",
        atKey: true,
      });
    }
  }
  if (device.parent !== undefined && !parentOf(member)) {
    findInterface(draft, node, device.parent, [...at, device.kind, "parent"]);
  }
  if (master !== undefined && device.kind === "vrf") {
    document.error([...at, "bridge"], `a vrf is no port of a bridge`, { code: "conflict", atKey: true });
  } else if (master !== undefined) {
    const bridge = findInterface(draft, node, master, [...at, "bridge"]);
    if (bridge && !bridge.bridge) document.error([...at, "bridge"], `"${master}" is no bridge`, { code: "conflict" });
  }
  const line = lineage(member);
  const last = line.at(-1);
  if (last && parentOf(last)) {
    document.error([...at, device.kind, "parent"], `${node.name}:${name} would be made on itself`, {
      code: "conflict",
    });
    return;
  }
  const parent = parentOf(member);
  const mtu = settings.mtu;
  if (parent && mtu !== undefined && mtu > mtuOf(parent) && device.kind !== "vxlan") {
    document.error(
      [...at, "mtu"],
      `${node.name}:${name} cannot have a larger MTU than ${parent.name}, ${mtuOf(parent)}`,
      {
        code: "conflict",
      },
    );
  }
  const members = [...node.interfaces.values()];
  const twin = members.slice(0, members.indexOf(member)).find((other) => other.device && sameTag(other.device, device));
  if (twin && "id" in device) {
    document.error([...at, device.kind, "id"], `${node.name}:${twin.name} has the id ${device.id} already`, {
      code: "duplicate",
    });
  }
  if (device.kind === "vxlan" && device.local !== undefined) {
    const held = addressesOf(node).some(({ address }) => formatAddress(address) === device.local);
    if (!held) {
      document.warning([...at, "vxlan", "local"], `${device.local} is not an address of "${node.name}"`, {
        code: "unreachable",
      });
    }
  }
}

function sameTag(a: ResolvedDeviceSettings, b: ResolvedDeviceSettings): boolean {
  if (a.kind === "vlan" && b.kind === "vlan") return a.parent === b.parent && a.id === b.id;
  return a.kind === "vxlan" && b.kind === "vxlan" && a.id === b.id && a.port === b.port;
}

/** The interface and what it is made on, down to a link; ends where it would come round. */
function lineage(member: DraftInterface): DraftInterface[] {
  const line = [member];
  for (let parent = parentOf(member); parent && !line.includes(parent); parent = parentOf(parent)) line.push(parent);
  return line;
}

/** The MTU of an interface: its own, else that of what it is made on, less what a tunnel adds. */
export function mtuOf(member: DraftInterface): number {
  if (member.device?.kind === "vrf") return member.settings.mtu ?? vrfMtu;
  let overhead = 0;
  for (const { settings, device } of lineage(member)) {
    if (settings.mtu !== undefined) return settings.mtu - overhead;
    if (device?.kind !== "vxlan") continue;
    overhead += vxlanOverhead[parseAddress(device.remote ?? device.local ?? "")?.family ?? 4];
  }
  return 1500 - overhead;
}

/** Parents first, else in the order of the file. */
export function resolveDevices(node: DraftNode, macs: ReadonlyMap<DraftInterface, string>): ResolvedDevice[] {
  const members = [...node.interfaces.values()].flatMap((member) => {
    const { device, name, settings, master } = member;
    if (!device) return [];
    const resolved: ResolvedDevice = {
      name: wireName(name),
      // A vlan has its parent's address, as the kernel would give it.
      mac: macs.get(device.kind === "vlan" && settings.mac === undefined ? (parentOf(member) ?? member) : member) ?? "",
      mtu: mtuOf(member),
      up: settings.up ?? true,
      ...(master === undefined ? {} : { master: wireName(master), port: resolvePort(settings) }),
      settings: device,
    };
    return [{ resolved, depth: lineage(member).length }];
  });
  return members.toSorted((a, b) => a.depth - b.depth).map(({ resolved }) => resolved);
}

/** What interfaces hear each other besides those of a link or a bridge: pairs to be joined. */
export function deviceNeighbours(
  draft: Draft,
  sameSegment: (member: DraftInterface) => object,
): [DraftInterface, DraftInterface][] {
  const pairs: [DraftInterface, DraftInterface][] = [];
  const first = new Map<string, DraftInterface>();
  const numbers = new Map<object, number>();
  const join = (key: string, member: DraftInterface): void => {
    const other = first.get(key);
    if (other) pairs.push([other, member]);
    else first.set(key, member);
  };
  for (const node of draft.nodes.values()) {
    for (const member of node.interfaces.values()) {
      const { device } = member;
      const parent = parentOf(member);
      if (device?.kind === "macvlan" && parent) pairs.push([parent, member]);
      // Wherever the tunnels lead: the same id is the same network.
      if (device?.kind === "vxlan") join(`vxlan ${device.id} ${device.port}`, member);
      if (device?.kind === "vlan" && parent) {
        const segment = sameSegment(parent);
        const number = numbers.get(segment) ?? numbers.size;
        numbers.set(segment, number);
        join(`vlan ${number} ${device.id}`, member);
      }
    }
  }
  return pairs;
}
