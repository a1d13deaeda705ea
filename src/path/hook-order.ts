/**
 * What stands on a packet's way at each hook of netfilter, beside the base chains: connection tracking and NAT, at
 * priorities of their own (enum nf_ip_hook_priorities of linux/netfilter_ipv4.h).
 *
 * | hook        | -300 | -200      | -150   | -100 | 0      | 100  |
 * |-------------|------|-----------|--------|------|--------|------|
 * | prerouting  | raw  | conntrack | mangle | dnat | filter |      |
 * | input       |      |           | mangle |      | filter | snat |
 * | forward     |      |           | mangle |      | filter |      |
 * | output      | raw  | conntrack | mangle | dnat | filter |      |
 * | postrouting |      |           | mangle |      |        | snat |
 *
 * A nat chain is asked by NAT, in NAT's own place, whatever priority it was made with: that only orders nat chains among
 * themselves (nf_nat_register_fn), and only for the first packet of a connection.
 */
import type { NftChain, NftTable } from "../model/nft.js";

export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";

export interface BaseChain {
  readonly table: NftTable;
  readonly chain: NftChain;
}

export type Station =
  | { readonly kind: "chain"; readonly base: BaseChain }
  | { readonly kind: "conntrack" }
  | { readonly kind: "nat"; readonly changes: "source" | "destination"; readonly chains: readonly BaseChain[] };

const CONNTRACK = -200;
const DESTINATION_NAT = -100;
const SOURCE_NAT = 100;

const fixed: Readonly<Record<Hook, { readonly conntrack: boolean; readonly nat?: "source" | "destination" }>> = {
  prerouting: { conntrack: true, nat: "destination" },
  input: { conntrack: false, nat: "source" },
  forward: { conntrack: false },
  output: { conntrack: true, nat: "destination" },
  postrouting: { conntrack: false, nat: "source" },
};

/** Everything at a hook in the order in which a packet meets it. */
export function stationsOf(tables: readonly NftTable[], hook: Hook, family: 4 | 6): readonly Station[] {
  const chains = baseChains(tables, hook, ["inet", family === 4 ? "ip" : "ip6"]);
  const stations: { readonly priority: number; readonly station: Station }[] = chains
    .filter(({ chain }) => chain.hook?.type !== "nat")
    .map((base) => ({ priority: priorityOf(base), station: { kind: "chain", base } }));
  const { conntrack, nat } = fixed[hook];
  if (conntrack) stations.unshift({ priority: CONNTRACK, station: { kind: "conntrack" } });
  if (nat !== undefined) {
    const priority = nat === "source" ? SOURCE_NAT : DESTINATION_NAT;
    const asked = chains.filter(({ chain }) => chain.hook?.type === "nat");
    stations.unshift({ priority, station: { kind: "nat", changes: nat, chains: asked } });
  }
  // A stable sort: what has one priority stays in the order of its making.
  return stations.sort((a, b) => a.priority - b.priority).map(({ station }) => station);
}

/** Base chains of a hook, by priority. */
export function baseChains(
  tables: readonly NftTable[],
  hook: Hook | "ingress",
  families: readonly NftTable["family"][],
): BaseChain[] {
  return tables
    .filter(({ family }) => families.includes(family))
    .flatMap((table) => table.chains.map((chain) => ({ table, chain })))
    .filter(({ chain }) => chain.hook?.hook === hook)
    .sort((a, b) => priorityOf(a) - priorityOf(b));
}

function priorityOf({ chain }: BaseChain): number {
  return chain.hook?.priority ?? 0;
}
