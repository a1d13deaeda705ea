/**
 * A snapshot: what the kernel says at one moment. A plain value that survives JSON, saved with every trace.
 * Which hops there are, what a plan must do, what `inspect` and a verdict say, are functions of it.
 *
 * `observe/` makes snapshots; nothing here reads the machine.
 */
import type { ContainerState } from "./container.js";
import type { NftTable } from "./nft.js";
import type { ConntrackFlow } from "./conntrack.js";

export interface Snapshot {
  readonly version: 1;
  /** Wall clock when the reading began, ISO 8601 with milliseconds, UTC. */
  readonly takenAt: string;
  /** Name of the lab, absent when the snapshot is of a machine without one. */
  readonly lab?: string;
  readonly nodes: readonly NodeSnapshot[];
  /** What was not looked at, and why: an ordinary user sees what is the user's own, and nobody sees what is refused. */
  readonly unread?: readonly Unread[];
}

/** Something that is there, or may be, and that the snapshot does not show. */
export interface Unread {
  /** `namespaces` of other users' processes, `rules` and `connections` of a node, `names` that an engine did not tell. */
  readonly what: "namespaces" | "rules" | "connections" | "names";
  /** The node that it is about; absent where it is about none. */
  readonly node?: string;
  /** A sentence without its full stop. */
  readonly text: string;
}

/** One network namespace. */
export interface NodeSnapshot {
  /** Unique in the snapshot: the node's name in a lab, the container's name on a machine with Docker. */
  readonly name: string;
  /** `machine` stands for the computer itself, `container` runs one, `namespace` is a bare network namespace. */
  readonly role: "machine" | "container" | "namespace";
  /** Inode of the network namespace (`stat /proc/PID/ns/net`), as a decimal string. */
  readonly netns: string;
  /** What its container does, where a lab's `inspect` asked; no packet's way depends on it. */
  readonly container?: ContainerState;
  readonly interfaces: readonly InterfaceSnapshot[];
  readonly routes: readonly RouteSnapshot[];
  readonly rules: readonly PolicyRuleSnapshot[];
  readonly neighbours: readonly NeighbourSnapshot[];
  readonly fdb: readonly FdbEntrySnapshot[];
  readonly nftables: readonly NftTable[];
  readonly conntrack: readonly ConntrackFlow[];
  readonly listeners: readonly ListenerSnapshot[];
  /** Sysctls that decide about packets, by dotted name: `net.ipv4.ip_forward` -> `1`. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** The processes in the namespace, lowest PID first, at most 64 of them; absent where nobody looked for them. */
  readonly processes?: readonly ProcessSnapshot[];
  /** The containers of an engine whose processes are in the namespace, its owner first; absent where there are none. */
  readonly containers?: readonly ContainerSnapshot[];
}

export interface ProcessSnapshot {
  /** As the machine numbers it. */
  readonly pid: number;
  /** `comm` of proc(5): at most 15 bytes. */
  readonly name: string;
  /** Path of its cgroup: of version 2, else of the first hierarchy that is not the root of one. */
  readonly cgroup: string;
}

/** A container of Docker, Podman, containerd or CRI-O, as its engine, or, without one, its cgroup tells. */
export interface ContainerSnapshot {
  readonly runtime: "docker" | "podman" | "containerd" | "cri-o" | "container";
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name?: string;
  readonly image?: string;
  /** Names of the engine's networks that it is in; `host` and `none` among them. */
  readonly networks?: readonly string[];
  /** Ports that the engine publishes for it. */
  readonly ports?: readonly PublishedPort[];
  /** `com.docker.compose.project` and `com.docker.compose.service` of its labels. */
  readonly compose?: { readonly project: string; readonly service: string };
}

export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Address of the machine; `0.0.0.0` and `::` for any. */
  readonly address: string;
  readonly port: number;
  /** Port in the container. */
  readonly to: number;
}

export interface InterfaceSnapshot {
  readonly name: string;
  readonly index: number;
  /** rtnetlink kind: `veth`, `bridge`, `macvlan`, `vxlan`, …; `loopback` and `physical` where the kernel names none. */
  readonly kind: string;
  /** Lower-case, colon-separated; absent for devices without a link-layer address. */
  readonly mac?: string;
  readonly mtu: number;
  /** IFF_UP: set by the administrator. */
  readonly up: boolean;
  /** IFF_LOWER_UP: carrier. */
  readonly carrier: boolean;
  /** RFC 2863 operational state in lower case: `up`, `down`, `lowerlayerdown`, `unknown`, … */
  readonly operstate: string;
  readonly alias?: string;
  readonly altnames: readonly string[];
  readonly group: number;
  /** Name of the bridge (or other master) in the same node. */
  readonly master?: string;
  /** The other end of a veth pair, where it lies in a node of the snapshot. */
  readonly peer?: InterfaceRef;
  /** The other end of a pair, or the parent, lies in a namespace that is no node: the number that this node has for it. */
  readonly beyond?: number;
  /** What it was made on: of a vlan, macvlan, ipvlan or vxlan, where it lies in a node of the snapshot. */
  readonly parent?: InterfaceRef;
  /** Settings of a kind that cannot be changed once it is made. */
  readonly device?: DeviceSnapshot;
  readonly addresses: readonly AddressSnapshot[];
  readonly bridge?: BridgeSnapshot;
  readonly port?: BridgePortSnapshot;
  readonly statistics: InterfaceStatistics;
  /** Root qdisc and what it does, where it is not the default (`noqueue`, `fq_codel`, `pfifo_fast`). */
  readonly qdiscs: readonly QdiscSnapshot[];
}

export interface InterfaceRef {
  readonly node: string;
  readonly interface: string;
}

export type DeviceSnapshot =
  | { readonly kind: "vlan"; readonly id: number }
  | { readonly kind: "macvlan"; readonly mode: "private" | "vepa" | "bridge" | "passthru" | "source" }
  | { readonly kind: "vrf"; readonly table: number }
  | {
      readonly kind: "vxlan";
      readonly id: number;
      /** UDP. */
      readonly port: number;
      readonly local?: string;
      /** The other end, or a multicast group. */
      readonly remote?: string;
    };

export interface AddressSnapshot {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  readonly broadcast?: string;
  readonly scope: "global" | "site" | "link" | "host" | "nowhere";
  /** IFA_F_TENTATIVE or IFA_F_DADFAILED: not usable (yet). */
  readonly tentative: boolean;
}

export interface BridgeSnapshot {
  readonly stp: boolean;
  /** Seconds. */
  readonly ageingTime: number;
  /** Seconds. */
  readonly forwardDelay: number;
  readonly vlanFiltering: boolean;
}

export interface BridgePortSnapshot {
  readonly state: "disabled" | "listening" | "learning" | "forwarding" | "blocking";
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly learning: boolean;
  readonly unicastFlood: boolean;
}

/** Packets and bytes since the interface was made (`rtnl_link_stats64`). */
export interface InterfaceStatistics {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface QdiscSnapshot {
  readonly kind: string;
  /** `1:`, `8001:`: hexadecimal, major:minor, as tc writes them. */
  readonly handle: string;
  /** `root`, `1:1`. */
  readonly parent: string;
  /** Packets, since it was made. */
  readonly drops: number;
  /** Bytes that wait. */
  readonly backlog: number;
  /** Bytes a second, for tbf and netem. */
  readonly rate?: number;
  /** Bytes that may leave at once, for tbf. */
  readonly burst?: number;
  /** Nanoseconds that netem holds a packet back, and how much more or less that may be. */
  readonly delay?: number;
  readonly jitter?: number;
  /** Shares from 0 to 1, for netem. */
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly corrupt?: number;
}

export interface RouteSnapshot {
  readonly family: 4 | 6;
  /** `0.0.0.0/0` and `::/0` stand for the default route. */
  readonly destination: string;
  readonly type: "unicast" | "local" | "broadcast" | "multicast" | "blackhole" | "unreachable" | "prohibit" | "throw";
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly metric: number;
  readonly preferredSource?: string;
  /** One for an ordinary route, several for multipath, none for a blackhole. */
  readonly nexthops: readonly NexthopSnapshot[];
}

export interface NexthopSnapshot {
  readonly gateway?: string;
  /** Interface name. */
  readonly interface?: string;
  readonly weight: number;
  /** RTNH_F_DEAD: the kernel passes it over. */
  readonly dead: boolean;
  /** RTNH_F_LINKDOWN: its interface has no carrier. It is used all the same, unless `ignore_routes_with_linkdown` is 1. */
  readonly linkdown?: true;
}

export interface PolicyRuleSnapshot {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly source?: string;
  readonly destination?: string;
  readonly inputInterface?: string;
  readonly outputInterface?: string;
  readonly mark?: number;
  /** Looks in the table of the vrf that the packet's interface belongs to. */
  readonly l3mdev?: true;
  readonly action: "lookup" | "blackhole" | "unreachable" | "prohibit" | "goto" | "nop";
  readonly table?: number;
  /** Bits of the mark that count; absent: all. */
  readonly mask?: number;
  /** Priority of the rule that `goto` goes on at. */
  readonly goto?: number;
  /** Routes of this prefix length and shorter do not count. */
  readonly suppressPrefixLength?: number;
}

export interface NeighbourSnapshot {
  readonly family: 4 | 6;
  readonly address: string;
  readonly mac?: string;
  readonly interface: string;
  readonly state: "incomplete" | "reachable" | "stale" | "delay" | "probe" | "failed" | "noarp" | "permanent" | "none";
}

export interface FdbEntrySnapshot {
  readonly mac: string;
  /** The port (or vxlan) the address lies behind. */
  readonly interface: string;
  readonly bridge?: string;
  /** The address of the port or bridge itself. */
  readonly local: boolean;
  readonly remote?: string;
}

export interface ListenerSnapshot {
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  /** `0.0.0.0` or `::` for any. */
  readonly address: string;
  readonly port: number;
  /** Of `::`: IPv4 is not served. */
  readonly v6only?: true;
  /** Serves what comes in by this interface alone (SO_BINDTODEVICE). */
  readonly interface?: string;
}
