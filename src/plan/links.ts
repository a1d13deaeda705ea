/** Links, bridges and devices: what goes, what comes, what changes in place. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedBridge, ResolvedDevice, ResolvedEnd, ResolvedNode } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { equal } from "./equal.js";
import { interfaceOf } from "./node.js";
import type { LinkChange, OperationBody } from "./operation.js";
import { type Doomed, placeOf } from "./doomed.js";
import type { Draft, Phase } from "./phase.js";

/** Deletes what is doomed: each veth pair once, what is made on it before it, ports taken off their bridges first. */
export function planLinkRemovals(draft: Draft, nodes: ReadonlyMap<string, CurrentNode>, doomed: Doomed): void {
  const done = new Set<string>();
  for (const [name, node] of nodes) {
    // What is made on an interface has a higher index than that.
    const members = [...node.interfaces.values()].toSorted((a, b) => b.index - a.index);
    for (const member of members) {
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
      draft.add(deletionPhase(member), "not in the topology", {
        kind: "link.delete",
        node: name,
        interface: member.name,
        undo: [...remake(name, node, member, nodes), ...sysctlsOf(name, node, member.name)],
      });
    }
  }
}

function deletionPhase({ kind }: InterfaceSnapshot): Phase {
  return kind === "bridge" ? "bridge.delete" : kind === "veth" ? "link.delete" : "device.delete";
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
  const device = node.devices.get(member.name);
  const longName = longNameOf(member);
  if (device) {
    const again = { ...device, ...stateOf(member) };
    return [{ kind: "device.create", node: name, device: again, ...(longName === undefined ? {} : { longName }) }];
  }
  const far = member.peer && nodes.get(member.peer.node);
  const peer = member.peer && far?.interfaces.get(member.peer.interface);
  if (!member.peer || !far || !peer) return [];
  return [
    {
      kind: "veth.create",
      ends: [endOf(name, node, member), endOf(member.peer.node, far, peer)],
      longNames: [longName, longNameOf(peer)],
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
  return { node: name, interface: member.name, ...stateOf(member), ...(offload ? { offload } : {}) };
}

function stateOf(member: InterfaceSnapshot) {
  return {
    mac: member.mac ?? "",
    mtu: member.mtu,
    up: member.up,
    ...(member.master === undefined ? {} : { master: member.master, port: portOf(member) }),
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

/** An end of a link, or a device, that is there already: only what differs. */
export function planEnd(
  draft: Draft,
  end: ResolvedEnd,
  existing: InterfaceSnapshot,
  node: CurrentNode,
  doomed: Doomed,
  phase: Phase = "link.change",
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
  draft.add(phase, describeDifferences(previous, change), {
    kind: "link.change",
    node: end.node,
    interface: end.interface,
    change,
    previous: withoutUndefined(previous),
  });
}

export function planDevice(
  draft: Draft,
  node: ResolvedNode,
  device: ResolvedDevice,
  existing: InterfaceSnapshot | undefined,
  current: CurrentNode | undefined,
  doomed: Doomed,
): void {
  const { settings, name, ...state } = device;
  if (existing && current) {
    const phase = device.mtu < existing.mtu ? "device.shrink" : "device.change";
    planEnd(draft, { node: node.name, interface: name, ...state }, existing, current, doomed, phase);
    return;
  }
  const longName = node.interfaces.find((member) => member.name === name)?.longName;
  draft.add("device.create", "new", {
    kind: "device.create",
    node: node.name,
    device: { ...state, name, settings },
    ...(longName === undefined ? {} : { longName }),
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
