/** What a namespace forwards by, as a snapshot holds it: routes, policy rules, neighbours, forwarding entries. */
import { RTNH_F_DEAD, RTNH_F_LINKDOWN } from "../kernel/rtnetlink/constants.js";
import type { FdbEntry, Neighbour, PolicyRule, Route } from "../kernel/rtnetlink/index.js";
import type { FdbEntrySnapshot, NeighbourSnapshot, PolicyRuleSnapshot, RouteSnapshot } from "../model/snapshot.js";

/** Name of a link by its index; undefined for none, or one that is gone. */
export type LinkName = (index: number | undefined) => string | undefined;

const routeTypes: ReadonlySet<string> = new Set<RouteSnapshot["type"]>([
  "unicast",
  "local",
  "broadcast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
]);

/** @returns undefined for kinds of route that no packet is forwarded by (anycast, NAT of old) */
export function toRoute(route: Route, linkName: LinkName): RouteSnapshot | undefined {
  if (!routeTypes.has(route.type)) return undefined;
  return {
    family: route.family,
    destination: route.destination,
    type: route.type as RouteSnapshot["type"], // it is one of the set
    table: route.table,
    protocol: route.protocol,
    scope: route.scope,
    metric: route.metric,
    ...(route.preferredSource === undefined ? {} : { preferredSource: route.preferredSource }),
    nexthops: route.nexthops.map((hop) => {
      const name = linkName(hop.index);
      return {
        ...(hop.gateway === undefined ? {} : { gateway: hop.gateway }),
        ...(name === undefined ? {} : { interface: name }),
        weight: hop.weight ?? 1,
        dead: ((hop.flags ?? 0) & RTNH_F_DEAD) !== 0,
        ...(((hop.flags ?? 0) & RTNH_F_LINKDOWN) === 0 ? {} : { linkdown: true as const }),
      };
    }),
  };
}

export function toRule(rule: PolicyRule): PolicyRuleSnapshot {
  return {
    family: rule.family,
    priority: rule.priority,
    ...(rule.source === undefined ? {} : { source: rule.source }),
    ...(rule.destination === undefined ? {} : { destination: rule.destination }),
    ...(rule.inputInterface === undefined ? {} : { inputInterface: rule.inputInterface }),
    ...(rule.outputInterface === undefined ? {} : { outputInterface: rule.outputInterface }),
    ...(rule.mark === undefined ? {} : { mark: rule.mark }),
    ...(rule.l3mdev === true ? { l3mdev: true as const } : {}),
    action: rule.action,
    ...(rule.table === undefined ? {} : { table: rule.table }),
    ...(rule.mask === undefined || rule.mask === 0xffffffff ? {} : { mask: rule.mask }),
    ...(rule.goto === undefined ? {} : { goto: rule.goto }),
    ...(rule.suppressPrefixLength === undefined ? {} : { suppressPrefixLength: rule.suppressPrefixLength }),
  };
}

export function toNeighbour(neighbour: Neighbour, linkName: LinkName): NeighbourSnapshot | undefined {
  const name = linkName(neighbour.index);
  if (name === undefined) return undefined;
  return {
    family: neighbour.family,
    address: neighbour.address,
    ...(neighbour.mac === undefined ? {} : { mac: neighbour.mac }),
    interface: name,
    state: neighbour.state,
  };
}

export function toFdbEntry(entry: FdbEntry, linkName: LinkName): FdbEntrySnapshot | undefined {
  const name = linkName(entry.index);
  if (name === undefined) return undefined;
  const bridge = linkName(entry.master);
  return {
    mac: entry.mac,
    interface: name,
    ...(bridge === undefined ? {} : { bridge }),
    local: entry.local,
    ...(entry.remote === undefined ? {} : { remote: entry.remote }),
  };
}
