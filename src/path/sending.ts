/** A process of a node sends: a route, the rules for output, a second route where they changed the packet. */
import type { NodeSnapshot } from "../model/snapshot.js";
import { formatAddress } from "../model/address.js";
import type { Header } from "./header.js";
import { leave } from "./leaving.js";
import { cause, type PredictionEnd } from "./prediction.js";
import { lookupRoute, type RouteResult, routeText, ruleText } from "./route.js";
import { ended, type Next, type Way } from "./way.js";

export function send(way: Way, { node, header: sent, unbound }: Next & { readonly at: "send" }): Next {
  if (node.interfaces.length === 0)
    return ended({ kind: "unknown", node: node.name, reason: `${node.name} has no interface` });
  const first = firstRoute(way, node, sent, unbound);
  if (isEnd(first)) return ended(first);
  const found = way.connection(node.name, sent);
  const asked = way.ask("output", {
    ...{ node, role: "sender", header: sent, connection: found, tracked: false, output: first.output },
  } as const);
  if (asked.end) return ended(asked.end);
  const { header } = asked;
  const connection = asked.connection ?? found;
  const changed = header.destination !== sent.destination || header.mark !== sent.mark;
  const route = changed ? routeFrom(way, node, header) : first;
  if (isEnd(route)) return ended(route);
  return leave(way, { ...{ node, header, before: sent, connection }, output: route.output, nexthop: route.nexthop });
}

/** IPv6 tries again with the source where there is no route without it (ip6_dst_lookup_tail); IPv4 does not. */
function firstRoute(
  way: Way,
  node: NodeSnapshot,
  sent: Header,
  unbound: "once" | "twice" | undefined,
): Routed | PredictionEnd {
  if (unbound === undefined) return routeFrom(way, node, sent);
  const blank = { ...sent, source: { family: sent.family, value: 0n } };
  const { kind } = lookupRoute(node, blank);
  const local = way.network.localPlace(node.name, sent.destination) !== undefined;
  const found = local || (kind !== "none" && kind !== "refused");
  const again = found ? unbound === "twice" : sent.family === 6;
  return routeFrom(way, node, again ? sent : blank);
}

interface Routed {
  readonly output: string;
  readonly nexthop: Header["destination"];
}

function isEnd(found: Routed | PredictionEnd): found is PredictionEnd {
  return "kind" in found;
}

function routeFrom(way: Way, node: NodeSnapshot, header: Header): Routed | PredictionEnd {
  const { destination } = header;
  if (way.network.localPlace(node.name, destination) !== undefined) {
    way.note(node.name, "routing", "route", `${formatAddress(destination)} is an address of ${node.name} itself`);
    return { output: "lo", nexthop: destination };
  }
  const route = lookupRoute(node, header);
  noteRoute(way, node, route, destination);
  switch (route.kind) {
    case "unicast":
      return { output: route.interface, nexthop: route.nexthop };
    case "local":
      return { output: "lo", nexthop: destination };
    case "broadcast":
    case "multicast":
      return route.interface === undefined
        ? { kind: "delivered", node: node.name, header, to: "group" }
        : { output: route.interface, nexthop: destination };
    default:
      return noWay(node, "sender", header, route);
  }
}

/** Why there is no way on. */
export function noWay(
  node: NodeSnapshot,
  role: "sender" | "router",
  header: Header,
  route: RouteResult & { readonly kind: "refused" | "none" },
): PredictionEnd {
  const reason =
    route.kind === "none"
      ? cause("no-route", `${node.name} has no route to ${formatAddress(header.destination)}`)
      : cause(`route-${route.type}`, `${route.text} in ${node.name}`);
  return { kind: "dropped", node: node.name, role, header, cause: reason };
}

export function noteRoute(way: Way, node: NodeSnapshot, route: RouteResult, destination: Header["destination"]): void {
  if (route.rule !== undefined && route.kind !== "refused")
    way.note(node.name, "routing", "policy-rule", ruleText(route.rule));
  if (route.kind !== "unicast") return;
  way.note(node.name, "routing", "route", routeText(route, destination));
  if (route.oneOf > 1)
    way.doubt(
      node.name,
      `the kernel takes the first of ${route.oneOf} next hops of route ${route.route.destination}`,
      true,
    );
}
