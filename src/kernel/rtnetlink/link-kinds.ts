/** The kinds of link that can be made, each with its own settings. */
import { type Infer, ipFamily } from "../codec/index.js";
import { ifinfomsg, type linkInfo } from "./link-messages.js";

/** One end of a veth pair, or what every kind has in common. */
export interface LinkEnd {
  /** At most 15 bytes; `%d` in it is counted up by the kernel. */
  readonly name: string;
  /** Absent: the kernel gives the next. */
  readonly index?: number;
  readonly mac?: string;
  readonly mtu?: number;
  /** Index of a bridge in the namespace where the link will be. */
  readonly master?: number;
  readonly group?: number;
  readonly txQueueLength?: number;
  /** A descriptor of the namespace that it is made in. Absent: that of the socket. */
  readonly netnsFd?: number;
}

/**
 * The other end of a veth pair. It cannot be made up (ENOTCONN: its other end is not there yet) or a port of a bridge
 * (the kernel takes no notice): what is to be a port is the first end. Its index counts only where the first end has one.
 */
export type VethPeer = Omit<LinkEnd, "master">;

export interface BridgeSettings {
  readonly stp?: boolean;
  /** Seconds. */
  readonly ageingTime?: number;
  /** Seconds. */
  readonly forwardDelay?: number;
  readonly priority?: number;
  readonly vlanFiltering?: boolean;
  readonly multicastSnooping?: boolean;
}

export interface VxlanSettings {
  /** VNI. */
  readonly id: number;
  readonly local?: string;
  /** Multicast group, or the one remote. */
  readonly group?: string;
  /** UDP destination port. */
  readonly port: number;
  /** Index of the underlying link. */
  readonly underlay?: number;
  readonly learning?: boolean;
  readonly ttl?: number;
}

export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;

export type LinkSpecification = LinkEnd & { readonly up?: boolean } & (
    | {
        readonly kind: "veth";
        readonly peer: VethPeer;
      }
    | { readonly kind: "bridge"; readonly bridge?: BridgeSettings }
    | { readonly kind: "macvlan"; readonly parent: number; readonly mode: keyof typeof macvlanModes }
    | { readonly kind: "vxlan"; readonly vxlan: VxlanSettings }
    | { readonly kind: "vlan"; readonly parent: number; readonly id: number }
    /** Links join it with `links.set(…, { master })`; their routes then stand in its table. */
    | { readonly kind: "vrf"; readonly table: number }
    | { readonly kind: "dummy" }
  );

type Info = Infer<typeof linkInfo>;

/** IFLA_LINKINFO of a kind. */
export function infoOf(specification: LinkSpecification): Info {
  const { kind } = specification;
  switch (kind) {
    case "veth":
      return { kind, data: { veth: { peer: peerOf(specification.peer) } } };
    case "bridge":
      return specification.bridge === undefined
        ? { kind }
        : { kind, data: { bridge: bridgeData(specification.bridge) } };
    case "macvlan":
      return { kind, data: { macvlan: { mode: macvlanModes[specification.mode] } } };
    case "vxlan":
      return { kind, data: { vxlan: vxlanData(specification.vxlan) } };
    case "vlan":
      return { kind, data: { vlan: { id: specification.id } } };
    case "vrf":
      return { kind, data: { vrf: { table: specification.table } } };
    case "dummy":
      return { kind };
  }
}

function peerOf({ index = 0, ...attributes }: VethPeer) {
  return { header: { ...ifinfomsg.zero, index }, attributes };
}

/** The kernel counts in 1/100 s (USER_HZ). */
const hundredths = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.round(seconds * 100));

function bridgeData({ stp, ageingTime, forwardDelay, ...rest }: BridgeSettings) {
  return {
    forwardDelay: hundredths(forwardDelay),
    ageingTime: hundredths(ageingTime),
    stpState: stp === undefined ? undefined : Number(stp),
    ...rest,
  };
}

function vxlanData({ local, group, underlay, ...rest }: VxlanSettings) {
  const [key4, key6] = [4, 6].map(
    (family) => (address: string | undefined) =>
      address !== undefined && ipFamily(address) === family ? address : undefined,
  );
  return {
    link: underlay,
    local: key4?.(local),
    local6: key6?.(local),
    group: key4?.(group),
    group6: key6?.(group),
    ...rest,
  };
}
