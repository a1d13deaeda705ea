/** Route lookup over a snapshot: policy rules in order, longest prefix in each table (ip-rule(8), ip-route(8)). */
import type { NodeSnapshot, PolicyRuleSnapshot, RouteSnapshot } from "../model/snapshot.js";
import type { Header } from "./header.js";
import { type Address, contains, parseAddress, parseNetwork } from "../model/address.js";

export type RouteResult =
  | { readonly kind: "unicast"; readonly interface: string; readonly nexthop: Address; readonly route: RouteSnapshot }
  | { readonly kind: "local" }
  | { readonly kind: "broadcast" | "multicast"; readonly interface?: string }
  | { readonly kind: "refused"; readonly type: "blackhole" | "unreachable" | "prohibit"; readonly text: string }
  | { readonly kind: "none" };

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
  for (const rule of rules) {
    if (!ruleApplies(rule, header, input)) continue;
    if (rule.action === "blackhole" || rule.action === "unreachable" || rule.action === "prohibit") {
      return { kind: "refused", type: rule.action, text: `policy rule ${rule.priority} (${rule.action})` };
    }
    if (rule.action !== "lookup") continue;
    const found = lookupTable(node, rule.table ?? MAIN, header);
    if (found) return found;
  }
  return { kind: "none" };
}

function ruleApplies(rule: PolicyRuleSnapshot, header: Header, input: string | undefined): boolean {
  const inside = (text: string | undefined, address: Address): boolean => {
    const prefix = text === undefined ? undefined : parseNetwork(text);
    return prefix === undefined || contains(prefix, address);
  };
  return (
    inside(rule.source, header.source) &&
    inside(rule.destination, header.destination) &&
    (rule.inputInterface === undefined || rule.inputInterface === (input ?? "lo")) &&
    (rule.mark === undefined || rule.mark === (header.mark ?? 0))
  );
}

function lookupTable(node: NodeSnapshot, table: number, header: Header): RouteResult | undefined {
  const candidates = node.routes
    .filter((route) => route.table === table && route.family === header.family)
    .flatMap((route) => {
      const prefix = parseNetwork(route.destination);
      return prefix && contains(prefix, header.destination) ? [{ route, length: prefix.length }] : [];
    })
    .sort((a, b) => b.length - a.length || a.route.metric - b.route.metric);
  for (const { route } of candidates) {
    switch (route.type) {
      case "local":
        return { kind: "local" };
      case "broadcast":
      case "multicast": {
        const name = route.nexthops[0]?.interface;
        return { kind: route.type, ...(name === undefined ? {} : { interface: name }) };
      }
      case "blackhole":
      case "unreachable":
      case "prohibit":
        return { kind: "refused", type: route.type, text: `route ${route.type} ${route.destination}` };
      case "throw":
        return undefined;
      case "unicast": {
        const nexthop = route.nexthops.find((one) => !one.dead && one.interface !== undefined);
        if (nexthop?.interface === undefined) continue;
        const gateway = nexthop.gateway === undefined ? undefined : parseAddress(nexthop.gateway);
        return { kind: "unicast", interface: nexthop.interface, nexthop: gateway ?? header.destination, route };
      }
    }
  }
  return undefined;
}
