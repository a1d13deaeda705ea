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

/** A frame that destination NAT sends to another interface of the same bridge's network. */
export interface BridgedThere {
  readonly toward: Place;
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
 * With br_netfilter NAT is done where a frame comes to a port. Where its new destination lies behind the same bridge, the
 * frame is bridged there, whoever it was addressed to, and never comes up to the bridge's own node
 * (br_nf_pre_routing_finish).
 */
export function bridgedElsewhere(way: Way, bridge: Place, header: Header): BridgedThere | undefined {
  const switchName = asksIp(bridge, header);
  if (switchName === undefined) return undefined;
  const { node } = bridge;
  const input = bridge.interface.name;
  const found = way.connection(node.name, header);
  const trial = way.try("prerouting", { node, role: "link", header, connection: found, tracked: false, input });
  if (trial.refusal !== undefined || sameAddress(trial.header.destination, header.destination)) return undefined;
  const route = lookupRoute(node, trial.header, input);
  if (route.kind !== "unicast" || route.interface !== input) return undefined;
  const neighbour = findNeighbour(way.bridging, bridge, route.nexthop, trial.header.source);
  if (neighbour.kind !== "found") return undefined;
  for (const { by, text } of trial.decisions) way.note(node.name, "prerouting", by, text);
  const to = formatAddress(trial.header.destination);
  way.note(node.name, "bridge", "sysctl", `${switchName} is 1, and ${to} is behind ${nameOf(bridge)}: bridged there`);
  return { toward: neighbour.toward, header: trial.header, before: header, connection: trial.connection ?? found };
}

/**
 * @param there where NAT has been done already
 * @returns what the rules of IP make of the packet, or its end; undefined where they are not asked
 */
export function bridgedThroughIp(
  way: Way,
  bridge: Place,
  header: Header,
  there: BridgedThere | undefined,
): { readonly header: Header } | PredictionEnd | undefined {
  const switchName = asksIp(bridge, header);
  if (switchName === undefined) return undefined;
  const { node } = bridge;
  const { name } = bridge.interface;
  const because = `${switchName} is 1`;
  const common = { node, role: "link", because } as const;
  let passing: { readonly header: Header; readonly connection: Connection };
  if (there === undefined) {
    way.note(
      node.name,
      "bridge",
      "sysctl",
      `${because}: frames between ports of ${nameOf(bridge)} are put to the rules of IP`,
    );
    const found = way.connection(node.name, header);
    const first = way.ask("prerouting", { ...common, header, connection: found, tracked: false, input: name });
    if (first.end) return first.end;
    if (!sameAddress(first.header.destination, header.destination))
      return { kind: "unknown", node: node.name, reason: `a rule sends a bridged frame elsewhere, because ${because}` };
    passing = { header: first.header, connection: first.connection ?? found };
  } else passing = there;
  const { connection } = passing;
  const second = way.ask("forward", { ...common, header: passing.header, connection, input: name, output: name });
  if (second.end) return second.end;
  const last = way.ask("postrouting", { ...common, header: second.header, connection, output: name });
  if (last.end) return last.end;
  way.passed(node.name, last.connection ?? connection, there?.before ?? header, last.header);
  return { header: last.header };
}
