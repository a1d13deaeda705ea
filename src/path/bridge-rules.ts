/**
 * Rules that a bridge asks before it passes a frame on between two ports: those of tables of family bridge, and, with
 * br_netfilter, those of IP, as if the packet came in by the bridge and left by it (net/bridge/br_netfilter_hooks.c).
 */
import { formatAddress, sameAddress } from "../model/address.js";
import type { Connection } from "./connection.js";
import type { Header } from "./header.js";
import { type BaseChain, baseChains, type Hook } from "./hook-order.js";
import type { RuleContext } from "./match.js";
import { findNeighbour } from "./neighbour.js";
import { nameOf, type Place } from "./network.js";
import { type PredictionEnd, refusedBy } from "./prediction.js";
import { quoteRule } from "./quote.js";
import { lookupRoute } from "./route.js";
import { askChain } from "./rules.js";
import type { Way } from "./way.js";

const hooks: readonly Hook[] = ["prerouting", "forward", "postrouting"];

/** Base chains of family bridge. @returns the end, where a rule refuses the frame */
export function bridgedByTables(
  way: Way,
  bridge: Place,
  from: Place,
  to: Place,
  header: Header,
): PredictionEnd | undefined {
  const { node } = bridge;
  for (const hook of hooks)
    for (const base of baseChains(node.nftables, hook, ["bridge"])) {
      const end = askTable(way, bridge, base, header, {
        ...(hook === "postrouting" ? {} : { input: from.interface.name }),
        ...(hook === "prerouting" ? {} : { output: to.interface.name }),
        destinationType: "unicast",
      });
      if (end !== undefined) return end;
    }
  return undefined;
}

function askTable(
  way: Way,
  { node }: Place,
  base: BaseChain,
  header: Header,
  context: RuleContext,
): PredictionEnd | undefined {
  const { outcome, doubts } = askChain(base, header, context);
  for (const { quote, text, assumed } of doubts)
    way.doubt(node.name, `${quoteRule(quote)}: '${text}' ${assumed ? "is not exceeded" : "cannot be judged"}`, assumed);
  if (outcome.kind === "accept") {
    if (outcome.quote !== undefined)
      way.note(node.name, "bridge", outcome.quote.rule ? "nft-rule" : "nft-policy", quoteRule(outcome.quote));
    return undefined;
  }
  return way.options.pastRules ? undefined : refusedBy(node.name, "link", header, outcome.kind, outcome.quote);
}

/** A frame after the rules that br_netfilter asks where it comes to a port. */
export interface AskedAtPort {
  readonly bridge: Place;
  /** Where NAT sends it; absent where its addressee stays the same. */
  readonly toward?: Place;
  /** As it is behind NAT. */
  readonly header: Header;
  /** As it came. */
  readonly before: Header;
  readonly connection: Connection;
}

function asksIp({ node: { sysctls } }: Place, { family }: Header): string | undefined {
  const name = `net.bridge.bridge-nf-call-${family === 4 ? "iptables" : "ip6tables"}`;
  return sysctls[name] === "1" ? name : undefined;
}

/**
 * With br_netfilter the rules before routing, and NAT, are asked where a frame comes to a port. Where NAT gives it a
 * destination behind the same bridge, it is bridged there, whoever it was addressed to, and never comes up to the bridge's
 * own node; else it goes up (br_nf_pre_routing_finish).
 *
 * @returns its end where a rule refuses it; undefined where IP is not asked
 */
export function askAtPort(way: Way, bridge: Place, header: Header): AskedAtPort | PredictionEnd | undefined {
  const switchName = asksIp(bridge, header);
  if (switchName === undefined) return undefined;
  const { node } = bridge;
  const input = bridge.interface.name;
  const found = way.connection(node.name, header);
  const because = `${switchName} is 1`;
  const common = { node, role: "link", because } as const;
  const asked = way.ask("prerouting", { ...common, header, connection: found, tracked: false, input });
  if (asked.end) return asked.end;
  const result = { bridge, header: asked.header, before: header, connection: asked.connection ?? found };
  if (sameAddress(asked.header.destination, header.destination)) return result;
  const route = lookupRoute(node, asked.header, input);
  if (route.kind !== "unicast" || route.interface !== input) return { ...result, toward: bridge };
  const neighbour = findNeighbour(way.bridging, bridge, route.nexthop, asked.header.source);
  if (neighbour.kind !== "found") return { ...result, toward: bridge };
  const to = formatAddress(asked.header.destination);
  way.note(node.name, "bridge", "sysctl", `${because}, and ${to} is behind ${nameOf(bridge)}: bridged there`);
  return { ...result, toward: neighbour.toward };
}

/**
 * What a bridge passes on between its ports goes through the other hooks, too.
 * @returns what the rules of IP make of the packet, or its end; undefined where they are not asked
 */
export function bridgedThroughIp(
  way: Way,
  bridge: Place,
  header: Header,
  asked: AskedAtPort | undefined,
): { readonly header: Header } | PredictionEnd | undefined {
  const switchName = asksIp(bridge, header);
  if (switchName === undefined || asked === undefined) return undefined;
  const { node } = bridge;
  const { name } = bridge.interface;
  const because = `${switchName} is 1`;
  const common = { node, role: "link", because, connection: asked.connection } as const;
  way.note(
    node.name,
    "bridge",
    "sysctl",
    `${because}: frames between ports of ${nameOf(bridge)} are put to the rules of IP`,
  );
  const forwarded = way.ask("forward", { ...common, header, input: name, output: name });
  if (forwarded.end) return forwarded.end;
  const last = way.ask("postrouting", { ...common, header: forwarded.header, output: name });
  if (last.end) return last.end;
  way.passed(node.name, last.connection ?? asked.connection, asked.before, last.header);
  return { header: last.header };
}
