/** Links: what `ip link` shows and does. */
import type { Feature } from "../errors.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_APPEND, NLM_F_DUMP, NLM_F_ECHO } from "../framing.js";
import { type Request, type RequestSpecification, request } from "../request.js";
import * as k from "./constants.js";
import { type BridgePort, type Link, type LinkReply, linkReply, toLink, uncountedLinkReply } from "./link.js";
import { type LinkSpecification, infoOf } from "./link-kinds.js";
import { type LinkMessage, ifinfomsg, linkMessage } from "./link-messages.js";

/** A link by its index, or by its name or one of its altnames. */
export type LinkReference = number | string;

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  /** Index of a bridge or a vrf; 0 takes the link off it. */
  readonly master?: number;
  /** A new name. The link must then be given by its index. */
  readonly name?: string;
  /** Free text; empty removes it. */
  readonly alias?: string;
  readonly group?: number;
  readonly txQueueLength?: number;
  readonly promiscuous?: boolean;
  /** A descriptor of the namespace to move it to. */
  readonly netnsFd?: number;
}

/** Port settings that can be changed. */
export type PortChange = Partial<
  Pick<
    BridgePort,
    | "state"
    | "priority"
    | "cost"
    | "hairpin"
    | "guard"
    | "learning"
    | "unicastFlood"
    | "multicastFlood"
    | "broadcastFlood"
    | "neighbourSuppress"
    | "isolated"
    | "locked"
  >
>;

/** All links. @param options `statistics: false` does not read the counters: the kernel sends them in any case */
export function list(options: { readonly statistics?: boolean } = {}): Request<Link[]> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETLINK,
    flags: NLM_F_DUMP,
    reads: true,
    schema: linkMessage,
    value: { header: ifinfomsg.zero, attributes: {} },
    operation: "link.list",
    reply: options.statistics === false ? uncountedLinkReply : linkReply,
    item: toLink,
    result: (all) => all,
  });
}

/**
 * One link. Throws ENODEV where there is none.
 * @param netnsid looks in the namespace that the socket's own has this number for (IFLA_TARGET_NETNSID); EPERM without
 * CAP_NET_ADMIN there
 */
export function get(reference: LinkReference, netnsid?: number): Request<Link> {
  const selected = select(reference);
  const { name, ...header } = selected;
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETLINK,
    flags: 0,
    reads: true,
    schema: linkMessage,
    // An altname is found under IFLA_ALT_IFNAME only, a name under both.
    value: { header: { ...ifinfomsg.zero, ...header }, attributes: { altname: name, targetNetnsid: netnsid } },
    operation: "link.get",
    object: String(reference),
    reply: linkReply,
    item: toLink,
    result: ([link]) => {
      if (link === undefined) throw new Error("link.get: no link in the reply");
      return link;
    },
  });
}

function create(
  specification: LinkSpecification,
  flags: number,
): Omit<RequestSpecification<LinkMessage, LinkReply, Link, void>, "result"> {
  const { name, index = 0, up, mac, mtu, master, group, txQueueLength, netnsFd } = specification;
  return {
    protocol: NETLINK_ROUTE,
    type: k.RTM_NEWLINK,
    flags: k.verbs.add | flags,
    schema: linkMessage,
    value: {
      header: { ...ifinfomsg.zero, index, flags: up === true ? k.IFF_UP : 0, change: up === true ? k.IFF_UP : 0 },
      attributes: {
        name,
        mac,
        mtu,
        master,
        group,
        txQueueLength,
        netnsFd,
        link: "parent" in specification ? specification.parent : undefined,
        info: infoOf(specification),
      },
    },
    operation: "link.add",
    object: name,
    needs: featureOf(specification),
  };
}

/**
 * Makes a link. Of a veth both ends are made at once, each in its own namespace, with its own name, MAC and MTU.
 * Throws EEXIST where the name is taken, `UnsupportedError` where the kernel lacks the kind.
 */
export function add(specification: LinkSpecification): Request<void> {
  return request({ ...create(specification, 0), result: () => undefined });
}

/** As `add`; the kernel echoes the link (6.1 and later, else undefined): its index, and its name where that held a `%d`. */
export function addEchoed(specification: LinkSpecification): Request<Link | undefined> {
  return request({
    ...create(specification, NLM_F_ECHO),
    reply: linkReply,
    item: toLink,
    result: ([link]) => link,
  });
}

/** Changes what is given and nothing else. */
export function set(reference: LinkReference, change: LinkChange): Request<void> {
  const { name: selector, ...header } = select(reference);
  if (selector !== undefined && change.name !== undefined) {
    throw new RangeError(`to rename ${selector}, give its index: the kernel takes a name for the one it shall find`);
  }
  const { up, promiscuous, name, mtu, mac, master, alias, group, txQueueLength, netnsFd } = change;
  const [flags, mask] = flagChange([
    [k.IFF_UP, up],
    [k.IFF_PROMISC, promiscuous],
  ]);
  return acknowledged("link.set", reference, k.RTM_NEWLINK, 0, {
    header: { ...ifinfomsg.zero, ...header, flags, change: mask },
    attributes: { name: name ?? selector, mtu, mac, master, alias, group, txQueueLength, netnsFd },
  });
}

/** Changes settings of a bridge port. */
export function setPort(reference: LinkReference, change: PortChange): Request<void> {
  const { name, ...header } = select(reference);
  return acknowledged("link.setPort", reference, k.RTM_NEWLINK, 0, {
    header: { ...ifinfomsg.zero, ...header },
    attributes: { name, info: { slaveKind: "bridge", slaveData: { bridge: change } } },
  });
}

/** Changes settings of the link's kind: of a bridge, its times, for one. */
export function setKind(reference: LinkReference, specification: LinkSpecification): Request<void> {
  const { name, ...header } = select(reference);
  const value = { header: { ...ifinfomsg.zero, ...header }, attributes: { name, info: infoOf(specification) } };
  return acknowledged("link.setKind", reference, k.RTM_NEWLINK, 0, value, featureOf(specification));
}

export function addAltname(reference: LinkReference, altname: string): Request<void> {
  return property("link.addAltname", reference, altname, k.RTM_NEWLINKPROP);
}

export function removeAltname(reference: LinkReference, altname: string): Request<void> {
  return property("link.removeAltname", reference, altname, k.RTM_DELLINKPROP);
}

function property(operation: string, reference: LinkReference, altname: string, type: number): Request<void> {
  const { name, ...header } = select(reference);
  return acknowledged(operation, reference, type, type === k.RTM_NEWLINKPROP ? k.verbs.add | NLM_F_APPEND : NLM_F_ACK, {
    header: { ...ifinfomsg.zero, ...header },
    attributes: { name, properties: { altnames: [altname] } },
  });
}

/** Deletes a link; of a veth both ends go. Costs 16 to 22 ms each: drop a namespace instead, where that is possible. */
export function remove(reference: LinkReference): Request<void> {
  const { name, ...header } = select(reference);
  return acknowledged("link.remove", reference, k.RTM_DELLINK, 0, {
    header: { ...ifinfomsg.zero, ...header },
    attributes: { name },
  });
}

/** Deletes every link of a group at once. */
export function removeGroup(group: number): Request<void> {
  return acknowledged("link.removeGroup", group, k.RTM_DELLINK, 0, {
    header: ifinfomsg.zero,
    attributes: { group },
  });
}

function acknowledged(
  operation: string,
  reference: LinkReference,
  type: number,
  flags: number,
  value: LinkMessage,
  needs?: Feature,
): Request<void> {
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags: flags | NLM_F_ACK,
    schema: linkMessage,
    value,
    operation,
    object: String(reference),
    needs,
    result: () => undefined,
  });
}

function select(reference: LinkReference): { readonly index: number; readonly name?: string } {
  return typeof reference === "number" ? { index: reference } : { index: 0, name: reference };
}

function flagChange(changes: readonly (readonly [bit: number, on: boolean | undefined])[]): [number, number] {
  let flags = 0;
  let mask = 0;
  for (const [bit, on] of changes) {
    if (on === undefined) continue;
    mask |= bit;
    if (on) flags |= bit;
  }
  return [flags, mask];
}

function featureOf(specification: LinkSpecification): Feature {
  return specification.kind === "bridge" && specification.bridge?.vlanFiltering === true
    ? { name: "VLAN filtering in bridges", symbol: "CONFIG_BRIDGE_VLAN_FILTERING" }
    : kindFeatures[specification.kind];
}

const kindFeatures: Readonly<Record<LinkSpecification["kind"], Feature>> = {
  veth: { name: "veth links", symbol: "CONFIG_VETH" },
  bridge: { name: "bridges", symbol: "CONFIG_BRIDGE" },
  macvlan: { name: "macvlan links", symbol: "CONFIG_MACVLAN" },
  vxlan: { name: "vxlan links", symbol: "CONFIG_VXLAN" },
  vlan: { name: "vlan links", symbol: "CONFIG_VLAN_8021Q" },
  vrf: { name: "vrf links", symbol: "CONFIG_NET_VRF" },
  dummy: { name: "dummy links", symbol: "CONFIG_DUMMY" },
};
