/** Addresses, routes, policy rules and neighbours of one node: what differs. */
import { isLinkLocal, isLoopback, parseAddress } from "../model/address.js";
import type { NeighbourSnapshot, PolicyRuleSnapshot, RouteSnapshot } from "../model/snapshot.js";
import type {
  ResolvedAddress,
  ResolvedNeighbour,
  ResolvedNode,
  ResolvedPolicyRule,
  ResolvedRoute,
} from "../topology/resolved.js";
import type { CurrentNode } from "./current.js";
import { equal } from "./equal.js";
import type { Draft } from "./phase.js";
import { waits } from "./up.js";

const mainTable = 254;
/** RTPROT_BOOT and RTPROT_STATIC: routes that somebody wrote; all others are the kernel's or a daemon's. */
const written = new Set([3, 4]);
/** IP6_RT_PRIO_USER (linux/ipv6_route.h): the metric of an IPv6 route that names none. */
const ipv6Metric = 1024;

export interface Layer3Context {
  readonly draft: Draft;
  readonly name: string;
  /** Absent: the node goes, and so does all that is in it. */
  readonly wanted: ResolvedNode | undefined;
  readonly current: CurrentNode | undefined;
  /** Why what is on an interface of now does not stay there, or has to come anew; undefined where it stays. */
  readonly lost: (interfaceName: string) => string | undefined;
  /** Why what an interface that goes down loses has to come anew; undefined where it neither goes down nor comes up. */
  readonly cycles: (interfaceName: string) => string | undefined;
  /** Whether what the topology does not name may be taken away from this interface. */
  readonly ours: (interfaceName: string) => boolean;
}

/** Why an address does not stay: only those of IPv6 go with an interface that goes down. */
function lossOf({ lost, cycles }: Layer3Context, name: string, family: 4 | 6): string | undefined {
  return lost(name) ?? (family === 6 ? cycles(name) : undefined);
}

export function planAddresses(context: Layer3Context): void {
  const { draft, name, wanted, current, ours } = context;
  const members = new Map((wanted?.interfaces ?? []).map((member) => [member.name, member]));
  for (const existing of current?.interfaces.values() ?? []) {
    const keep = members.get(existing.name);
    for (const { family, address, prefixLength } of existing.addresses) {
      const reason = lossOf(context, existing.name, family);
      const gone = reason !== undefined;
      const found: ResolvedAddress = { family, address, prefixLength };
      const stays = !gone && keep?.addresses.some((other) => equal(other, found));
      if (stays === true || isAutomatic(found, existing.kind) || (!gone && !ours(existing.name))) continue;
      draft.add("address.remove", reason ?? "not in the topology", {
        kind: "address.remove",
        node: name,
        interface: existing.name,
        address: found,
      });
    }
  }
  for (const member of members.values()) {
    for (const address of member.addresses) {
      const { family, address: text, prefixLength } = address;
      const stays = lossOf(context, member.name, family) === undefined;
      const existing = stays ? current?.interfaces.get(member.name) : undefined;
      const there = existing?.addresses.some(
        (other) => other.family === family && other.address === text && other.prefixLength === prefixLength,
      );
      if (there !== true)
        draft.add("address.add", "new", { kind: "address.add", node: name, interface: member.name, address });
    }
  }
}

/** Loopback's own addresses, and the link-local one that the kernel makes from the MAC. */
function isAutomatic({ family, address }: ResolvedAddress, kind: string): boolean {
  const parsed = parseAddress(address);
  if (!parsed) return false;
  return (family === 6 && isLinkLocal(parsed)) || (kind === "loopback" && isLoopback(parsed));
}

export function planRoutes(context: Layer3Context): void {
  const { draft, name, wanted, current, lost, cycles, ours } = context;
  const there = (current?.snapshot.routes ?? []).filter(isWritten).map(asRoute);
  // A route goes with its interface, and with the address that it says for a source.
  const lostSources = new Map(
    [...(current?.interfaces.values() ?? [])].flatMap((member) =>
      member.addresses.flatMap(({ family, address }) => {
        const why = lossOf(context, member.name, family);
        return why === undefined ? [] : [[address, why] as const];
      }),
    ),
  );
  const missing = (wanted?.routes ?? []).filter((route) => wanted && !waits(wanted, route));
  for (const route of there) {
    const why =
      (route.interface === undefined ? undefined : (lost(route.interface) ?? cycles(route.interface))) ??
      (route.preferredSource === undefined ? undefined : lostSources.get(route.preferredSource));
    const gone = why !== undefined;
    const index = gone ? -1 : missing.findIndex((other) => sameRoute(other, route));
    if (index >= 0) {
      missing.splice(index, 1);
      continue;
    }
    if (!gone && route.interface !== undefined && !ours(route.interface)) continue;
    const successor = missing.find((other) => sameKey(other, route));
    const reason = why ?? (successor ? "changes" : "not in the topology");
    draft.add("route.remove", reason, { kind: "route.remove", node: name, route });
  }
  for (const route of missing) {
    const before = there.find((other) => sameKey(other, route));
    const reason =
      before?.gateway === undefined || before.gateway === route.gateway
        ? "new"
        : `via ${before.gateway} -> ${route.gateway ?? "none"}`;
    draft.add("route.add", reason, { kind: "route.add", node: name, route });
  }
}

function isWritten(route: RouteSnapshot): boolean {
  return (
    written.has(route.protocol) && route.type !== "local" && route.type !== "broadcast" && route.type !== "multicast"
  );
}

function asRoute(route: RouteSnapshot): ResolvedRoute {
  const [hop] = route.nexthops;
  const type =
    route.type === "blackhole" || route.type === "unreachable" || route.type === "prohibit" ? route.type : "unicast";
  return {
    family: route.family,
    destination: route.destination,
    type,
    // An IPv6 route to nowhere is shown with the interface lo.
    ...(hop?.gateway === undefined || type !== "unicast" ? {} : { gateway: hop.gateway }),
    ...(hop?.interface === undefined || type !== "unicast" ? {} : { interface: hop.interface }),
    ...(route.metric === 0 || (route.family === 6 && route.metric === ipv6Metric) ? {} : { metric: route.metric }),
    ...(route.table === mainTable ? {} : { table: route.table }),
    ...(route.preferredSource === undefined ? {} : { preferredSource: route.preferredSource }),
  };
}

/** What the kernel tells one route from another by. */
function sameKey(a: ResolvedRoute, b: ResolvedRoute): boolean {
  return (
    a.family === b.family &&
    a.destination === b.destination &&
    (a.table ?? mainTable) === (b.table ?? mainTable) &&
    metricOf(a) === metricOf(b)
  );
}

function metricOf(route: ResolvedRoute): number {
  const byDefault = route.family === 6 ? ipv6Metric : 0;
  return route.metric === undefined || route.metric === 0 ? byDefault : route.metric;
}

/** An interface that the file does not name is the one that the kernel found for the gateway. */
function sameRoute(wanted: ResolvedRoute, there: ResolvedRoute): boolean {
  return (
    sameKey(wanted, there) &&
    wanted.type === there.type &&
    wanted.gateway === there.gateway &&
    (wanted.interface === undefined || wanted.interface === there.interface) &&
    wanted.preferredSource === there.preferredSource
  );
}

export function planRules({ draft, name, wanted, current }: Layer3Context): void {
  const there = (current?.snapshot.rules ?? []).flatMap((rule) => asRule(rule) ?? []);
  const missing = [...(wanted?.rules ?? [])];
  for (const rule of there) {
    const index = missing.findIndex((other) => equal(other, rule));
    if (index >= 0) missing.splice(index, 1);
    else draft.add("rule.remove", "not in the topology", { kind: "rule.remove", node: name, rule });
  }
  for (const rule of missing) draft.add("rule.add", "new", { kind: "rule.add", node: name, rule });
}

/** Without those that every namespace has: local, main and default (priorities 0, 32766, 32767). */
function asRule(rule: PolicyRuleSnapshot): ResolvedPolicyRule | undefined {
  const { family, priority, source, destination, inputInterface, mark, action, table } = rule;
  if (priority === 0 || priority >= 32766 || action !== "lookup" || table === undefined) return undefined;
  return {
    family,
    priority,
    ...(source === undefined ? {} : { from: source }),
    ...(destination === undefined ? {} : { to: destination }),
    ...(inputInterface === undefined ? {} : { inputInterface }),
    ...(mark === undefined || mark === 0 ? {} : { mark }),
    table,
  };
}

export function planNeighbours({ draft, name, wanted, current, lost, cycles }: Layer3Context): void {
  const there = (current?.snapshot.neighbours ?? []).flatMap((entry) => asNeighbour(entry) ?? []);
  const missing = [...(wanted?.neighbours ?? [])];
  for (const neighbour of there) {
    const reason = lost(neighbour.interface) ?? cycles(neighbour.interface);
    const index = reason !== undefined ? -1 : missing.findIndex((other) => equal(other, neighbour));
    if (index >= 0) missing.splice(index, 1);
    else {
      draft.add("neighbour.remove", reason ?? "not in the topology", {
        kind: "neighbour.remove",
        node: name,
        neighbour,
      });
    }
  }
  for (const neighbour of missing) draft.add("neighbour.add", "new", { kind: "neighbour.add", node: name, neighbour });
}

function asNeighbour({ state, address, mac, interface: name }: NeighbourSnapshot): ResolvedNeighbour | undefined {
  return state === "permanent" && mac !== undefined ? { interface: name, address, mac } : undefined;
}
