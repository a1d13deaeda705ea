/** The way of one frame over links and bridges, from an interface that has it to the interface whose node takes it in. */
import type { Bridging } from "./bridging.js";
import { nameOf, type Place } from "./network.js";
import { unfollowed } from "./unfollowed.js";

export interface FrameStep {
  readonly place: Place;
  readonly direction: "in" | "out";
  /** A bridge that passes the frame between two ports. */
  readonly implied: boolean;
  /** How it came here: over the link, or through a bridge and by what it knew the port. */
  readonly by?: { readonly kind: "link" } | { readonly kind: "fdb"; readonly text: string };
}

export type FrameEnd =
  /** @property received over a link; else the node's own loopback gives it back */
  | { readonly kind: "arrived"; readonly place: Place; readonly received: boolean }
  | { readonly kind: "outside"; readonly place: Place }
  /** A bridge that does not know where the destination is gives it to every port. */
  | { readonly kind: "flooded"; readonly bridge: Place; readonly from: Place | undefined }
  | { readonly kind: "dropped"; readonly place: Place; readonly code: string; readonly text: string }
  | { readonly kind: "unknown"; readonly place: Place; readonly reason: string; readonly leaves?: true };

export interface FrameWay {
  readonly place: Place;
  readonly direction: "in" | "out";
  /** The interface that the frame is addressed to, where that is known. */
  readonly toward: Place | undefined;
  /** Who it is for, asked at a bridge, where that is not known. */
  readonly owner: (bridge: Place) => Place | undefined;
  /** @returns false to go no further */
  readonly step: (step: FrameStep) => boolean;
  /** Asked where a frame comes to a port: a rule may send it to another interface, or end it. */
  readonly enter?: (bridge: Place) => Place | "stop" | undefined;
  /** Asked before a bridge passes the frame on between two ports. */
  readonly cross?: (bridge: Place, from: Place, to: Place) => boolean;
}

/** @returns undefined where `step` or `cross` ended it */
export function followFrame(bridging: Bridging, way: FrameWay): FrameEnd | undefined {
  let { place, direction, toward: addressed } = way;
  let by: FrameStep["by"];
  const visit = (at: Place, heading: "in" | "out", implied = false): boolean =>
    way.step({ place: at, direction: heading, implied, ...(by === undefined ? {} : { by }) });

  for (;;) {
    if (!visit(place, direction)) return undefined;
    let crossing: { readonly bridge: Place; readonly from?: Place; readonly toward: Place } | undefined;
    if (direction === "out") {
      if (place.loopback) return { kind: "arrived", place, received: false };
      if (isBridge(place)) {
        if (addressed === undefined) return { kind: "flooded", bridge: place, from: undefined };
        crossing = { bridge: place, toward: addressed };
      } else {
        const { peer } = place;
        if (peer === undefined) return withoutPeer(place);
        if (!peer.interface.up) return drop(place, "link-down", `${nameOf(peer)} is down`);
        [place, direction, by] = [peer, "in", { kind: "link" }];
        continue;
      }
    } else {
      const bridge = place.master;
      if (bridge === undefined) {
        if (addressed !== undefined && addressed !== place)
          return drop(place, "wrong-mac", `the frame is addressed to ${nameOf(addressed)}, not to ${nameOf(place)}`);
        return { kind: "arrived", place, received: true };
      }
      const closed = portClosed(place) ?? bridgeDown(bridge);
      if (closed !== undefined) return drop(place, ...closed);
      const sent = way.enter?.(bridge);
      if (sent === "stop") return undefined;
      addressed = sent ?? addressed;
      const toward = addressed ?? way.owner(bridge);
      if (toward === undefined) return { kind: "flooded", bridge, from: place };
      if (toward === bridge) {
        by = { kind: "fdb", text: `the frame is for bridge ${nameOf(bridge)} itself` };
        if (!visit(bridge, "in")) return undefined;
        return { kind: "arrived", place: bridge, received: true };
      }
      crossing = { bridge, from: place, toward };
    }

    const { bridge, from, toward } = crossing;
    const before = from ?? bridge;
    const found = bridging.portToward(bridge, toward);
    if (found === undefined) return drop(before, "no-port", `no port of ${nameOf(bridge)} leads to ${nameOf(toward)}`);
    const { port } = found;
    if (from !== undefined) {
      const kept = keptApart(from, port);
      if (kept !== undefined) return drop(from, ...kept);
      if (way.cross?.(bridge, from, port) === false) return undefined;
      if (!visit(bridge, "out", true)) return undefined;
    }
    const closed = port.interface.up ? portClosed(port) : (["link-down", `port ${nameOf(port)} is down`] as const);
    if (closed !== undefined) return drop(before, ...closed);
    [place, direction, by] = [port, "out", { kind: "fdb", text: found.text }];
  }
}

type Reason = readonly [code: string, text: string];

function drop(place: Place, ...[code, text]: Reason): FrameEnd {
  return { kind: "dropped", place, code, text };
}

function isBridge({ interface: { bridge, kind }, ports }: Place): boolean {
  return bridge !== undefined || kind === "bridge" || ports.length > 0;
}

function withoutPeer(place: Place): FrameEnd {
  if (place.interface.kind === "veth")
    return { kind: "unknown", place, reason: `the peer of ${nameOf(place)} is not in the snapshot` };
  const reason = unfollowed(place);
  return reason === undefined ? { kind: "outside", place } : { kind: "unknown", place, reason, leaves: true };
}

function portClosed(port: Place): Reason | undefined {
  const state = port.interface.port?.state ?? "forwarding";
  return state === "forwarding" ? undefined : ["port-state", `port ${nameOf(port)} is ${state}`];
}

function bridgeDown(bridge: Place): Reason | undefined {
  return bridge.interface.up ? undefined : ["link-down", `bridge ${nameOf(bridge)} is down`];
}

function keptApart(from: Place, to: Place): Reason | undefined {
  if (from === to && from.interface.port?.hairpin !== true)
    return ["hairpin-off", `hairpin mode is off on port ${nameOf(from)}, the way back`];
  if (from.interface.port?.isolated === true && to.interface.port?.isolated === true)
    return ["port-isolated", `ports ${nameOf(from)} and ${nameOf(to)} are isolated from each other`];
  return undefined;
}
