/** Rules in nft's words, as causes and explanations quote them. */
import type { NftChain, NftRange, NftRule, NftStatement, NftTable, NftValue } from "../model/nft.js";

export interface RuleQuote {
  readonly table: NftTable;
  readonly chain: NftChain;
  /** Absent: the policy of the chain. */
  readonly rule?: NftRule;
}

/** `nft rule 'no 81' (inet yapc, forward, handle 7)`; without a comment the rule itself stands in the quotes. */
export function quoteRule({ table, chain, rule }: RuleQuote): string {
  const where = `${table.family} ${table.name}, ${chain.name}`;
  if (rule === undefined) return `nft policy ${chain.hook?.policy ?? "drop"} (${where})`;
  const handle = rule.handle === undefined ? "" : `, handle ${rule.handle}`;
  return `nft rule '${rule.comment ?? ruleText(rule)}' (${where}${handle})`;
}

/** A rule in nft's words, without its counters. */
export function ruleText(rule: NftRule): string {
  return rule.statements
    .filter((statement) => statement.kind !== "counter")
    .map(statementText)
    .join(" ");
}

export function statementText(statement: NftStatement): string {
  switch (statement.kind) {
    case "match":
      return `${statement.field} ${statement.op === "==" ? "" : `${statement.op} `}${valueText(statement.value)}`;
    case "jump":
    case "goto":
      return `${statement.kind} ${statement.chain}`;
    case "dnat":
    case "snat":
      return `${statement.kind} to ${statement.address ?? ""}${statement.port === undefined ? "" : `:${statement.port}`}`;
    case "redirect":
      return statement.port === undefined ? "redirect" : `redirect to :${statement.port}`;
    case "reject":
      return `reject with ${statement.with}`;
    case "limit":
      return `limit rate ${statement.rate}/${statement.per}`;
    case "meta set":
      return `meta ${statement.key} set ${statement.value}`;
    case "unknown":
      return statement.text;
    case "counter":
    case "log":
    case "masquerade":
    case "accept":
    case "drop":
    case "return":
    case "continue":
      return statement.kind;
  }
}

function valueText(value: NftValue): string {
  if (isSet(value)) return `{ ${value.map(valueText).join(", ")} }`;
  return typeof value === "object" ? `${value.from}-${value.to}` : String(value);
}

/** `Array.isArray` does not narrow readonly arrays. */
export function isSet(value: NftValue): value is readonly (string | number | NftRange)[] {
  return Array.isArray(value);
}
