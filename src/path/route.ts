/** Route lookup over a snapshot: policy rules in order, longest prefix in each table (ip-rule(8), ip-route(8)). */
import type { NexthopSnapshot, NodeSnapshot, PolicyRuleSnapshot, RouteSnapshot } from "../model/snapshot.js";
import type { Header } from "./header.js";
import { type Address, contains, parseAddress, parseNetwork, sameAddress } from "../model/address.js";

export type RouteResult = {
  /** Absent where the standard rules are in force. */
  readonly rule?: PolicyRuleSnapshot;
} & (
  | {
      readonly kind: "unicast";
      readonly interface: string;
      readonly nexthop: Address;
      readonly route: RouteSnapshot;
      /** More than one next hop is alive: the kernel chooses by a hash of the packet, and this is the first. */
      readonly oneOf: number;
    }
  | { readonly kind: "local"; readonly route: RouteSnapshot }
  | { readonly kind: "broadcast" | "multicast"; readonly interface?: string }
  | {
      readonly kind: "refused";
      readonly type: "blackhole" | "unreachable" | "prohibit";
      readonly by: "route" | "policy-rule";
      readonly text: string;
    }
  | { readonly kind: "none" }
);

const MAIN = 254;
const LOCAL = 255;
const DEFAULT = 253;

const standardRules = [LOCAL, MAIN, DEFAULT].map((table, index): PolicyRuleSnapshot => ({
  family: 4,
  priority: [0, 32766, 32767][index] ?? 0,
  action: "lookup",
  table,
}));

/** @param input name of the interface it came in by; absent for what the node itself sends */
export function lookupRoute(node: NodeSnapshot, header: Header, input?: string): RouteResult {
  const own = node.rules.filter((rule) => rule.family === header.family);
  const rules = own.length > 0 ? [...own].sort((a, b) => a.priority - b.priority) : standardRules;
  let from = 0;
  for (const rule of rules) {
    if (rule.priority < from || !ruleApplies(rule, header, input)) continue;
    const told = own.length > 0 && !isStandard(rule) ? { rule } : {};
    switch (rule.action) {
      case "blackhole":
      case "unreachable":
      case "prohibit": {
        const text = `policy rule ${rule.priority} (${rule.action})`;
        return { kind: "refused", type: rule.action, by: "policy-rule", text, ...told };
      }
      case "goto":
        from = rule.goto ?? from;
        break;
      case "lookup": {
        const found = lookupTable(node, rule.table ?? MAIN, header, rule.suppressPrefixLength ?? -1);
        if (found) return { ...found, ...told };
        break;
      }
      case "nop":
        break;
    }
  }
  return { kind: "none" };
}

/** Local, main and default, as every namespace has them from its beginning. */
function isStandard({ priority, action }: PolicyRuleSnapshot): boolean {
  return action === "lookup" && (priority === 0 || priority === 32766 || priority === 32767);
}

function ruleApplies(rule: PolicyRuleSnapshot, header: Header, input: string | undefined): boolean {
  const inside = (text: string | undefined, address: Address): boolean => {
    const prefix = text === undefined ? undefined : parseNetwork(text);
    return prefix === undefined || contains(prefix, address);
  };
  const mask = rule.mask ?? 0xffffffff;
  return (
    inside(rule.source, header.source) &&
    inside(rule.destination, header.destination) &&
    (rule.inputInterface === undefined || rule.inputInterface === (input ?? "lo")) &&
    // Only a socket that is bound to an interface asks for it.
    rule.outputInterface === undefined &&
    (rule.mark === undefined || (rule.mark & mask) === ((header.mark ?? 0) & mask))
  );
}

function lookupTable(node: NodeSnapshot, table: number, header: Header, suppressed: number): RouteResult | undefined {
  const candidates = node.routes
    .filter((route) => route.table === table && route.family === header.family)
    .flatMap((route) => {
      const prefix = parseNetwork(route.destination);
      return prefix && prefix.length > suppressed && contains(prefix, header.destination)
        ? [{ route, length: prefix.length }]
        : [];
    })
    .sort((a, b) => b.length - a.length || a.route.metric - b.route.metric);
  for (const { route } of candidates) {
    switch (route.type) {
      case "local":
        return { kind: "local", route };
      case "broadcast":
      case "multicast": {
        const name = route.nexthops[0]?.interface;
        return { kind: route.type, ...(name === undefined ? {} : { interface: name }) };
      }
      case "blackhole":
      case "unreachable":
      case "prohibit":
        return {
          kind: "refused",
          type: route.type,
          by: "route",
          text: `route ${route.type} ${route.destination}`,
        };
      case "throw":
        return undefined;
      case "unicast": {
        const alive = route.nexthops.filter((one) => usable(node, one));
        const [nexthop] = alive;
        if (nexthop?.interface === undefined) continue;
        const gateway = nexthop.gateway === undefined ? undefined : parseAddress(nexthop.gateway);
        return {
          kind: "unicast",
          interface: nexthop.interface,
          nexthop: gateway ?? header.destination,
          route,
          oneOf: alive.length,
        };
      }
    }
  }
  return undefined;
}

function usable(node: NodeSnapshot, { dead, linkdown, interface: name }: NexthopSnapshot): boolean {
  const ignored = linkdown === true && node.sysctls["net.ipv4.conf.all.ignore_routes_with_linkdown"] === "1";
  return !dead && !ignored && name !== undefined;
}

/** `policy rule 100 (from 10.0.0.0/24 lookup 100)`. */
export function ruleText(rule: PolicyRuleSnapshot): string {
  const parts = [
    ...(rule.source === undefined ? [] : [`from ${rule.source}`]),
    ...(rule.destination === undefined ? [] : [`to ${rule.destination}`]),
    ...(rule.inputInterface === undefined ? [] : [`iif ${rule.inputInterface}`]),
    ...(rule.mark === undefined ? [] : [`fwmark ${rule.mark}`]),
    ...(rule.table === undefined ? [] : [`lookup ${tableName(rule.table)}`]),
  ];
  return `policy rule ${rule.priority} (${parts.join(" ")})`;
}

/** `route 10.0.0.0/24 via 10.1.0.1 dev eth0`, as ip(8) writes it. */
export function routeText(found: RouteResult & { readonly kind: "unicast" }, destination: Address): string {
  const { route } = found;
  const name = /^(0\.0\.0\.0|::)\/0$/.test(route.destination) ? "default" : route.destination;
  const direct = sameAddress(found.nexthop, destination);
  const gateway = route.nexthops.find((one) => one.interface === found.interface && one.gateway !== undefined)?.gateway;
  return [
    `route ${name}`,
    ...(direct || gateway === undefined ? [] : [`via ${gateway}`]),
    `dev ${found.interface}`,
    ...(route.table === MAIN ? [] : [`table ${tableName(route.table)}`]),
    ...(route.metric === 0 ? [] : [`metric ${route.metric}`]),
  ].join(" ");
}

function tableName(table: number): string {
  return { [MAIN]: "main", [LOCAL]: "local", [DEFAULT]: "default" }[table] ?? String(table);
}
