/** What is there before a plan: what the kernel says, and what it cannot say and the lab's state folder remembers. */
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../model/snapshot.js";
import type { ResolvedDevice, ResolvedEnd, ResolvedNode, ResolvedTopology } from "../topology/resolved.js";

export interface Current {
  readonly snapshot: Snapshot;
  /** The topology that was carried out last: hosts lines, container specs, netem, offload are only known from it. */
  readonly topology?: ResolvedTopology;
  /** Nodes whose container runs. Absent: those of `topology` that have one. */
  readonly running?: ReadonlySet<string>;
  /**
   * By node: what a sysctl read before it was first written, where the file asked for it. It comes back when the file
   * no longer does; of what is not remembered, the last value stays.
   */
  readonly originals?: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export interface PlanOptions {
  /** The machine node is the computer itself: it is not made, and only what is ours on it is changed. */
  readonly real?: boolean;
  /**
   * Without root: the lowest and the highest group that the lab's user namespace maps. The range of groups that may
   * ping is then that one, as the kernel takes the numbers by the writer's namespace (net/ipv4/sysctl_net_ipv4.c).
   */
  readonly groupSpan?: readonly [number, number];
  /**
   * Whether an interface that the topology does not name is the lab's own, and goes. By default every veth and bridge
   * of a sandbox is; a caller that made others (the uplink) leaves them out here.
   */
  readonly owns?: (node: NodeSnapshot, member: InterfaceSnapshot) => boolean;
}

/** One node as it is, with what is remembered of it. */
export interface CurrentNode {
  readonly snapshot: NodeSnapshot;
  readonly interfaces: ReadonlyMap<string, InterfaceSnapshot>;
  readonly remembered: ResolvedNode | undefined;
  readonly ends: ReadonlyMap<string, ResolvedEnd>;
  readonly devices: ReadonlyMap<string, ResolvedDevice>;
  readonly originals: Readonly<Record<string, string>>;
  readonly container: boolean;
  readonly running: boolean;
}

export function currentNodes(current: Current | undefined): Map<string, CurrentNode> {
  const nodes = new Map<string, CurrentNode>();
  if (!current) return nodes;
  const { snapshot, topology, running, originals } = current;
  const remembered = new Map((topology?.nodes ?? []).map((node) => [node.name, node]));
  const ends = new Map<string, Map<string, ResolvedEnd>>();
  for (const end of (topology?.links ?? []).flatMap((link) => link.ends)) {
    const own = ends.get(end.node) ?? new Map<string, ResolvedEnd>();
    ends.set(end.node, own.set(end.interface, end));
  }
  for (const node of snapshot.nodes) {
    const known = remembered.get(node.name);
    // The machine of a sandbox may be a container, too: of that its role does not tell.
    const container = node.role === "container" || known?.container !== undefined;
    nodes.set(node.name, {
      snapshot: node,
      interfaces: new Map(node.interfaces.map((member) => [member.name, member])),
      remembered: known,
      ends: ends.get(node.name) ?? new Map(),
      devices: new Map((known?.devices ?? []).map((device) => [device.name, device])),
      originals: originals?.get(node.name) ?? {},
      container,
      running: container && (running?.has(node.name) ?? true),
    });
  }
  return nodes;
}
