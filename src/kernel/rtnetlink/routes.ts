/** Routes: what `ip route` shows and does. */
import { type Infer, ipFamily } from "../codec/index.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type RouteMessage, type metricAttributes, routeMessage, rtmsg } from "./messages.js";

export type RouteType = (typeof k.routeTypes)[number];
export type RouteMetrics = Infer<typeof metricAttributes>;

export interface Nexthop {
  readonly gateway?: string | undefined;
  /** Index of the link. */
  readonly index?: number | undefined;
  /** 1 to 256. */
  readonly weight?: number | undefined;
  /** RTNH_F_*: onlink 4; dead 1 and linkdown 16 in what the kernel shows. */
  readonly flags?: number | undefined;
}

export interface Route {
  readonly family: 4 | 6;
  /** `10.0.0.0/24`; `0.0.0.0/0` and `::/0` for the default route. */
  readonly destination: string;
  readonly source: string | undefined;
  readonly type: RouteType;
  readonly table: number;
  /** RTPROT_*. */
  readonly protocol: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** Lower wins; 0 where the kernel shows none. */
  readonly metric: number;
  readonly preferredSource: string | undefined;
  /** One for an ordinary route, several for multipath, none for a blackhole. */
  readonly nexthops: readonly Nexthop[];
  readonly metrics: RouteMetrics | undefined;
  /** RTM_F_*. */
  readonly flags: number;
}

export interface NewRoute {
  /** With prefix length. */
  readonly destination: string;
  /** Default `unicast`. */
  readonly type?: RouteType;
  /** One or several; the short form below does for one. */
  readonly nexthops?: readonly Nexthop[];
  readonly gateway?: string;
  readonly index?: number;
  readonly metric?: number;
  /** Default main (254). */
  readonly table?: number;
  /** Default static (4). */
  readonly protocol?: number;
  /** Default: link for IPv4 without a gateway, else universe. */
  readonly scope?: number;
  readonly preferredSource?: string;
  readonly metrics?: RouteMetrics;
  /** The gateway is reachable on the link though no route says so. */
  readonly onlink?: boolean;
}

/**
 * @param filter by table, family and link: the kernel filters where it can, and the rest is done here. Throws ENOENT for
 *   a table that does not exist.
 */
export function list(
  filter: { readonly family?: 4 | 6; readonly table?: number; readonly index?: number } = {},
): Request<Route[]> {
  const family = filter.family === undefined ? k.AF_UNSPEC : k.addressFamily(filter.family);
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETROUTE,
    flags: NLM_F_DUMP,
    reads: true,
    schema: routeMessage,
    value: {
      header: { ...rtmsg.zero, family },
      attributes: { outputIndex: filter.index, table: filter.table },
    },
    operation: "route.list",
    reply: routeMessage,
    // The cache of IPv6 (clones) is no part of the table.
    item: (message) => {
      const route = toRoute(message);
      const other = filter.table !== undefined && route?.table !== filter.table;
      return route === undefined || other || (route.flags & k.RTM_F_CLONED) !== 0 ? undefined : route;
    },
    result: (all) => all,
  });
}

export interface Lookup {
  readonly from?: string;
  readonly mark?: number;
  /** Index of the link on which the packet arrives: then the answer is about forwarding it. */
  readonly inputIndex?: number;
  /** IPPROTO_*, ports: for rules that look at them. */
  readonly ipProtocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/**
 * The way that the kernel would take to an address (`ip route get`). Throws ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL
 * as a packet would meet them: no route, unreachable, prohibit, blackhole.
 */
export function lookup(destination: string, options: Lookup = {}): Request<Route> {
  const family = ipFamily(destination);
  const bits = family === 4 ? 32 : 128;
  const { from, mark, inputIndex, ipProtocol, sourcePort, destinationPort } = options;
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETROUTE,
    flags: 0,
    reads: true,
    schema: routeMessage,
    value: {
      header: {
        ...rtmsg.zero,
        family: k.addressFamily(family),
        destinationLength: bits,
        sourceLength: from === undefined ? 0 : bits,
        // IPv6 tells the table without being asked, and refuses the flag.
        flags: family === 4 ? k.RTM_F_LOOKUP_TABLE : 0,
      },
      attributes: {
        destination,
        source: from,
        inputIndex,
        mark,
        ipProtocol,
        sourcePort,
        destinationPort,
      },
    },
    operation: "route.lookup",
    object: destination,
    reply: routeMessage,
    item: toRoute,
    result: ([route]) => {
      if (route === undefined) throw new Error(`route.lookup ${destination}: no route in the reply`);
      return route;
    },
  });
}

/** Throws EEXIST where there is such a route, with `add`. ENETUNREACH: the gateway is not on any link. */
export function add(route: NewRoute, verb: k.Verb = "add"): Request<void> {
  return change("route.add", k.RTM_NEWROUTE, k.verbs[verb], route);
}

/** Throws ESRCH where there is no such route. */
export function remove(route: NewRoute): Request<void> {
  return change("route.remove", k.RTM_DELROUTE, NLM_F_ACK, route);
}

function change(operation: string, type: number, flags: number, route: NewRoute): Request<void> {
  const { destination, metric, table = k.RT_TABLE_MAIN, preferredSource, metrics } = route;
  const [prefix = "", length] = destination.split("/");
  const family = ipFamily(prefix);
  const nexthops = nexthopsOf(route);
  const [only] = nexthops;
  const several = nexthops.length > 1;
  const isNew = type === k.RTM_NEWROUTE;
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: routeMessage,
    value: {
      header: {
        ...rtmsg.zero,
        family: k.addressFamily(family),
        destinationLength: length === undefined ? (family === 4 ? 32 : 128) : Number(length),
        // A larger number goes into an attribute of its own.
        table: table > 255 ? 0 : table,
        protocol: route.protocol ?? (isNew ? k.RTPROT_STATIC : 0),
        scope: route.scope ?? (isNew ? defaultScope(route, family, nexthops) : k.RT_SCOPE_NOWHERE),
        type: k.routeTypes.indexOf(route.type ?? (isNew ? "unicast" : "unspec")),
        flags: !several && route.onlink === true ? k.RTNH_F_ONLINK : several ? 0 : (only?.flags ?? 0),
      },
      attributes: {
        destination: Number(length) === 0 ? undefined : prefix,
        gateway: several ? undefined : sameFamily(only?.gateway, family),
        via: several ? undefined : otherFamily(only?.gateway, family),
        preferredSource,
        outputIndex: several ? undefined : only?.index,
        priority: metric,
        metrics,
        multipath: several ? nexthops.map((hop) => toWire(hop, family)) : undefined,
        table: table > 255 ? table : undefined,
      },
    },
    operation,
    object: destination,
    result: () => undefined,
  });
}

function nexthopsOf({ nexthops, gateway, index }: NewRoute): readonly Nexthop[] {
  if (nexthops !== undefined) return nexthops;
  return gateway === undefined && index === undefined ? [] : [{ gateway, index }];
}

/** As ip(8) chooses: an IPv4 route without a gateway ends on the link. */
function defaultScope({ type = "unicast" }: NewRoute, family: 4 | 6, nexthops: readonly Nexthop[]): number {
  if (type === "local") return k.RT_SCOPE_HOST;
  const direct = nexthops.length > 0 && nexthops.every(({ gateway }) => gateway === undefined);
  return family === 4 && direct && type === "unicast" ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE;
}

function sameFamily(gateway: string | undefined, family: 4 | 6): string | undefined {
  return gateway !== undefined && ipFamily(gateway) === family ? gateway : undefined;
}

function otherFamily(gateway: string | undefined, family: 4 | 6): string | undefined {
  return gateway !== undefined && ipFamily(gateway) !== family ? gateway : undefined;
}

function toWire({ gateway, index = 0, weight = 1, flags = 0 }: Nexthop, family: 4 | 6) {
  return {
    header: { length: 0, flags, hops: weight - 1, index },
    attributes: { gateway: sameFamily(gateway, family), via: otherFamily(gateway, family) },
  };
}

/** @returns undefined for a route of another family (multicast, MPLS) */
export function toRoute({ header, attributes: a }: RouteMessage): Route | undefined {
  if (header.family !== k.AF_INET && header.family !== k.AF_INET6) return undefined;
  const family = header.family === k.AF_INET ? 4 : 6;
  const any = family === 4 ? "0.0.0.0" : "::";
  return {
    family,
    destination: `${a.destination ?? any}/${header.destinationLength}`,
    source: header.sourceLength === 0 || a.source === undefined ? undefined : `${a.source}/${header.sourceLength}`,
    type: k.routeTypes[header.type] ?? "unspec",
    table: a.table ?? header.table,
    protocol: header.protocol,
    scope: header.scope,
    metric: a.priority ?? 0,
    preferredSource: a.preferredSource,
    nexthops: readNexthops(header.flags, a),
    metrics: a.metrics,
    flags: header.flags,
  };
}

function readNexthops(flags: number, a: RouteMessage["attributes"]): Nexthop[] {
  if (a.multipath !== undefined) {
    return a.multipath.map(({ header, attributes }) => ({
      gateway: attributes.gateway ?? attributes.via,
      index: header.index,
      weight: header.hops + 1,
      flags: header.flags,
    }));
  }
  if (a.outputIndex === undefined && a.gateway === undefined && a.via === undefined) return [];
  return [{ gateway: a.gateway ?? a.via, index: a.outputIndex, weight: 1, flags: flags & 0xff }];
}
