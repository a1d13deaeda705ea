/** A packet comes to a node: the rules before routing, then the node keeps it or passes it on. */
import { formatAddress, isLinkLocal } from "../model/address.js";
import type { Connection } from "./connection.js";
import type { Header } from "./header.js";
import { leave } from "./leaving.js";
import type { Place } from "./network.js";
import { dropped, type PredictionEnd } from "./prediction.js";
import { checkSource, sysctl } from "./reverse-path.js";
import { lookupRoute } from "./route.js";
import { noteRoute, noWay } from "./sending.js";
import { ended, type Next, type Way } from "./way.js";

export function receive(way: Way, next: Next & { readonly at: "receive" }): Next {
  const { place, received, connection: carried } = next;
  const { node } = place;
  const input = place.interface.name;
  const asked = next.prerouted === undefined ? preroute(way, next) : { ...next.prerouted, header: next.header };
  if ("kind" in asked) return ended(asked);
  const { header, before: arrived, connection } = asked;
  // Also of what goes no further: an error about it is changed back.
  if (carried === undefined) way.passed(node.name, connection, arrived, header);
  const passing: Passing = { place, input, before: arrived, header, connection, received };

  const type = way.typeOf(node.name, header);
  const route = lookupRoute(node, header, input);
  if (type === "broadcast" || type === "multicast")
    return ended({ kind: "delivered", node: node.name, header, to: "group" });
  const local = type === "local" || route.kind === "local";
  if (received && (local || route.kind === "unicast")) {
    const unaccepted = checkSource(way.network, place, header);
    if (unaccepted && (local || forwards(passing) === undefined))
      return ended(dropped(node.name, "router", header, unaccepted.code, unaccepted.text));
  }
  if (local) return deliver(way, passing, carried !== undefined);
  return forward(way, passing);
}

/** The rules before routing, with connection tracking and destination NAT. */
function preroute(
  way: Way,
  { place: { node, interface: input }, header, connection: carried }: Next & { readonly at: "receive" },
): Pick<Passing, "header" | "before" | "connection"> | PredictionEnd {
  const connection = carried ?? way.connection(node.name, header);
  const context = { tracked: carried !== undefined, input: input.name };
  const asked = way.ask("prerouting", { node, role: "receiver", header, connection, ...context });
  return asked.end ?? { header: asked.header, before: header, connection: asked.connection ?? connection };
}

interface Passing {
  readonly place: Place;
  readonly input: string;
  /** As it came, before NAT. */
  readonly before: Header;
  readonly header: Header;
  readonly connection: Connection;
  readonly received: boolean;
}

/** @param own the node sent it itself, over its loopback */
function deliver(way: Way, { place, input, before, header, connection }: Passing, own: boolean): Next {
  const { node } = place;
  way.note(node.name, "routing", "route", `${formatAddress(header.destination)} is an address of ${node.name}`);
  const asked = way.ask("input", { node, role: "receiver", header, connection, input });
  if (asked.end) return ended(asked.end);
  if (!own) way.passed(node.name, asked.connection ?? connection, before, asked.header);
  return ended({ kind: "delivered", node: node.name, header: asked.header, to: "process" });
}

function forward(way: Way, passing: Passing): Next {
  const { place, input, before, header, connection } = passing;
  const { node } = place;
  if (isLinkLocal(header.destination)) {
    const reason = `${formatAddress(header.destination)} is link-local, and not an address that the snapshot knows of ${node.name}`;
    return ended({ kind: "unknown", node: node.name, reason });
  }
  const drop = (code: string, text: string): Next => ended(dropped(node.name, "router", header, code, text));
  const route = lookupRoute(node, header, input);
  const off = forwards(passing);
  // IPv6 answers for a route that is missing or refuses, even where it forwards nothing (ip6_pkt_discard).
  if (off !== undefined && (header.family === 4 || route.kind === "unicast")) return drop("forwarding-off", off);
  noteRoute(way, node, route, header.destination);
  if (route.kind === "none" || route.kind === "refused") return ended(noWay(node, "router", header, route));
  if (route.kind !== "unicast") return ended({ kind: "delivered", node: node.name, header, to: "group" });
  if (header.ttl !== undefined && header.ttl <= 1) return drop("ttl-expired", `the TTL is used up in ${node.name}`);
  const lowered = header.ttl === undefined ? header : { ...header, ttl: header.ttl - 1 };
  const output = route.interface;
  if (way.network.place(node.name, output) === undefined)
    return ended({ kind: "unknown", node: node.name, reason: `interface ${output} is not in the snapshot` });
  const asked = way.ask("forward", { node, role: "router", header: lowered, connection, input, output });
  if (asked.end) return ended(asked.end);
  return leave(way, {
    ...{ node, input, output, before },
    nexthop: route.nexthop,
    header: asked.header,
    connection: asked.connection ?? connection,
  });
}

/** @returns the sysctl that forbids it; undefined where the node forwards */
function forwards({ place, header, received }: Passing): string | undefined {
  if (!received) return undefined;
  const { node } = place;
  const all = header.family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  // IPv4 asks the interface that it came in by, which `ip_forward` sets with all others (IN_DEV_FORWARD).
  const own = header.family === 4 ? sysctl(place.interface.name, "forwarding") : all;
  const decisive = node.sysctls[own] === undefined ? all : own;
  if (node.sysctls[decisive] !== "0") return undefined;
  return `${node.sysctls[all] === "0" ? all : decisive} is 0 in ${node.name}`;
}
