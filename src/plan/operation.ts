/**
 * A plan: the sorted list of operations that turns a snapshot into what the topology says. Each operation carries what
 * it needs to be done, what it needs to be undone, and the reason why it is there; `lab/` carries it out.
 */
import type { NftTable } from "../model/nft.js";
import type {
  HostsLine,
  ResolvedAddress,
  ResolvedBridge,
  ResolvedContainer,
  ResolvedDevice,
  ResolvedEnd,
  ResolvedNeighbour,
  ResolvedPolicyRule,
  ResolvedPortSettings,
  ResolvedRoute,
  ResolvedShaping,
  ResolvedSysctl,
} from "../topology/resolved.js";

export interface Plan {
  readonly lab: string;
  readonly operations: readonly Operation[];
}

export type Operation = OperationBody & {
  /** `new`, `mtu 1500 -> 1400`, `not in the topology`: shown by --dry-run. */
  readonly reason: string;
};

export type OperationBody =
  | { readonly kind: "node.create"; readonly node: string; readonly container: boolean }
  /** Comes after links, addresses, rules and container of it have gone by name; `undo` brings back the rest. */
  | {
      readonly kind: "node.remove";
      readonly node: string;
      readonly container: boolean;
      readonly undo: readonly OperationBody[];
    }
  | {
      readonly kind: "sysctl.write";
      readonly node: string;
      /** An optional entry is passed over where the kernel has no such file. */
      readonly entries: readonly (ResolvedSysctl & { readonly previous?: string })[];
    }
  /** Made down; a `link.change` brings it up once its ports are on it. */
  | { readonly kind: "bridge.create"; readonly node: string; readonly bridge: ResolvedBridge }
  | {
      readonly kind: "bridge.change";
      readonly node: string;
      readonly bridge: ResolvedBridge;
      readonly previous: ResolvedBridge;
    }
  /** Both ends with all that they say: placed, named, MAC, MTU, bridge, port settings, offload, and up where `up`. */
  | {
      readonly kind: "veth.create";
      readonly ends: readonly [ResolvedEnd, ResolvedEnd];
      readonly longNames: readonly [string | undefined, string | undefined];
    }
  /** Complete, on its bridge, and up where `up`. */
  | {
      readonly kind: "device.create";
      readonly node: string;
      readonly device: ResolvedDevice;
      readonly longName?: string;
    }
  | {
      readonly kind: "link.change";
      readonly node: string;
      readonly interface: string;
      readonly change: LinkChange;
      readonly previous: LinkChange;
    }
  /** A bridge, or a veth pair by one of its ends (with what it takes to make it again). */
  | {
      readonly kind: "link.delete";
      readonly node: string;
      readonly interface: string;
      readonly undo?: readonly OperationBody[];
    }
  | {
      readonly kind: "address.add" | "address.remove";
      readonly node: string;
      readonly interface: string;
      readonly address: ResolvedAddress;
    }
  | { readonly kind: "route.add" | "route.remove"; readonly node: string; readonly route: ResolvedRoute }
  | { readonly kind: "rule.add" | "rule.remove"; readonly node: string; readonly rule: ResolvedPolicyRule }
  | {
      readonly kind: "neighbour.add" | "neighbour.remove";
      readonly node: string;
      readonly neighbour: ResolvedNeighbour;
    }
  /** Replaces the whole of our tables in the node in one transaction; an empty list removes them. */
  | {
      readonly kind: "nftables.replace";
      readonly node: string;
      readonly tables: readonly NftTable[];
      readonly previous: readonly NftTable[];
    }
  | {
      readonly kind: "shaping.set";
      readonly node: string;
      readonly interface: string;
      readonly shaping?: ResolvedShaping;
      readonly previous?: ResolvedShaping;
    }
  /** All lines of the node; nodes with equal lines share one array, so that a lab of 1,000 need not hold a million. */
  | {
      readonly kind: "hosts.write";
      readonly node: string;
      readonly hosts: readonly HostsLine[];
      readonly previous?: readonly HostsLine[];
    }
  | { readonly kind: "container.start"; readonly node: string; readonly container: ResolvedContainer }
  | { readonly kind: "container.stop"; readonly node: string; readonly container: ResolvedContainer };

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  /** null: taken off its bridge. */
  readonly master?: string | null;
  readonly port?: ResolvedPortSettings;
  /** An absent key is left as it is. */
  readonly offload?: NonNullable<ResolvedEnd["offload"]>;
}
