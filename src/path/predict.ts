/**
 * The way a packet should take, by the snapshot alone: bridges, routes, neighbours, NAT and firewall rules.
 *
 * It says what the configuration promises. A trace asks it where a lost packet should have been seen next; `explain`
 * prints it, and lays what was seen beside it. Each stage of the way is a file: `sending`, `receiving`, `leaving`,
 * `carrying`.
 */
import { isMulticast } from "../model/address.js";
import { hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import { carry } from "./carrying.js";
import { fromSnapshot, type Translate } from "./connection.js";
import type { Header } from "./header.js";
import { Network, type Place } from "./network.js";
import type { Prediction } from "./prediction.js";
import { receive } from "./receiving.js";
import { lookupRoute } from "./route.js";
import { send } from "./sending.js";
import { ended, type Next, Way } from "./way.js";

export interface PredictionStart {
  /** The packet is sent by a process of this node … */
  readonly node?: string;
  /** … or was seen at this hop, on its way in or out. */
  readonly hop?: { readonly node: string; readonly interface: string; readonly direction: "in" | "out" };
  readonly header: Header;
  /** Where the frame is going, when that is known (link-layer destination of the sighting). */
  readonly destinationMac?: string;
  /** Conntrack as it is now. Default: the entries of the snapshot. */
  readonly translate?: Translate;
  /** Whether `translate` knows every connection: then an answer that it does not know is invalid. Default: no. */
  readonly complete?: boolean;
  /**
   * The program leaves the source to the kernel, which looks for a route without one: `once`, or again with the source
   * that it has chosen. Default: the source is the program's.
   */
  readonly unbound?: "once" | "twice";
  /** Goes on as if no rule dropped or rejected it: where would it have been seen next? */
  readonly pastRules?: boolean;
}

export function predict(snapshot: Snapshot | Network, start: PredictionStart): Prediction {
  const network = snapshot instanceof Network ? snapshot : new Network(snapshot);
  const { translate = fromSnapshot(network.snapshot), complete = false, pastRules = false } = start;
  const way = new Way(network, { translate, complete, pastRules });
  let next = begin(way, start);
  while (next.at !== "end") next = goOn(way, next);
  const { trail, doubts, passages } = way;
  return { steps: trail.filter((one) => one.kind === "hop"), trail, end: next.end, doubts, passages };
}

function begin(way: Way, { node, hop, header, destinationMac, unbound }: PredictionStart): Next {
  if (hop === undefined) {
    const origin = way.network.snapshot.nodes.find((one) => one.name === node);
    if (origin) return { at: "send", node: origin, header, unbound };
    return ended({ kind: "unknown", node: node ?? "", reason: "there is no such node in the snapshot" });
  }
  const place = way.network.place(hop.node, hop.interface);
  if (!place) return ended({ kind: "unknown", node: hop.node, reason: `${hopName(hop)} is not in the snapshot` });
  const toward =
    destinationMac !== undefined
      ? way.bridging.byMac(place, destinationMac)
      : hop.direction === "out"
        ? neighbourOf(way, place, header)
        : undefined;
  return { at: "frame", place, direction: hop.direction, header, toward };
}

/** Who takes in what a node was seen to send out, where the frame does not tell: it had asked for the neighbour by then. */
function neighbourOf(way: Way, place: Place, header: Header): Place | undefined {
  if (place.master !== undefined || isMulticast(header.destination)) return undefined;
  const route = lookupRoute(place.node, header);
  const routed = route.kind === "unicast" && route.interface === place.interface.name;
  return way.bridging.owners(place, routed ? route.nexthop : header.destination).find((one) => one !== place);
}

function goOn(way: Way, next: Exclude<Next, { readonly at: "end" }>): Next {
  switch (next.at) {
    case "send":
      return send(way, next);
    case "frame":
      return carry(way, next);
    case "receive":
      return receive(way, next);
  }
}
