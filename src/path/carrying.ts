/** A frame on its way over links and bridges, with what a bridge's rules do to the packet in it. */
import { formatAddress, isMulticast } from "../model/address.js";
import { askAtPort, type AskedAtPort, bridgedByTables, bridgedThroughIp } from "./bridge-rules.js";
import { followFrame, type FrameEnd } from "./frame.js";
import type { Header } from "./header.js";
import { nameOf, type Place } from "./network.js";
import { dropped, type PredictionEnd } from "./prediction.js";
import { ended, type Next, type Way } from "./way.js";

export function carry(
  way: Way,
  { place: start, direction, header: given, toward, connection }: Next & { readonly at: "frame" },
): Next {
  let header = given;
  let last = start;
  let stopped: PredictionEnd | undefined;
  let asked: AskedAtPort | undefined;
  const group = isMulticast(header.destination);
  const end = followFrame(way.bridging, {
    place: start,
    direction,
    toward: group ? undefined : toward,
    owner: (bridge) => (group ? undefined : way.bridging.owner(bridge, header.destination)),
    step({ place, direction: heading, implied, by }) {
      if (by !== undefined)
        way.note(
          place.node.name,
          by.kind === "link" ? "link" : "bridge",
          by.kind,
          by.kind === "link" ? `link from ${nameOf(last)}` : by.text,
        );
      last = place;
      return way.step(place, heading, header, implied);
    },
    enter(bridge) {
      const found = askAtPort(way, bridge, header);
      if (found !== undefined && "kind" in found) {
        stopped = found;
        return "stop";
      }
      asked = found;
      header = asked?.header ?? header;
      return asked?.toward;
    },
    cross(bridge, from, to) {
      const filtered = bridgedByTables(way, bridge, from, to, header) ?? bridgedThroughIp(way, bridge, header, asked);
      if (filtered === undefined) return true;
      if ("kind" in filtered) {
        stopped = filtered;
        return false;
      }
      header = filtered.header;
      return true;
    },
  });
  if (stopped !== undefined) return ended(stopped);
  if (end === undefined) return way.tooLong(last.node.name);
  return after(way, end, header, connection, asked);
}

function after(
  way: Way,
  end: FrameEnd,
  header: Header,
  connection: (Next & { at: "frame" })["connection"],
  asked: AskedAtPort | undefined,
): Next {
  switch (end.kind) {
    case "arrived":
      return {
        at: "receive",
        ...{ place: end.place, header, received: end.received, connection },
        // What a bridge takes in itself was put to the rules at its port.
        ...(asked?.bridge === end.place ? { prerouted: asked } : {}),
      };
    case "outside":
      return ended({ kind: "outside", hop: nameOf(end.place) });
    case "unknown":
      return ended({
        ...{ kind: "unknown", node: end.place.node.name, reason: end.reason },
        ...(end.leaves === undefined ? {} : { leaves: end.leaves }),
      });
    case "dropped":
      return ended(dropped(end.place.node.name, "link", header, end.code, end.text));
    case "flooded":
      return ended(flooded(way, end.bridge, end.from, header));
  }
}

/** It goes to every port, and we cannot follow one. */
function flooded(way: Way, bridge: Place, from: Place | undefined, header: Header): PredictionEnd {
  const { name } = bridge.node;
  if (isMulticast(header.destination) || way.network.isBroadcast(name, header.destination))
    return { kind: "delivered", node: name, header, to: "group" };
  const text = `nobody on bridge ${nameOf(bridge)} has ${formatAddress(header.destination)}`;
  return dropped((from ?? bridge).node.name, "link", header, "no-neighbour", text);
}
