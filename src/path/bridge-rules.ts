/**
 * Rules that a bridge asks before it passes a frame on between two ports: those of tables of family bridge, and, with
 * br_netfilter, those of IP, as if the packet came in by the bridge and left by it (net/bridge/br_netfilter_hooks.c).
 */
import { sameAddress } from "../model/address.js";
import type { Header } from "./header.js";
import { type BaseChain, baseChains, type Hook } from "./hook-order.js";
import type { RuleContext } from "./match.js";
import { nameOf, type Place } from "./network.js";
import { type PredictionEnd, refusedBy } from "./prediction.js";
import { quoteRule } from "./quote.js";
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

/** @returns what the rules of IP make of the packet, or its end; undefined where they are not asked */
export function bridgedThroughIp(
  way: Way,
  bridge: Place,
  header: Header,
): { readonly header: Header } | PredictionEnd | undefined {
  const { node } = bridge;
  const { name } = bridge.interface;
  const switchName = `net.bridge.bridge-nf-call-${header.family === 4 ? "iptables" : "ip6tables"}`;
  if (node.sysctls[switchName] !== "1") return undefined;
  const because = `${switchName} is 1`;
  way.note(
    node.name,
    "bridge",
    "sysctl",
    `${because}: frames between ports of ${nameOf(bridge)} are put to the rules of IP`,
  );
  const found = way.connection(node.name, header);
  const common = { node, role: "link", because } as const;
  const first = way.ask("prerouting", { ...common, header, connection: found, tracked: false, input: name });
  if (first.end) return first.end;
  if (!sameAddress(first.header.destination, header.destination))
    return { kind: "unknown", node: node.name, reason: `a rule sends a bridged frame elsewhere, because ${because}` };
  const connection = first.connection ?? found;
  const second = way.ask("forward", { ...common, header: first.header, connection, input: name, output: name });
  if (second.end) return second.end;
  const last = way.ask("postrouting", { ...common, header: second.header, connection, output: name });
  if (last.end) return last.end;
  way.passed(node.name, last.connection ?? connection, header, last.header);
  return { header: last.header };
}
