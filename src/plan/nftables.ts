/** Our tables in one spelling, so that what we write and what the kernel tells of it can be compared. */
import type { NftRule, NftStatement, NftTable, NftValue } from "../model/nft.js";

const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  "ipv6-icmp": 58,
  icmpv6: 58,
  sctp: 132,
};
const families: Readonly<Record<string, string>> = { "2": "ipv4", "10": "ipv6" };

/** Tables of a lab carry this before their name. */
export function isOurs(table: NftTable): boolean {
  return table.name.startsWith("yapc_");
}

/** Without handles, counts and what other words in the rule imply; sets sorted, tables and chains by name. */
export function normalTables(tables: readonly NftTable[]): unknown {
  return tables
    .map((table) => ({
      family: table.family,
      name: table.name,
      chains: table.chains
        .map(({ name, hook, rules }) => ({ name, hook, rules: rules.map(normalRule) }))
        .toSorted((a, b) => a.name.localeCompare(b.name)),
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

function normalRule({ statements, comment }: NftRule): unknown {
  const fields = new Set(statements.flatMap((statement) => (statement.kind === "match" ? [statement.field] : [])));
  const hasAddress = [...fields].some((field) => field.startsWith("ip"));
  const hasIcmp = fields.has("icmp type") || fields.has("icmpv6 type");
  return {
    comment,
    statements: statements.flatMap((statement) => {
      // `ip saddr` says IPv4 and `icmp type` says ICMP; the kernel's form has both, whether we wrote them or not.
      if (statement.kind === "match" && statement.field === "nfproto" && (hasAddress || hasIcmp)) return [];
      if (statement.kind === "match" && statement.field === "l4proto" && hasIcmp) return [];
      return [normalStatement(statement)];
    }),
  };
}

function normalStatement(statement: NftStatement): unknown {
  switch (statement.kind) {
    case "match":
      return { ...statement, value: normalValue(statement.field, statement.value) };
    case "counter":
      return { kind: "counter" };
    case "log":
      // LOGLEVEL_WARNING is what the kernel takes for none (nft_log.c).
      return { kind: "log", prefix: statement.prefix, group: statement.group, level: statement.level ?? 4 };
    case "limit":
      return { ...statement, burst: statement.burst ?? 5 };
    case "masquerade":
      return { kind: "masquerade", random: statement.random ?? false };
    case "reject":
      return { ...statement, code: statement.code ?? defaultRejectCodes[statement.with] };
    default:
      return statement;
  }
}

/** "Port unreachable" in each way of saying it: what nft(8) takes for no code (RFC 792, RFC 4443, NFT_REJECT_ICMPX). */
const defaultRejectCodes = { "tcp reset": undefined, icmp: 3, icmpv6: 4, icmpx: 1 } as const;

function normalValue(field: string, value: NftValue): unknown {
  if (Array.isArray(value)) {
    const items = (value as readonly (string | number)[]).map((item) => JSON.stringify(normalItem(field, item)));
    return items.length === 1 ? items[0] : items.toSorted();
  }
  return JSON.stringify(normalItem(field, value)); // an array was handled above
}

function normalItem(field: string, item: unknown): unknown {
  if (field === "l4proto" && typeof item === "string") return protocols[item] ?? item;
  if (field === "nfproto") return families[String(item)] ?? item;
  return typeof item === "string" && field.startsWith("ip") ? item.toLowerCase() : item;
}
