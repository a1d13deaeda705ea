/**
 * The resolved topology: every name, address, MAC, route and default written out, the same from run to run.
 * Second of three stages: file form (`file.ts`) -> resolved -> plan. Everything here is JSON: it is kept in the lab's
 * state folder, so that a second `up` can tell what a container was started with.
 */
import type { Bind, Limits } from "../model/container.js";
import type { NftTable } from "../model/nft.js";

export interface ResolvedTopology {
  readonly name: string;
  /** Node that stands for the computer. */
  readonly machine?: string;
  readonly nodes: readonly ResolvedNode[];
  readonly links: readonly ResolvedLink[];
  /** Lines of /etc/hosts that every node has: address, names. They follow the node's own. */
  readonly hosts: readonly HostsLine[];
  readonly expectations: readonly ResolvedExpectation[];
}

/** A line of /etc/hosts: address, names. */
export type HostsLine = readonly [address: string, names: readonly string[]];

export interface ResolvedNode {
  readonly name: string;
  /** In the order in which they are written; those of an interface once it is there, all others before any link. */
  readonly sysctls: readonly ResolvedSysctl[];
  readonly bridges: readonly ResolvedBridge[];
  /** Parents before what is made on them. */
  readonly devices: readonly ResolvedDevice[];
  /** All interfaces of the node that carry addresses or settings, bridges among them; `lo` is always there. */
  readonly interfaces: readonly ResolvedInterface[];
  readonly routes: readonly ResolvedRoute[];
  readonly rules: readonly ResolvedPolicyRule[];
  readonly neighbours: readonly ResolvedNeighbour[];
  /** Lowered NAT and firewall: the tables `yapc_nat` and `yapc_filter` as they shall stand in the kernel. */
  readonly nftables: readonly NftTable[];
  readonly container?: ResolvedContainer;
  /** Lines of /etc/hosts that only this node has, before the common ones: the nearest address of each neighbour that has several. */
  readonly hosts: readonly HostsLine[];
  /** `up` returns when these listen. */
  readonly ready: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[];
  readonly uplink: boolean;
}

export interface ResolvedSysctl {
  /** Dotted, as sysctl(8) writes it; an interface name in it may itself hold no dot. */
  readonly name: string;
  readonly value: string;
  /** Not written where the kernel has no such file (no IPv6, br_netfilter not loaded). */
  readonly optional?: true;
  /** Written because the file names it, and for nothing else: what it read before comes back when the file no longer does. */
  readonly asked?: true;
}

export interface ResolvedBridge {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly stp: boolean;
  /** Seconds. */
  readonly ageingTime: number;
  /** Seconds. */
  readonly forwardDelay: number;
  readonly vlanFiltering: boolean;
}

/** An interface without another end: made on top of one of the same node, or, a vxlan, of its addresses; or a vrf. */
export interface ResolvedDevice {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Bridge of the same node that it is a port of. */
  readonly master?: string;
  readonly port?: ResolvedPortSettings;
  readonly settings: ResolvedDeviceSettings;
}

/** What cannot be changed once it is made. Interfaces by their names on the wire. */
export type ResolvedDeviceSettings =
  | { readonly kind: "vlan"; readonly parent: string; readonly id: number }
  | { readonly kind: "vrf"; readonly table: number; readonly parent?: never }
  | { readonly kind: "macvlan"; readonly parent: string; readonly mode: "private" | "vepa" | "bridge" | "passthru" }
  | {
      readonly kind: "vxlan";
      readonly id: number;
      /** UDP. */
      readonly port: number;
      readonly local?: string;
      /** The other end of the tunnel, or a multicast group (then with a parent). */
      readonly remote?: string;
      readonly parent?: string;
    };

export interface ResolvedInterface {
  /** At most 15 bytes: the name on the wire. */
  readonly name: string;
  /** The name of the file where that was longer; becomes altname and alias. */
  readonly longName?: string;
  /** The vrf that it belongs to. */
  readonly vrf?: string;
  readonly addresses: readonly ResolvedAddress[];
  readonly up: boolean;
}

export interface ResolvedAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
}

/** A way between two interfaces. */
export interface ResolvedLink {
  readonly kind: "veth";
  readonly ends: readonly [ResolvedEnd, ResolvedEnd];
}

export interface ResolvedEnd {
  readonly node: string;
  readonly interface: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Bridge of the same node that this end is a port of. */
  readonly master?: string;
  readonly port?: ResolvedPortSettings;
  readonly shaping?: ResolvedShaping;
  /** Absent where the kernel's default stands. */
  readonly offload?: { readonly tso?: boolean; readonly gso?: boolean; readonly gro?: boolean; readonly tx?: boolean };
}

export interface ResolvedPortSettings {
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly learning: boolean;
}

/** Acts on the egress of one end. */
export interface ResolvedShaping {
  /** Bits a second. */
  readonly rate?: number;
  /** Bytes; tbf bucket. */
  readonly burst?: number;
  /** Nanoseconds. */
  readonly delay?: number;
  readonly jitter?: number;
  /** Probabilities, 0 to 1. */
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly corrupt?: number;
}

export interface ResolvedRoute {
  readonly family: 4 | 6;
  /** `0.0.0.0/0` for the default route. */
  readonly destination: string;
  readonly type: "unicast" | "blackhole" | "unreachable" | "prohibit";
  readonly gateway?: string;
  readonly interface?: string;
  readonly metric?: number;
  readonly table?: number;
  readonly preferredSource?: string;
}

export interface ResolvedPolicyRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly from?: string;
  readonly to?: string;
  readonly inputInterface?: string;
  readonly mark?: number;
  readonly table: number;
}

export interface ResolvedNeighbour {
  readonly interface: string;
  readonly address: string;
  readonly mac: string;
}

export interface ResolvedContainer {
  readonly command: readonly string[];
  /** Directory or tar archive that is the lower layer; `/` for the machine's own root. */
  readonly root: string;
  readonly environment: readonly (readonly [string, string])[];
  readonly workingDirectory: string;
  /** `root`, `1000`, `1000:1000`: digits, or names of the container's own passwd file. */
  readonly user: string;
  readonly hostname: string;
  readonly files: readonly (readonly [path: string, content: string])[];
  readonly limits: Limits;
  /** Complete bounding set, `net_raw` style, sorted. */
  readonly capabilities: readonly string[];
  /** `true` for the default policy, or the path of a profile. */
  readonly seccomp: boolean | string;
  readonly binds?: readonly Bind[];
  readonly readOnly?: boolean;
  readonly restart: "no";
}

export interface ResolvedExpectation {
  readonly from: string;
  /** `tcp://203.0.113.1:8080`, `icmp://10.0.0.1`; names already resolved. */
  readonly to: string;
  readonly verdict: "answered" | "refused" | "unanswered" | "dropped";
  readonly reaches?: string;
  readonly via: readonly string[];
  readonly notVia: readonly string[];
  readonly between?: readonly [string, string];
  readonly cause?: string;
  /** Address under which the last hop saw the client. */
  readonly seenAs?: string;
  /** Nanoseconds. */
  readonly within?: number;
}
