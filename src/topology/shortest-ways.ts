/**
 * The shortest ways through the given subnets, the same each time.
 *
 * Distances grow outwards from each subnet, router by router; of equal ones the router that stands first in the file is
 * taken. A subnet behind a masquerade is announced to nobody who would be answered from another address than he asked:
 * a router does not offer it through the interface that the masquerade is for. Else the lesson of NAT would be lost.
 */
import {
  contains,
  defaultPrefix,
  type Family,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../model/address.js";
import type { Draft, DraftInterface, DraftNode } from "./draft.js";
import type { RouteForm } from "./form/node.js";
import { listOf } from "./merge.js";
import type { ResolvedRoute } from "./resolved.js";
import { type Attachment, groupBy, type Subnet } from "./segment.js";
import type { Routers } from "./vrf.js";
import { wireName } from "./wire-name.js";

/** The next router on the way, and the interface by which a packet leaves for it. */
interface Hop {
  readonly via: Attachment;
  readonly out: DraftInterface;
}

/** A network that others shall reach. */
interface Destination {
  readonly prefix: Prefix;
  readonly hops: ReadonlyMap<DraftNode, Hop>;
  readonly home: ReadonlySet<DraftNode>;
}

function routingOf(draft: Draft, node: DraftNode): "auto" | "none" {
  return node.form.routing ?? draft.form.routing ?? "auto";
}

/** Routes of each node that works them out, over the subnets of one family. @param forwarding who passes packets on */
export function routesOf(
  draft: Draft,
  routers: Routers,
  subnets: readonly Subnet[],
  forwarding: ReadonlySet<DraftNode>,
  family: Family,
): Map<DraftNode, ResolvedRoute[]> {
  const auto = new Set(routers.all.filter((node) => routingOf(draft, node) === "auto"));
  const transit = new Set([...forwarding].filter((node) => auto.has(node)));
  const links = neighbourhood(subnets);
  const uplinks = new Set([...auto].filter((node) => node.form.uplink === true));
  const everywhere = parsePrefix(defaultPrefix(family));
  const homes = [...groupBy(subnets, ({ prefix }) => formatPrefix(prefix)).values()].flatMap(([first, ...more]) =>
    first ? [{ prefix: first.prefix, home: nodesOf([first, ...more]) }] : [],
  );
  if (everywhere && uplinks.size > 0) homes.push({ prefix: everywhere, home: uplinks });
  const destinations = homes.map(({ prefix, home }) => ({
    prefix,
    home,
    hops: hopsTo(prefix, home, links, transit),
  }));

  const found = new Map<DraftNode, ResolvedRoute[]>();
  for (const node of auto) {
    const { table } = routers.home(node);
    const written = new Set(
      (node.form.routes ?? []).flatMap((route) =>
        isIn(table, node, route) ? (writtenDestination(route, family) ?? []) : [],
      ),
    );
    const own = transit.has(node)
      ? routerRoutes(node, destinations)
      : endRoutes(draft, routers, node, destinations, links, transit, family);
    const fresh = own.filter((route) => !written.has(route.destination));
    if (fresh.length > 0) found.set(node, fresh);
  }
  return found;
}

function nodesOf(subnets: readonly Subnet[]): Set<DraftNode> {
  return new Set(subnets.flatMap(({ attachments }) => attachments.map(({ node }) => node)));
}

/** Whether a route of the file stands among those of a router: in the table of the vrf that it is, or in main. */
function isIn(table: number | undefined, { interfaces }: DraftNode, route: RouteForm): boolean {
  // The routes of a vrf are its own by then (`routersOf`).
  if (table !== undefined) return true;
  const out = route.interface === undefined ? undefined : interfaces.get(route.interface);
  return route.table === undefined && route.vrf === undefined && out?.vrf === undefined;
}

/** The destination of a route of the file, where it takes the place of ours. */
function writtenDestination(route: RouteForm, family: Family): string | undefined {
  if (route.to !== "default") {
    const prefix = parsePrefix(route.to);
    return prefix && formatPrefix(prefix);
  }
  const via = route.via === undefined ? undefined : parseAddress(route.via);
  return via === undefined || via.family === family ? defaultPrefix(family) : undefined;
}

/** Who can hand a packet to whom: each attachment with the others of its subnet. */
type Neighbourhood = ReadonlyMap<DraftNode, readonly { readonly own: Attachment; readonly subnet: Subnet }[]>;

function neighbourhood(subnets: readonly Subnet[]): Neighbourhood {
  const links = new Map<DraftNode, { own: Attachment; subnet: Subnet }[]>();
  for (const subnet of subnets) {
    for (const own of subnet.attachments) {
      const list = links.get(own.node);
      if (list) list.push({ own, subnet });
      else links.set(own.node, [{ own, subnet }]);
    }
  }
  return links;
}

/** Breadth first from the nodes that are in the destination. */
function hopsTo(
  prefix: Prefix,
  home: ReadonlySet<DraftNode>,
  links: Neighbourhood,
  transit: ReadonlySet<DraftNode>,
): Map<DraftNode, Hop> {
  const hops = new Map<DraftNode, Hop>();
  let frontier = [...home].filter((node) => transit.has(node)).toSorted((a, b) => a.index - b.index);
  while (frontier.length > 0) {
    const next = new Set<DraftNode>();
    for (const router of frontier) {
      const egress = hops.get(router)?.out;
      for (const { own, subnet } of links.get(router) ?? []) {
        if (own.interface === egress || contains(subnet.prefix, prefix) || hides(router, own.interface, prefix))
          continue;
        for (const { node, interface: out } of subnet.attachments) {
          if (node === router || home.has(node) || hops.has(node)) continue;
          hops.set(node, { via: own, out });
          if (transit.has(node)) next.add(node);
        }
      }
    }
    frontier = [...next].toSorted((a, b) => a.index - b.index);
  }
  return hops;
}

/** Whether a router's NAT gives what comes from a network another source on its way out by this interface. */
function hides(router: DraftNode, out: DraftInterface, prefix: Prefix): boolean {
  return (router.form.nat ?? []).some((rule) => {
    if (rule.action !== "masquerade" && rule.action !== "snat") return false;
    if (rule.out !== undefined && rule.out !== out.name) return false;
    const sources = listOf(rule.from).flatMap((from) => parsePrefix(from) ?? []);
    return rule.from === undefined || sources.some((source) => contains(source, prefix));
  });
}

function routerRoutes(node: DraftNode, destinations: readonly Destination[]): ResolvedRoute[] {
  return destinations.flatMap(({ prefix, home, hops }) => {
    const hop = hops.get(node);
    return hop && !home.has(node) ? [routeVia(prefix, hop)] : [];
  });
}

/** One gateway for everything where there is but one and it hides nothing; else a route for each network. */
function endRoutes(
  draft: Draft,
  routers: Routers,
  node: DraftNode,
  destinations: readonly Destination[],
  links: Neighbourhood,
  transit: ReadonlySet<DraftNode>,
  family: Family,
): ResolvedRoute[] {
  const own = links.get(node) ?? [];
  const gateways = new Set<DraftNode>();
  for (const { subnet } of own) {
    for (const other of subnet.attachments)
      if (transit.has(other.node) && other.node !== node) gateways.add(other.node);
  }
  const specific = routerRoutes(node, destinations);
  const everywhere = parsePrefix(defaultPrefix(family));
  const [gateway] = gateways;
  const used = destinations.flatMap(({ hops, home }) => (home.has(node) ? [] : (hops.get(node) ?? [])));
  const hop = used.find(({ via }) => via.node === gateway);
  if (gateways.size === 1 && gateway && hop && everywhere) {
    const hidden = destinations.some(({ home, hops }) => {
      if (home.has(node) || hops.has(node)) return false;
      return home.has(gateway) || hops.has(gateway);
    });
    return hidden ? specific : [routeVia(everywhere, hop)];
  }
  if (gateways.size === 0 && everywhere) {
    const lan = draft.networks.find(
      ({ members, bridge }) =>
        routers.of(bridge) !== node && members.some((member) => routers.of(member.interface) === node),
    );
    const via = lan && gatewayOf(own, lan.bridge);
    if (via) return [routeVia(everywhere, via)];
  }
  return specific;
}

/** A network's gateway is its members' default route even where it leads nowhere else: that is what `networks` says. */
function gatewayOf(own: readonly { own: Attachment; subnet: Subnet }[], bridge: DraftInterface): Hop | undefined {
  for (const { own: attachment, subnet } of own) {
    const via = subnet.attachments.find((other) => other.interface === bridge);
    if (via) return { via, out: attachment.interface };
  }
  return undefined;
}

function routeVia(prefix: Prefix, { via, out }: Hop): ResolvedRoute {
  return {
    family: prefix.family,
    destination: formatPrefix(prefix),
    type: "unicast",
    gateway: formatAddress(via.address.address),
    interface: wireName(out.name),
  };
}
