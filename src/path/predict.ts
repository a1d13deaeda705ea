/**
 * The way a packet should take, by the snapshot alone: bridges, routes, neighbours, NAT and firewall rules.
 *
 * It says what the configuration promises. A trace lays what was seen beside it; `explain` prints both.
 */
import type { ConntrackFlow } from "../model/conntrack.js";
import { hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import { destinationOf, type Header, matchesTuple, mirrored, sameEnds, sourceOf } from "./header.js";
import { Network, type Place } from "./network.js";
import { type Address, formatAddress, isLinkLocal, isMulticast } from "../model/address.js";
import { Bridging } from "./bridging.js";
import { lookupRoute } from "./route.js";
import { dropped, droppedIn, type PredictionEnd, refusedBy, refusedIn } from "./prediction-end.js";
import { applyHook, quoteRule, type RuleContext, type RuleQuote, type RuleVerdict } from "./rules.js";

/** One hop of the predicted way, with the header as it is there. */
export interface Step {
  readonly hop: string;
  readonly place: Place;
  readonly direction: "in" | "out";
  readonly header: Header;
  /** A bridge that passes the frame between two ports: it does not show it. */
  readonly implied: boolean;
  /** How it came here, in a few words: `link`, `bridge yapc0`, `route 10.0.0.0/24`, `dnat by nft rule …`. */
  readonly by: string;
}

export interface Prediction {
  readonly steps: readonly Step[];
  readonly end: PredictionEnd;
  /** A rule on the way could not be judged from the snapshot (a rate limit, an expression we cannot read). */
  readonly uncertain: boolean;
}

/** What conntrack says of a packet in a node: how it goes on, and how far its connection is. */
export interface Translation {
  readonly header: Header;
  readonly direction: "original" | "reply";
  readonly state: "new" | "established";
}

export type Translate = (node: string, header: Header) => Translation | undefined;

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
  /** Goes on as if no rule dropped or rejected it: where would it have been seen next? */
  readonly pastRules?: boolean;
}

/** Longest way that is followed: a routing loop ends here at the latest (TTLs are at most 255). */
const MAXIMUM_STEPS = 256;

export function predict(snapshot: Snapshot | Network, start: PredictionStart): Prediction {
  const network = snapshot instanceof Network ? snapshot : new Network(snapshot);
  return new Way(network, start.translate ?? fromSnapshot(network.snapshot)).run(start);
}

/** Conntrack entries as a snapshot holds them. */
export function fromSnapshot(snapshot: Snapshot): Translate {
  return (name, header) => {
    const entries = snapshot.nodes.find((node) => node.name === name)?.conntrack ?? [];
    for (const entry of entries) {
      const found = translateBy(entry, header);
      if (found) return found;
    }
    return undefined;
  };
}

/** IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h. */
const SEEN_REPLY = 2;

export function translateBy(entry: ConntrackFlow, header: Header): Translation | undefined {
  const state = (entry.status & SEEN_REPLY) !== 0 ? "established" : "new";
  if (matchesTuple(header, entry.original)) {
    return { header: mirrored(header, entry.reply), direction: "original", state };
  }
  if (matchesTuple(header, entry.reply)) {
    return { header: mirrored(header, entry.original), direction: "reply", state: "established" };
  }
  return undefined;
}

class Way {
  readonly #network: Network;
  readonly #translate: Translate;
  readonly #bridging: Bridging;
  readonly #steps: Step[] = [];
  #uncertain = false;
  #by = "sent";
  #pastRules = false;

  constructor(network: Network, translate: Translate) {
    this.#network = network;
    this.#translate = translate;
    this.#bridging = new Bridging(network);
  }

  run(start: PredictionStart): Prediction {
    this.#pastRules = start.pastRules === true;
    const end = this.#start(start);
    return { steps: this.#steps, end, uncertain: this.#uncertain };
  }

  #start({ node, hop, header, destinationMac }: PredictionStart): PredictionEnd {
    if (hop !== undefined) {
      const place = this.#network.place(hop.node, hop.interface);
      if (!place) return { kind: "unknown", node: hop.node, reason: `${hopName(hop)} is not in the snapshot` };
      const toward = destinationMac === undefined ? undefined : this.#bridging.byMac(place, destinationMac);
      return hop.direction === "in" ? this.#arrive(place, header, toward) : this.#leave(place, header, toward);
    }
    const origin = this.#network.snapshot.nodes.find((one) => one.name === node);
    if (!origin) return { kind: "unknown", node: node ?? "", reason: "there is no such node in the snapshot" };
    return this.#output(origin.name, header);
  }

  #step(place: Place, direction: "in" | "out", header: Header, by: string, implied = false): boolean {
    this.#steps.push({ hop: nameOf(place), place, direction, header, implied, by });
    return this.#steps.length < MAXIMUM_STEPS;
  }

  /** Out of an interface that has the frame already: over its link, or, for a bridge, to one of its ports. */
  #leave(place: Place, header: Header, toward: Place | undefined): PredictionEnd {
    if (!this.#step(place, "out", header, this.#by)) return tooLong(place);
    if (place.loopback) return this.#input(place, header, false);
    if (place.interface.bridge || place.ports.length > 0) {
      if (!toward) return this.#flood(place, undefined, header);
      const port = this.#bridging.portToward(place, toward);
      if (!port) return dropped(place, "no-port", `no port of ${nameOf(place)} leads to ${nameOf(toward)}`);
      return this.#toPort(place, undefined, port, header, toward);
    }
    const peer = place.peer;
    if (!peer) {
      if (place.interface.kind === "veth") {
        return {
          kind: "unknown",
          node: place.node.name,
          reason: `the peer of ${nameOf(place)} is not in the snapshot`,
        };
      }
      return { kind: "outside", hop: nameOf(place) };
    }
    if (!peer.interface.up) return dropped(place, "link-down", `${nameOf(peer)} is down`);
    this.#by = "link";
    return this.#arrive(peer, header, toward);
  }

  /** Into an interface from its link. */
  #arrive(place: Place, header: Header, toward: Place | undefined): PredictionEnd {
    if (!this.#step(place, "in", header, this.#by)) return tooLong(place);
    const bridge = place.master;
    if (!bridge) {
      if (toward && toward !== place && !isMulticast(header.destination)) {
        return dropped(place, "wrong-mac", `the frame is addressed to ${nameOf(toward)}, not to ${nameOf(place)}`);
      }
      return this.#input(place, header, true);
    }
    const state = place.interface.port?.state ?? "forwarding";
    if (state !== "forwarding") return dropped(place, "port-state", `port ${nameOf(place)} is ${state}`);
    if (!bridge.interface.up) return dropped(place, "link-down", `bridge ${nameOf(bridge)} is down`);
    const target = toward ?? this.#bridging.owner(bridge, header.destination);
    if (target === bridge) {
      this.#by = `bridge ${bridge.interface.name}`;
      if (!this.#step(bridge, "in", header, this.#by)) return tooLong(place);
      return this.#input(bridge, header, true);
    }
    if (!target) return this.#flood(bridge, place, header);
    const port = this.#bridging.portToward(bridge, target);
    if (!port) return dropped(place, "no-port", `no port of ${nameOf(bridge)} leads to ${nameOf(target)}`);
    if (port === place && place.interface.port?.hairpin !== true) {
      return dropped(place, "hairpin-off", `hairpin mode is off on port ${nameOf(place)}, the way back`);
    }
    if (place.interface.port?.isolated === true && port.interface.port?.isolated === true) {
      return dropped(place, "port-isolated", `ports ${nameOf(place)} and ${nameOf(port)} are isolated from each other`);
    }
    const refused = this.#bridgeNetfilter(bridge, header);
    if (refused) return refused;
    if (!this.#step(bridge, "out", header, `bridge ${bridge.interface.name}`, true)) return tooLong(place);
    return this.#toPort(bridge, place, port, header, target);
  }

  /**
   * With br_netfilter, frames that a bridge passes on between its ports are put to the rules for forwarded packets, as
   * if they came in by the bridge and left by it (net/bridge/br_netfilter_hooks.c). Translations there are not followed.
   */
  #bridgeNetfilter(bridge: Place, header: Header): PredictionEnd | undefined {
    const { node } = bridge;
    const { name } = bridge.interface;
    const switchName = `net.bridge.bridge-nf-call-${header.family === 4 ? "iptables" : "ip6tables"}`;
    if (node.sysctls[switchName] !== "1") return undefined;
    const context = this.#context(bridge, header, this.#translate(node.name, header), name, name);
    const verdict = this.#hook(node.nftables, "forward", header, context, false);
    this.#note(verdict);
    return verdict.kind === "accept" ? undefined : refusedBy(bridge, verdict.kind, verdict.quote, `${switchName} is 1`);
  }

  #toPort(
    bridge: Place,
    from: Place | undefined,
    port: Place,
    header: Header,
    toward: Place | undefined,
  ): PredictionEnd {
    const before = from ?? bridge;
    if (!port.interface.up) return dropped(before, "link-down", `port ${nameOf(port)} is down`);
    const state = port.interface.port?.state ?? "forwarding";
    if (state !== "forwarding") return dropped(before, "port-state", `port ${nameOf(port)} is ${state}`);
    this.#by = `bridge ${bridge.interface.name}`;
    return this.#leave(port, header, toward);
  }

  /** The bridge does not know where the destination is: it goes to every port, and we cannot follow one. */
  #flood(bridge: Place, from: Place | undefined, header: Header): PredictionEnd {
    if (isMulticast(header.destination) || this.#network.isBroadcast(bridge.node.name, header.destination)) {
      return { kind: "delivered", node: bridge.node.name };
    }
    const asked = formatAddress(header.destination);
    return dropped(from ?? bridge, "no-neighbour", `nobody on bridge ${nameOf(bridge)} has ${asked}`);
  }

  /** A frame that came in by an interface of layer 3: prerouting, then to a process or onwards. */
  #input(place: Place, arrived: Header, received: boolean): PredictionEnd {
    const { node } = place;
    const input = place.interface.name;
    let header = arrived;
    const known = this.#translate(node.name, header);
    const context = this.#context(place, header, known, input, undefined);
    const before = this.#hook(node.nftables, "prerouting", header, context, known === undefined);
    if (before.kind !== "accept") return refusedBy(place, before.kind, before.quote);
    this.#note(before);
    const original = known === undefined || known.direction === "original";
    // Destination NAT here; for an answer it is the destination that the request's source NAT had changed.
    if (known) header = { ...header, ...destinationOf(known.header) };
    else header = before.header;
    const local = this.#network.localPlace(node.name, header.destination) !== undefined;
    const route = lookupRoute(node, header, input);
    if (local || route.kind === "local") {
      const verdict = this.#hook(
        node.nftables,
        "input",
        header,
        this.#context(place, header, known, input, undefined),
        known === undefined,
      );
      if (verdict.kind !== "accept") return refusedBy(place, verdict.kind, verdict.quote);
      this.#note(verdict);
      return { kind: "delivered", node: node.name };
    }
    if (isMulticast(header.destination) || this.#network.isBroadcast(node.name, header.destination)) {
      return { kind: "delivered", node: node.name };
    }
    if (isLinkLocal(header.destination)) {
      const reason = `${formatAddress(header.destination)} is link-local, and not an address that the snapshot knows of ${node.name}`;
      return { kind: "unknown", node: node.name, reason };
    }
    const switchName = header.family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
    if (received && node.sysctls[switchName] === "0") {
      return dropped(place, "forwarding-off", `${switchName} is 0 in ${node.name}`);
    }
    const reverse = this.#reversePath(place, header);
    if (reverse) return reverse;
    if (header.ttl !== undefined && header.ttl <= 1) {
      return dropped(place, "ttl-expired", `the TTL is used up in ${node.name}`);
    }
    const lowered = header.ttl === undefined ? header : { ...header, ttl: header.ttl - 1 };
    return this.#forward(place, node.name, lowered, known, input, before.nat, original);
  }

  /** Strict reverse path filtering (rp_filter = 1): the way back must lead out of the interface it came in by. */
  #reversePath(place: Place, header: Header): PredictionEnd | undefined {
    if (header.family !== 4) return undefined;
    const { node } = place;
    const read = (name: string): number => Number(node.sysctls[`net.ipv4.conf.${name}.rp_filter`] ?? "0");
    if (Math.max(read("all"), read(place.interface.name)) !== 1) return undefined;
    const back = lookupRoute(node, { ...header, source: header.destination, destination: header.source });
    if (back.kind === "unicast" && back.interface === place.interface.name) return undefined;
    if (back.kind === "local") return undefined;
    const by = back.kind === "unicast" ? `leads out of ${back.interface}` : "does not exist";
    return dropped(
      place,
      "rp-filter",
      `rp_filter is 1 in ${node.name} and the route back to ${formatAddress(header.source)} ${by}`,
    );
  }

  #forward(
    from: Place,
    nodeName: string,
    arrived: Header,
    known: Translation | undefined,
    input: string,
    nat: RuleQuote | undefined,
    original: boolean,
  ): PredictionEnd {
    const { node } = from;
    const route = lookupRoute(node, arrived, input);
    if (route.kind === "none") {
      return dropped(from, "no-route", `${nodeName} has no route to ${formatAddress(arrived.destination)}`);
    }
    if (route.kind === "refused") return dropped(from, `route-${route.type}`, `${route.text} in ${nodeName}`);
    if (route.kind !== "unicast") return { kind: "delivered", node: nodeName };
    const out = this.#network.place(nodeName, route.interface);
    if (!out) return { kind: "unknown", node: nodeName, reason: `interface ${route.interface} is not in the snapshot` };
    const verdict = this.#hook(
      node.nftables,
      "forward",
      arrived,
      this.#context(from, arrived, known, input, out.interface.name),
      false,
    );
    if (verdict.kind !== "accept") return refusedBy(from, verdict.kind, verdict.quote);
    this.#note(verdict);
    const by = nat && original ? `${route.route.destination}, dnat by ${quoteRule(nat)}` : route.route.destination;
    return this.#post(from, out, arrived, known, input, route.nexthop, `route ${by}`);
  }

  /** Sent by a process of the node. */
  #output(nodeName: string, sent: Header): PredictionEnd {
    const node = this.#network.snapshot.nodes.find((one) => one.name === nodeName);
    const anywhere = this.#network.placesOf(nodeName)[0];
    if (!node || !anywhere) return { kind: "unknown", node: nodeName, reason: `${nodeName} has no interface` };
    const first = lookupRoute(node, sent);
    if (first.kind === "none" && this.#network.localPlace(nodeName, sent.destination) === undefined) {
      return droppedIn(nodeName, "no-route", `${nodeName} has no route to ${formatAddress(sent.destination)}`);
    }
    const known = this.#translate(nodeName, sent);
    const output = first.kind === "unicast" ? first.interface : "lo";
    const context = this.#context(anywhere, sent, known, undefined, output);
    const verdict = this.#hook(node.nftables, "output", sent, context, known === undefined);
    if (verdict.kind !== "accept") return refusedIn(nodeName, verdict.kind, verdict.quote);
    this.#note(verdict);
    const header = known ? { ...verdict.header, ...destinationOf(known.header) } : verdict.header;
    if (this.#network.localPlace(nodeName, header.destination)) {
      const loopback = this.#network.place(nodeName, "lo");
      if (loopback) this.#step(loopback, "out", header, "local");
      return { kind: "delivered", node: nodeName };
    }
    const route = lookupRoute(node, header);
    if (route.kind === "none") {
      return droppedIn(nodeName, "no-route", `${nodeName} has no route to ${formatAddress(header.destination)}`);
    }
    if (route.kind === "refused") return droppedIn(nodeName, `route-${route.type}`, `${route.text} in ${nodeName}`);
    if (route.kind !== "unicast") return { kind: "delivered", node: nodeName };
    const out = this.#network.place(nodeName, route.interface);
    if (!out) return { kind: "unknown", node: nodeName, reason: `interface ${route.interface} is not in the snapshot` };
    return this.#post(undefined, out, header, known, undefined, route.nexthop, `route ${route.route.destination}`);
  }

  /** Postrouting, then the neighbour. */
  #post(
    from: Place | undefined,
    out: Place,
    routed: Header,
    known: Translation | undefined,
    input: string | undefined,
    nexthop: Address,
    by: string,
  ): PredictionEnd {
    const { node } = out;
    const context = this.#context(out, routed, known, input, out.interface.name);
    const verdict = this.#hook(node.nftables, "postrouting", routed, context, known === undefined);
    const before = from ?? out;
    if (verdict.kind !== "accept") return refusedBy(before, verdict.kind, verdict.quote);
    this.#note(verdict);
    const header = known ? { ...routed, ...sourceOf(known.header) } : verdict.header;
    this.#by = verdict.nat ? `${by}, snat by ${quoteRule(verdict.nat)}` : by;
    const fail = (code: string, text: string): PredictionEnd =>
      from ? dropped(from, code, text) : droppedIn(node.name, code, text);
    if (!out.interface.up) return fail("link-down", `${nameOf(out)} is down`);
    if (!out.interface.carrier) return fail("no-carrier", `${nameOf(out)} has no carrier`);
    if (out.loopback) return this.#leave(out, header, out);
    if (isMulticast(nexthop)) return this.#leave(out, header, undefined);
    const toward = this.#bridging.owner(out, nexthop) ?? this.#neighbour(out, nexthop);
    if (!toward) {
      if (!this.#bridging.closed(out)) {
        this.#step(out, "out", header, this.#by);
        return { kind: "outside", hop: nameOf(out) };
      }
      return fail("no-neighbour", `nobody on ${nameOf(out)} answers for ${formatAddress(nexthop)}`);
    }
    return this.#leave(out, header, toward);
  }

  #neighbour(out: Place, nexthop: Address): Place | undefined {
    const entry = out.node.neighbours.find(
      (one) => one.interface === out.interface.name && one.address === formatAddress(nexthop) && one.mac !== undefined,
    );
    return entry?.mac === undefined ? undefined : this.#bridging.byMac(out, entry.mac);
  }

  #context(
    place: Place,
    header: Header,
    known: Translation | undefined,
    input: string | undefined,
    output: string | undefined,
  ): RuleContext {
    const { node } = place;
    const translated = known && (!sameEnds(known.header, header) || undefined);
    const own = place.interface.addresses.find((one) => one.family === header.family && one.scope === "global");
    const local = this.#network.localPlace(node.name, header.destination) !== undefined;
    const broadcast = this.#network.isBroadcast(node.name, header.destination);
    return {
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
      ctState: known?.state ?? "new",
      ctStatus: translated ? ["dnat", "snat"] : [],
      ctDirection: known?.direction ?? "original",
      destinationType: local
        ? "local"
        : broadcast
          ? "broadcast"
          : isMulticast(header.destination)
            ? "multicast"
            : "unicast",
      ...(own === undefined ? {} : { masqueradeAddress: own.address }),
    };
  }

  #hook(...[tables, hook, header, context, nat]: Parameters<typeof applyHook>): RuleVerdict {
    const verdict = applyHook(tables, hook, header, context, nat);
    if (verdict.kind === "accept" || !this.#pastRules) return verdict;
    return { kind: "accept", header, uncertain: true };
  }

  #note(verdict: { readonly uncertain: boolean }): void {
    if (verdict.uncertain) this.#uncertain = true;
  }
}

function nameOf(place: Place): string {
  return `${place.node.name}:${place.interface.name}`;
}

function tooLong(place: Place): PredictionEnd {
  return { kind: "unknown", node: place.node.name, reason: `the way is longer than ${MAXIMUM_STEPS} hops: a loop` };
}
