/** Links and bridges: what goes, what comes, what changes in place. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedBridge, ResolvedEnd, ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import type { CurrentNode, PlanOptions } from "./current.js";
import { equal } from "./equal.js";
import { interfaceOf } from "./node.js";
import type { LinkChange, OperationBody } from "./operation.js";
import type { Draft } from "./phase.js";

/** Interfaces that do not outlive the removals of a plan, as `node:interface`. */
export type Doomed = ReadonlySet<string>;

export function placeOf(node: string, name: string): string {
  return `${node}:${name}`;
}

/** Which interfaces go: those that the topology does not have, or has as something else. */
export function doomedInterfaces(
  topology: ResolvedTopology,
  nodes: ReadonlyMap<string, CurrentNode>,
  replaced: ReadonlySet<string>,
  options: PlanOptions,
): Doomed {
  const doomed = new Set<string>();
  const doom = (node: string, member: InterfaceSnapshot): void => {
    doomed.add(placeOf(node, member.name));
    if (member.peer) doomed.add(placeOf(member.peer.node, member.peer.interface));
  };
  const peers = new Map<string, string>();
  for (const { ends } of topology.links) {
    const [left, right] = ends.map((end) => placeOf(end.node, end.interface));
    if (left === undefined || right === undefined) continue;
    peers.set(left, right);
    peers.set(right, left);
  }
  const bridges = new Set(
    topology.nodes.flatMap((node) => node.bridges.map((bridge) => placeOf(node.name, bridge.name))),
  );
  const owns = options.owns ?? ((_, member) => member.kind === "veth" || member.kind === "bridge");
  for (const [name, node] of nodes) {
    for (const member of node.interfaces.values()) {
      if (member.kind === "loopback") continue;
      const place = placeOf(name, member.name);
      const wantedPeer = peers.get(place);
      const right =
        wantedPeer === undefined
          ? bridges.has(place) && member.kind === "bridge"
          : member.kind === "veth" &&
            member.peer !== undefined &&
            placeOf(member.peer.node, member.peer.interface) === wantedPeer;
      if (right && !replaced.has(name)) continue;
      if (wantedPeer !== undefined || bridges.has(place) || replaced.has(name) || owns(node.snapshot, member))
        doom(name, member);
    }
  }
  return doomed;
}

/** Deletes what is doomed, each veth pair once, ports taken off their bridges first. */
export function planLinkRemovals(draft: Draft, nodes: ReadonlyMap<string, CurrentNode>, doomed: Doomed): void {
  const done = new Set<string>();
  for (const [name, node] of nodes) {
    for (const member of node.interfaces.values()) {
      const place = placeOf(name, member.name);
      if (!doomed.has(place)) {
        if (member.master !== undefined && doomed.has(placeOf(name, member.master))) {
          draft.add("port.release", `its bridge ${member.master} goes`, {
            kind: "link.change",
            node: name,
            interface: member.name,
            change: { master: null },
            previous: { master: member.master },
          });
        }
        continue;
      }
      if (done.has(place)) continue;
      done.add(place);
      if (member.peer) done.add(placeOf(member.peer.node, member.peer.interface));
      draft.add(member.kind === "bridge" ? "bridge.delete" : "link.delete", "not in the topology", {
        kind: "link.delete",
        node: name,
        interface: member.name,
        undo: [...remake(name, node, member, nodes), ...sysctlsOf(name, node, member.name)],
      });
    }
  }
}

function remake(
  name: string,
  node: CurrentNode,
  member: InterfaceSnapshot,
  nodes: ReadonlyMap<string, CurrentNode>,
): OperationBody[] {
  if (member.kind === "bridge") {
    return [
      { kind: "bridge.create", node: name, bridge: bridgeOf(member) },
      { kind: "link.change", node: name, interface: member.name, change: { up: member.up }, previous: { up: false } },
    ];
  }
  const far = member.peer && nodes.get(member.peer.node);
  const peer = member.peer && far?.interfaces.get(member.peer.interface);
  if (!member.peer || !far || !peer) return [];
  return [
    {
      kind: "veth.create",
      ends: [endOf(name, node, member), endOf(member.peer.node, far, peer)],
      longNames: [longNameOf(member), longNameOf(peer)],
    },
  ];
}

function sysctlsOf(name: string, node: CurrentNode, member: string): OperationBody[] {
  const entries = (node.remembered?.sysctls ?? []).filter((entry) => interfaceOf(entry.name) === member);
  return entries.length === 0 ? [] : [{ kind: "sysctl.write", node: name, entries }];
}

function longNameOf(member: InterfaceSnapshot): string | undefined {
  return member.altnames.find((name) => name.length > 15);
}

export function bridgeOf(member: InterfaceSnapshot): ResolvedBridge {
  const { stp = false, ageingTime = 300, forwardDelay = 15, vlanFiltering = false } = member.bridge ?? {};
  return { name: member.name, mac: member.mac ?? "", mtu: member.mtu, stp, ageingTime, forwardDelay, vlanFiltering };
}

function endOf(name: string, node: CurrentNode, member: InterfaceSnapshot): ResolvedEnd {
  const offload = node.ends.get(member.name)?.offload;
  return {
    node: name,
    interface: member.name,
    mac: member.mac ?? "",
    mtu: member.mtu,
    up: member.up,
    ...(member.master === undefined ? {} : { master: member.master, port: portOf(member) }),
    ...(offload ? { offload } : {}),
  };
}

function portOf(member: InterfaceSnapshot): NonNullable<ResolvedEnd["port"]> {
  const { hairpin = false, isolated = false, learning = true } = member.port ?? {};
  return { hairpin, isolated, learning };
}

export function planBridge(
  draft: Draft,
  node: ResolvedNode,
  bridge: ResolvedBridge,
  existing: InterfaceSnapshot | undefined,
): void {
  if (!existing) {
    draft.add("bridge.create", "new", { kind: "bridge.create", node: node.name, bridge });
    return;
  }
  const previous = bridgeAsSet(bridgeOf(existing), bridge);
  const differences = describeDifferences(previous, bridge);
  if (differences !== "")
    draft.add("bridge.change", differences, { kind: "bridge.change", node: node.name, bridge, previous });
}

/** While STP tells of a change, a bridge shows twice its forward delay for its ageing time (net/bridge/br_stp.c). */
function bridgeAsSet(shown: ResolvedBridge, wanted: ResolvedBridge): ResolvedBridge {
  const shortened = shown.stp && shown.ageingTime === 2 * shown.forwardDelay;
  return shortened ? { ...shown, ageingTime: wanted.ageingTime } : shown;
}

/** An end of a link that is there already: only what differs. */
export function planEnd(
  draft: Draft,
  end: ResolvedEnd,
  existing: InterfaceSnapshot,
  node: CurrentNode,
  doomed: Doomed,
): void {
  const kept =
    existing.master !== undefined && !doomed.has(placeOf(end.node, existing.master)) ? existing.master : undefined;
  const change: Record<string, unknown> = {};
  const previous: Record<string, unknown> = {};
  const compare = (key: keyof LinkChange, from: unknown, to: unknown): void => {
    if (equal(from, to)) return;
    change[key] = to;
    previous[key] = from;
  };
  compare("mtu", existing.mtu, end.mtu);
  compare("mac", existing.mac, end.mac);
  compare("master", kept ?? null, end.master ?? null);
  if (end.port) compare("port", kept === undefined ? undefined : portOf(existing), end.port);
  // What the file no longer says goes back to what veth has by itself: everything on.
  const on = { tso: true, gso: true, gro: true, tx: true };
  const remembered = { ...on, ...node.ends.get(end.interface)?.offload };
  const wanted = { ...on, ...end.offload };
  compare("offload", remembered, wanted);
  compare("up", existing.up, end.up);
  if (Object.keys(change).length === 0) return;
  draft.add("link.change", describeDifferences(previous, change), {
    kind: "link.change",
    node: end.node,
    interface: end.interface,
    change,
    previous: withoutUndefined(previous),
  });
}

function withoutUndefined(value: Readonly<Record<string, unknown>>): LinkChange {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));
}

/** `mtu 1500 -> 1400, stp false -> true`. */
export function describeDifferences(from: object, to: object): string {
  const before = from as Readonly<Record<string, unknown>>;
  const after: [string, unknown][] = Object.entries(to);
  return after
    .filter(([key, value]) => !equal(before[key], value))
    .map(([key, value]) => {
      if (typeof value !== "object" || value === null) return `${key} ${shown(before[key])} -> ${shown(value)}`;
      return describeDifferences((before[key] as object | undefined) ?? {}, value);
    })
    .join(", ");
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}
