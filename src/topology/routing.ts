/**
 * Fifth step: routes, over any number of routers ([shortest-ways](shortest-ways.ts)).
 *
 * They lead over links that are up. What those do not lead to keeps the way that it has with all links up, so that all of
 * it is there once they are: a route over an interface that is down waits for it (`plan/waiting.ts`), and the other nodes
 * send to where the way ends.
 */
import { contains, type Family, formatAddress, formatPrefix, parsePrefix } from "../model/address.js";
import { isUp } from "./devices.js";
import type { Draft, DraftNode } from "./draft.js";
import type { ResolvedRoute } from "./resolved.js";
import { segmentsOf, type Subnet, subnetsOf } from "./segment.js";
import { routesOf } from "./shortest-ways.js";
import { type Routers, routersOf } from "./vrf.js";
import { wireName } from "./wire-name.js";

export interface Routing {
  readonly routes: ReadonlyMap<DraftNode, readonly ResolvedRoute[]>;
  /** Those among them whose gateway cannot be heard, since a link is down. */
  readonly severed: ReadonlyMap<DraftNode, readonly ResolvedRoute[]>;
  readonly forwards: (node: DraftNode, family: Family) => boolean;
}

export function planRoutes(draft: Draft): Routing {
  const segments = segmentsOf(draft);
  const allUp = segments.every((segment) => segment.every(isUp));
  const upSegments = allUp ? segments : segmentsOf(draft, isUp);
  const routers = routersOf(draft);
  const routes = new Map<DraftNode, ResolvedRoute[]>();
  const severed = new Map<DraftNode, ResolvedRoute[]>();
  const forwarding = new Map<Family, ReadonlySet<DraftNode>>();
  for (const family of [4, 6] as const) {
    const subnets = subnetsOf(segments, family, routers.of);
    const transit = forwardingNodes(routers, subnets, family);
    forwarding.set(family, new Set([...transit].map((router) => routers.home(router).node)));
    const whole = routesOf(draft, routers, subnets, transit, family);
    const upSubnets = allUp ? subnets : subnetsOf(upSegments, family, routers.of);
    const over = allUp ? whole : routesOf(draft, routers, upSubnets, transit, family);
    for (const router of new Set([...over.keys(), ...whole.keys()])) {
      const { node, table } = routers.home(router);
      const found = over.get(router) ?? [];
      const left = allUp ? [] : (whole.get(router) ?? []).filter((route) => !found.some((own) => covers(own, route)));
      const inTable = (route: ResolvedRoute): ResolvedRoute => (table === undefined ? route : { ...route, table });
      append(routes, node, [...found, ...left].map(inTable));
      append(severed, node, left.filter((route) => !hears(router, route, upSubnets)).map(inTable));
    }
  }
  return { routes, severed, forwards: (node, family) => forwarding.get(family)?.has(node) ?? false };
}

function append(lists: Map<DraftNode, ResolvedRoute[]>, node: DraftNode, routes: readonly ResolvedRoute[]): void {
  if (routes.length > 0) lists.set(node, [...(lists.get(node) ?? []), ...routes]);
}

/** Whether what one route leads to is all that the other leads to, and perhaps more. */
function covers(wide: ResolvedRoute, narrow: ResolvedRoute): boolean {
  const [outer, inner] = [parsePrefix(wide.destination), parsePrefix(narrow.destination)];
  return outer !== undefined && inner !== undefined && contains(outer, inner);
}

/** Whether a node and the gateway of one of its routes are in one subnet. */
function hears(node: DraftNode, { interface: name, gateway }: ResolvedRoute, subnets: readonly Subnet[]): boolean {
  return subnets.some(
    ({ attachments }) =>
      attachments.some((own) => own.node === node && wireName(own.interface.name) === name) &&
      attachments.some(({ address }) => formatAddress(address.address) === gateway),
  );
}

/**
 * Nodes in more than one network, or with a way out; not those that run a container, which is the end of a way even with
 * a foot in two networks. A sysctl of the node has the last word.
 */
function forwardingNodes({ all }: Routers, subnets: readonly Subnet[], family: Family): Set<DraftNode> {
  const counts = new Map<DraftNode, Set<string>>();
  for (const { attachments } of subnets) {
    for (const {
      node,
      interface: { name },
      subnet,
    } of attachments) {
      const networks = counts.get(node) ?? new Set();
      counts.set(node, networks.add(`${name} ${formatPrefix(subnet)}`));
    }
  }
  const name = family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  return new Set(
    all.filter((node) => {
      const said = node.form.sysctls?.[name];
      if (said !== undefined) return String(said) !== "0";
      if (node.form.container) return false;
      const networks = counts.get(node)?.size ?? 0;
      return networks > 1 || (networks > 0 && node.form.uplink === true);
    }),
  );
}
