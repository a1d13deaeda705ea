/**
 * (resolved, current) -> plan. There is one way for a lab that is new and for one that runs: what is there is compared
 * with what shall be, and a new lab is the case in which nothing is there. Applied twice, the second plan is empty.
 */
import type { HostsLine, ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import { type Current, type CurrentNode, currentNodes, type PlanOptions } from "./current.js";
import { type Layer3Context, planAddresses, planNeighbours, planRoutes, planRules } from "./layer3.js";
import { doomedInterfaces, placeOf } from "./doomed.js";
import { planBridgeMtus } from "./bridge-mtu.js";
import { planBridge, planDevice, planEnd } from "./links.js";
import { planLinkRemovals } from "./removals.js";
import {
  clearShaping,
  interfaceOf,
  planContainer,
  planHosts,
  planNftables,
  planShaping,
  planSysctls,
  sysctlsFor,
} from "./node.js";
import type { OperationBody, Plan } from "./operation.js";
import { Draft } from "./phase.js";
import { cyclingInterfaces, isUp } from "./up.js";
import { movingInterfaces, planVrfJoins, planVrfLeaves } from "./vrf.js";

export function plan(topology: ResolvedTopology, current?: Current, options: PlanOptions = {}): Plan {
  const draft = new Draft();
  const existing = currentNodes(current);
  const wanted = new Map(topology.nodes.map((node) => [node.name, node]));
  const isMachine = (name: string): boolean => options.real === true && name === topology.machine;
  // A container node has namespaces of another kind (with a user namespace of its own), so it is made anew.
  const replaced = new Set(
    [...existing].flatMap(([name, node]) => {
      const after = wanted.get(name);
      return !isMachine(name) && (!after || (after.container !== undefined) !== node.container) ? [name] : [];
    }),
  );
  const doomed = doomedInterfaces(topology, existing, replaced, options);
  const moving = movingInterfaces(topology, existing, doomed);
  const cycling = cyclingInterfaces(topology, existing, doomed);
  planLinkRemovals(draft, existing, doomed);
  planVrfLeaves(draft, topology, existing, doomed);

  const hostsBefore = hostsOf(current?.topology);
  const hostsAfter = hostsOf(topology);
  for (const name of new Set([...existing.keys(), ...wanted.keys()])) {
    const before = existing.get(name);
    const after = wanted.get(name);
    if (before && replaced.has(name)) planEmptying(draft, name, before, hostsBefore.get(name), doomed);
    const kept = replaced.has(name) ? undefined : before;
    if (after)
      planNode(draft, after, kept, {
        isMachine: isMachine(name),
        doomed,
        moving,
        cycling,
        options,
        hosts: hostsAfter.get(name) ?? [],
        hostsBefore: kept && hostsBefore.get(name),
      });
  }
  planLinks(draft, topology, existing, replaced, doomed);
  planBridgeMtus(draft, topology, (name) => (replaced.has(name) ? undefined : existing.get(name)), doomed);
  return { lab: topology.name, operations: draft.operations() };
}

/** The whole of /etc/hosts for each node; nodes with the same lines share one list. */
function hostsOf(topology: ResolvedTopology | undefined): Map<string, readonly HostsLine[]> {
  const shared = new Map<string, readonly HostsLine[]>();
  return new Map(
    (topology?.nodes ?? []).map((node) => {
      const key = JSON.stringify(node.hosts);
      const lines = shared.get(key) ?? [...node.hosts, ...(topology?.hosts ?? [])];
      shared.set(key, lines);
      return [node.name, lines];
    }),
  );
}

interface NodeContext {
  readonly isMachine: boolean;
  readonly doomed: ReadonlySet<string>;
  /** As `node:interface`: its vrf changes. */
  readonly moving: ReadonlySet<string>;
  /** As `node:interface`: it goes down or comes up, with the reason to tell. */
  readonly cycling: ReadonlyMap<string, string>;
  readonly options: PlanOptions;
  readonly hosts: readonly HostsLine[];
  readonly hostsBefore: readonly HostsLine[] | undefined;
}

function planNode(draft: Draft, node: ResolvedNode, current: CurrentNode | undefined, context: NodeContext): void {
  const { isMachine, doomed, moving, cycling, options, hosts, hostsBefore } = context;
  const { name } = node;
  const there = (member: string) => (doomed.has(placeOf(name, member)) ? undefined : current?.interfaces.get(member));
  if (!current && !isMachine) {
    draft.add("node.create", "new", { kind: "node.create", node: name, container: node.container !== undefined });
  }
  const sysctls = sysctlsFor(node, isMachine, options);
  planSysctls(draft, node, sysctls, current, (member) => there(member) === undefined);
  for (const bridge of node.bridges) planBridge(draft, node, bridge, there(bridge.name));
  for (const device of node.devices) planDevice(draft, node, device, there(device.name), current, doomed);
  planVrfJoins(draft, node, current, there);
  const layer3 = {
    draft,
    name,
    wanted: node,
    current,
    lost: lostWith(name, doomed, moving),
    cycles: (member: string) => cycling.get(placeOf(name, member)),
    ours: oursOn(current, isMachine, options),
  };
  planAddresses(layer3);
  planUp(draft, node, there, isMachine);
  planRoutes(layer3);
  planRules(layer3);
  planNeighbours(layer3);
  planNftables(draft, name, node, current);
  if (!isMachine) planHosts(draft, name, hosts, hostsBefore);
  planContainer(draft, name, node, current);
}

const never = (): undefined => undefined;

/** Why what is on an interface of a node does not stay with it. */
function lostWith(node: string, doomed: ReadonlySet<string>, moving?: ReadonlySet<string>): Layer3Context["lost"] {
  return (name) => {
    const place = placeOf(node, name);
    if (doomed.has(place)) return "its interface goes";
    return moving?.has(place) === true ? "its interface changes its vrf" : undefined;
  };
}

/** On the computer itself only what is on our interfaces is ours; in a sandbox all that is on interfaces of the topology. */
function oursOn(
  current: CurrentNode | undefined,
  isMachine: boolean,
  { owns }: PlanOptions,
): (member: string) => boolean {
  return (name) => {
    const member = current?.interfaces.get(name);
    if (!current || !member) return true;
    if (owns) return member.kind === "loopback" ? !isMachine : owns(current.snapshot, member);
    return !isMachine;
  };
}

/** Loopback and bridges: the ends of links come up as they are made. */
function planUp(
  draft: Draft,
  node: ResolvedNode,
  there: (member: string) => { readonly up: boolean } | undefined,
  isMachine: boolean,
): void {
  const members = [...(isMachine ? [] : ["lo"]), ...node.bridges.map(({ name }) => name)];
  for (const member of members) {
    const up = isUp(node, member);
    const before = there(member)?.up ?? false;
    if (before === up) continue;
    draft.add("link.up", there(member) ? `${before ? "up" : "down"} -> ${up ? "up" : "down"}` : "new", {
      kind: "link.change",
      node: node.name,
      interface: member,
      change: { up },
      previous: { up: before },
    });
  }
}

/** A node that goes: all that can be undone goes by name, then the namespace. */
function planEmptying(
  draft: Draft,
  name: string,
  current: CurrentNode,
  hosts: readonly HostsLine[] | undefined,
  doomed: ReadonlySet<string>,
): void {
  const layer3 = {
    draft,
    name,
    wanted: undefined,
    current,
    lost: lostWith(name, doomed),
    cycles: never,
    ours: () => true,
  };
  planContainer(draft, name, undefined, current);
  planNftables(draft, name, undefined, current);
  planNeighbours(layer3);
  planRules(layer3);
  planRoutes(layer3);
  planAddresses(layer3);
  draft.add("node.remove", "not in the topology", {
    kind: "node.remove",
    node: name,
    container: current.container,
    undo: remakeNode(name, current, hosts),
  });
}

/** The empty node again: its links, addresses and rules come back by themselves. */
function remakeNode(node: string, current: CurrentNode, hosts: readonly HostsLine[] | undefined): OperationBody[] {
  const entries = (current.remembered?.sysctls ?? []).filter(({ name }) => interfaceOf(name) === undefined);
  const up = current.interfaces.get("lo")?.up ?? false;
  return [
    { kind: "node.create", node, container: current.container },
    ...(entries.length > 0 ? [{ kind: "sysctl.write", node, entries } as const] : []),
    { kind: "link.change", node, interface: "lo", change: { up }, previous: { up: false } },
    ...(hosts ? [{ kind: "hosts.write", node, hosts } as const] : []),
  ];
}

function planLinks(
  draft: Draft,
  topology: ResolvedTopology,
  existing: ReadonlyMap<string, CurrentNode>,
  replaced: ReadonlySet<string>,
  doomed: ReadonlySet<string>,
): void {
  for (const [name, node] of existing) {
    for (const member of node.interfaces.keys()) {
      if (doomed.has(placeOf(name, member))) clearShaping(draft, name, member, node);
    }
  }
  const longNames = new Map(
    topology.nodes.flatMap((node) =>
      node.interfaces.map((member) => [placeOf(node.name, member.name), member.longName]),
    ),
  );
  for (const { ends } of topology.links) {
    const kept = ends.map((end) => {
      const node = replaced.has(end.node) ? undefined : existing.get(end.node);
      const member = doomed.has(placeOf(end.node, end.interface)) ? undefined : node?.interfaces.get(end.interface);
      return node && member ? { node, member } : undefined;
    });
    if (kept.every((one) => one === undefined)) {
      const [left, right] = ends;
      draft.add("veth.create", "new", {
        kind: "veth.create",
        ends,
        longNames: [
          longNames.get(placeOf(left.node, left.interface)),
          longNames.get(placeOf(right.node, right.interface)),
        ],
      });
    }
    for (const [side, end] of ends.entries()) {
      const one = kept[side];
      if (one) planEnd(draft, end, one.member, one.node, doomed);
      planShaping(draft, end, one?.node);
    }
  }
}
