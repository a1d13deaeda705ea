/**
 * The firewall of a node, lowered to the table `yapc_filter`: a base chain for each of input, forward and output that
 * the file names, a counter in each rule.
 *
 * ```nft
 * table inet yapc_filter {
 *   chain forward { type filter hook forward priority filter; policy accept;
 *     tcp dport 81 counter drop comment "no 81" }
 * }
 * ```
 */
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import type { NftChain, NftRule, NftStatement, NftTable } from "../model/nft.js";
import type { Draft, DraftNode } from "./draft.js";
import type { ChainForm, RuleForm } from "./form/filter.js";
import {
  addressMatches,
  anyOf,
  equal,
  interfaceMatches,
  portValue,
  protocolNumbers,
  type RuleContext,
} from "./match.js";
import { listOf } from "./merge.js";
import { parseLimit } from "./quantity.js";
import { suggestion } from "./suggest.js";

/** The table, or undefined for a node without a firewall. */
export function lowerFirewall(draft: Draft, node: DraftNode): NftTable | undefined {
  const chains = (["input", "forward", "output"] as const).flatMap((hook): NftChain[] => {
    const form: ChainForm | undefined = node.form.firewall?.[hook];
    if (!form) return [];
    const rules = (form.rules ?? []).flatMap((rule, index) =>
      lowerRule({ draft, node, at: [...node.at, "firewall", hook, "rules", index] }, rule),
    );
    return [{ name: hook, hook: { type: "filter", hook, priority: 0, policy: form.policy ?? "accept" }, rules }];
  });
  return chains.length === 0 ? undefined : { family: "inet", name: "yapc_filter", chains };
}

function lowerRule(context: RuleContext, form: RuleForm): NftRule[] {
  const { draft, at } = context;
  const { protocol } = form;
  if ((form.sport !== undefined || form.dport !== undefined) && !hasPorts(protocol)) {
    draft.document.error(at, `a port needs a "protocol" that has ports: tcp, udp or sctp`, { code: "missing" });
  }
  if (form.type !== undefined && protocol !== "icmp" && protocol !== "icmpv6") {
    draft.document.error([...at, "type"], `"type" goes with the protocols icmp and icmpv6`, { code: "conflict" });
  }
  if (form.with !== undefined && form.action !== "reject") {
    draft.document.error([...at, "with"], `"with" goes with the action reject`, { code: "conflict" });
  }
  if (form.action === "reject" && form.with === "tcp-reset" && protocol !== "tcp") {
    draft.document.error([...at, "with"], `tcp-reset goes with the protocol tcp`, { code: "conflict" });
  }
  const comment = form.comment === undefined ? {} : { comment: form.comment };
  return addressMatches(context, form).map(({ statements }) => ({
    statements: [
      ...interfaceMatches(context, form),
      ...statements,
      ...(protocol === undefined ? [] : [equal("l4proto", numberOf(protocol))]),
      ...(form.sport === undefined ? [] : [equal("th sport", portValue(form.sport))]),
      ...(form.dport === undefined ? [] : [equal("th dport", portValue(form.dport))]),
      ...icmpTypeOf(context, form),
      ...(form.state === undefined ? [] : [equal("ct state", anyOf(listOf(form.state)))]),
      ...(form.mark === undefined ? [] : [equal("mark", form.mark)]),
      ...limitOf(form),
      ...(form.counter === false ? [] : [{ kind: "counter", packets: 0, bytes: 0 } as const]),
      ...logOf(form),
      ...verdictOf(form),
    ],
    ...comment,
  }));
}

function icmpTypeOf({ draft, at }: RuleContext, { protocol, type }: RuleForm): NftStatement[] {
  if (type === undefined || (protocol !== "icmp" && protocol !== "icmpv6")) return [];
  const known: Readonly<Record<string, number>> = protocol === "icmp" ? icmpTypes : icmpv6Types;
  const numbers = listOf(type).flatMap((word) => {
    const number = known[word];
    if (number === undefined) {
      draft.document.error([...at, "type"], `${protocol} has no type ${word}`, {
        code: "conflict",
        hint: suggestion(word, Object.keys(known)),
      });
    }
    return number ?? [];
  });
  return numbers.length === 0 ? [] : [equal(`${protocol} type`, anyOf(numbers))];
}

function hasPorts(protocol: RuleForm["protocol"]): boolean {
  return protocol === "tcp" || protocol === "udp" || protocol === "sctp";
}

function numberOf(protocol: NonNullable<RuleForm["protocol"]>): number {
  return typeof protocol === "number" ? protocol : protocolNumbers[protocol];
}

function limitOf(form: RuleForm): NftStatement[] {
  const limit = form.limit === undefined ? undefined : parseLimit(form.limit);
  // 5 packets is the burst that nft(8) takes where none is given.
  return limit ? [{ kind: "limit", ...limit, burst: 5 }] : [];
}

function logOf(form: RuleForm): NftStatement[] {
  const wanted = form.log ?? form.action === "log";
  if (wanted === false) return [];
  return [{ kind: "log", ...(typeof wanted === "string" ? { prefix: wanted } : {}) }];
}

/** Codes of NFT_REJECT_ICMPX (linux/netfilter/nf_tables.h): each stands for the right one of ICMP and ICMPv6. */
const icmpx = { "net-unreachable": 0, "port-unreachable": 1, "host-unreachable": 2, "admin-prohibited": 3 } as const;

function verdictOf(form: RuleForm): NftStatement[] {
  switch (form.action) {
    case "accept":
    case "drop":
      return [{ kind: form.action }];
    case "log":
      return [];
    case "reject":
      if (form.with === "tcp-reset") return [{ kind: "reject", with: "tcp reset" }];
      return [{ kind: "reject", with: "icmpx", code: icmpx[form.with ?? "port-unreachable"] }];
  }
}
