/** Links, bridges and devices: what comes, and what changes in place. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedBridge, ResolvedDevice, ResolvedEnd, ResolvedNode } from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { equal } from "./equal.js";
import type { LinkChange } from "./operation.js";
import { type Doomed, placeOf } from "./doomed.js";
import { bridgeOf, portOf } from "./existing.js";
import type { Draft, Phase } from "./phase.js";
import { carrierOf, carrierCycles, isUp } from "./up.js";
import { vrfOf } from "./vrf.js";

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
  const bridge = vrfOf(node, existing) === undefined ? existing.master : undefined;
  const kept = bridge !== undefined && !doomed.has(placeOf(end.node, bridge)) ? bridge : undefined;
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
  const port = kept === undefined ? undefined : portOf(existing);
  if (end.port) compare("port", port, end.port);
  // A port that leaves its bridge comes back with the settings that it had there.
  else if ("master" in change) previous.port = port;
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
  const { settings, name, ...own } = device;
  const state = { ...own, up: isUp(node, name) };
  if (existing && current) {
    const phase = device.mtu < existing.mtu ? "device.shrink" : "device.change";
    const followed = { ...existing, up: planFollowing(draft, node, existing, current) };
    planEnd(draft, { node: node.name, interface: name, ...state }, followed, current, doomed, phase);
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

/**
 * A vlan goes down and comes up with its carrier. Where that goes down it is set down before, also if it is: undoing has
 * it back as it was once the carrier is up again.
 * @returns whether the device is up once its carrier is what it shall be
 */
function planFollowing(
  draft: Draft,
  node: ResolvedNode,
  { name, up }: InterfaceSnapshot,
  { interfaces }: CurrentNode,
): boolean {
  const carrier = carrierOf(node, name);
  if (carrier === undefined || !carrierCycles(node, name, interfaces)) return up;
  if (isUp(node, carrier)) return true;
  draft.add("device.shrink", `${carrier} goes down`, {
    kind: "link.change",
    node: node.name,
    interface: name,
    change: { up: false },
    previous: { up },
  });
  return false;
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
