/** From the words of NAT and firewall rules to matches of nf_tables: one rule for each family that its addresses have. */
import {
  bitsOf,
  contains,
  type Family,
  formatAddress,
  formatPrefix,
  networkOf,
  parsePrefix,
  type Prefix,
} from "../model/address.js";
import type { NftField, NftRange, NftStatement, NftValue } from "../model/nft.js";
import { addressesOf, type Draft, type DraftNode, findNode } from "./draft.js";
import { listOf } from "./merge.js";
import type { Path } from "./problem.js";
import { parsePorts } from "./quantity.js";
import { suggestion } from "./suggest.js";
import { wireName } from "./wire-name.js";

/** Where a rule stands: its node gives meaning to interface names. */
export interface RuleContext {
  readonly draft: Draft;
  readonly node: DraftNode;
  readonly at: Path;
}

export const protocolNumbers = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

export function equal(field: NftField, value: NftValue): NftStatement {
  return { kind: "match", field, op: "==", value };
}

/** A value alone, several as an anonymous set. */
export function anyOf(values: readonly (string | number | NftRange)[]): NftValue {
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : values;
}

export function portValue(ports: string | number | readonly (string | number)[]): NftValue {
  const ranges = listOf(ports).flatMap((port) => parsePorts(port) ?? []);
  const joined: { from: number; to: number }[] = [];
  // The kernel takes no set whose elements overlap.
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && range.from <= last.to) last.to = Math.max(last.to, range.to);
    else joined.push({ ...range });
  }
  return anyOf(joined.map((range) => (range.from === range.to ? range.from : range)));
}

/** Networks, addresses and nodes as prefixes of each family; a node stands for all its addresses. */
export function partiesOf(
  { draft, at }: RuleContext,
  key: string,
  names: string | readonly string[] | undefined,
): { 4: string[]; 6: string[] } | undefined {
  if (names === undefined) return undefined;
  const found: Prefix[] = [];
  for (const name of listOf(names)) {
    const prefix = parsePrefix(name);
    if (prefix) {
      found.push(prefix);
      continue;
    }
    const node = findNode(draft, name, [...at, key]);
    for (const { address } of node ? addressesOf(node) : []) found.push(networkOf(address, bitsOf(address.family)));
  }
  // One inside another adds nothing, and the kernel takes no set whose elements overlap.
  const outer = found.filter(
    (prefix, index) =>
      !found.some((other, at) => at !== index && contains(other, prefix) && (at < index || !contains(prefix, other))),
  );
  const textsOf = (family: Family) =>
    outer
      .filter((prefix) => prefix.family === family)
      .map((prefix) => (prefix.length === bitsOf(family) ? formatAddress(prefix) : formatPrefix(prefix)));
  return { 4: textsOf(4), 6: textsOf(6) };
}

/** Address matches for each family in which the rule can match at all; `undefined` is a rule for both. */
export function addressMatches(
  context: RuleContext,
  form: {
    readonly from?: string | readonly string[] | undefined;
    readonly to?: string | readonly string[] | undefined;
  },
): { family: Family | undefined; statements: NftStatement[] }[] {
  const from = partiesOf(context, "from", form.from);
  const to = partiesOf(context, "to", form.to);
  if (!from && !to) return [{ family: undefined, statements: [] }];
  const matches = ([4, 6] as const).flatMap((family) => {
    if (from?.[family].length === 0 || to?.[family].length === 0) return [];
    const name = family === 4 ? "ip" : "ip6";
    return [
      {
        family,
        statements: [
          ...(from ? [equal(`${name} saddr`, anyOf(from[family]))] : []),
          ...(to ? [equal(`${name} daddr`, anyOf(to[family]))] : []),
        ],
      },
    ];
  });
  if (matches.length === 0 && from && to && ownsAny(from) && ownsAny(to)) {
    context.draft.document.error(context.at, `"from" and "to" have no address family in common`, { code: "conflict" });
  }
  return matches;
}

function ownsAny(parties: { 4: string[]; 6: string[] }): boolean {
  return parties[4].length + parties[6].length > 0;
}

/** `iifname` and `oifname` matches; names are checked, and shortened where they are on the wire. */
export function interfaceMatches(
  context: RuleContext,
  form: { readonly in?: string | undefined; readonly out?: string | undefined },
): NftStatement[] {
  return (["in", "out"] as const).flatMap((key) => {
    const name = form[key];
    if (name === undefined) return [];
    const { draft, node, at } = context;
    const known = node.interfaces.get(name);
    if (!known && name !== "lo") {
      draft.document.error([...at, key], `the node "${node.name}" has no interface "${name}"`, {
        code: "unknown-name",
        hint: suggestion(name, node.interfaces.keys()),
      });
    }
    if (known?.master !== undefined) {
      draft.document.warning(
        [...at, key],
        `${node.name}:${name} is a port of the bridge ${known.master}: what is routed names the bridge, so this never matches`,
        { code: "unreachable", hint: `did you mean "${known.master}"?` },
      );
    }
    return [equal(key === "in" ? "iifname" : "oifname", wireName(name))];
  });
}
