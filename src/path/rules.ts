/**
 * What the nf_tables rules of a snapshot do with a header: a walk through the base chains of a hook in the order of
 * their priorities, as the kernel takes it (nft(8)). What cannot be judged from a snapshot (a rate limit, an expression
 * we cannot read) is passed over and noted: `uncertain`.
 */
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import type { NftChain, NftField, NftRange, NftRule, NftStatement, NftTable, NftValue } from "../model/nft.js";
import type { Header } from "./header.js";
import { withPorts } from "./header.js";
import { contains, parseAddress, parseNetwork } from "../model/address.js";

export interface RuleContext {
  readonly input?: string;
  readonly output?: string;
  /** `new`, `established`, … */
  readonly ctState: string;
  readonly ctStatus: readonly string[];
  readonly ctDirection: "original" | "reply";
  /** `local`, `unicast`, `broadcast`, … of the destination in this node. */
  readonly destinationType: string;
  /** Address that masquerade gives, or redirect goes to. */
  readonly masqueradeAddress?: string;
}

export interface RuleQuote {
  readonly table: NftTable;
  readonly chain: NftChain;
  /** Absent: the policy of the chain. */
  readonly rule?: NftRule;
}

export type RuleVerdict =
  | { readonly kind: "accept"; readonly header: Header; readonly nat?: RuleQuote; readonly uncertain: boolean }
  | { readonly kind: "drop" | "reject"; readonly quote: RuleQuote; readonly uncertain: boolean };

type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";

type Outcome = "continue" | "accept" | "return" | { readonly end: "drop" | "reject"; readonly rule: NftRule };

/** @param nat whether nat chains are asked: only the first packet of a connection is */
export function applyHook(
  tables: readonly NftTable[],
  hook: Hook,
  header: Header,
  context: RuleContext,
  nat: boolean,
): RuleVerdict {
  const own = header.family === 4 ? "ip" : "ip6";
  const chains = tables
    .filter((table) => table.family === "inet" || table.family === own)
    .flatMap((table) => table.chains.map((chain) => ({ table, chain })))
    .filter(({ chain }) => chain.hook?.hook === hook && (nat || chain.hook.type !== "nat"))
    .sort((a, b) => (a.chain.hook?.priority ?? 0) - (b.chain.hook?.priority ?? 0));
  const walk = new Walk(header, context);
  for (const { table, chain } of chains) {
    if (chain.hook?.type === "nat" && walk.nat) continue;
    const outcome = walk.chain(table, chain, 0);
    if (typeof outcome === "object") {
      return { kind: outcome.end, quote: { table, chain: walk.where, rule: outcome.rule }, uncertain: walk.uncertain };
    }
    if (outcome !== "accept" && chain.hook?.policy === "drop") {
      return { kind: "drop", quote: { table, chain }, uncertain: walk.uncertain };
    }
  }
  return {
    kind: "accept",
    header: walk.header,
    uncertain: walk.uncertain,
    ...(walk.nat === undefined ? {} : { nat: walk.nat }),
  };
}

class Walk {
  header: Header;
  nat: RuleQuote | undefined;
  uncertain = false;
  /** Chain of the rule that decided. */
  where: NftChain = { name: "", rules: [] };
  readonly #context: RuleContext;

  constructor(header: Header, context: RuleContext) {
    this.header = header;
    this.#context = context;
  }

  chain(table: NftTable, chain: NftChain, depth: number): Outcome {
    // The kernel's own bound of jumps is 16 (NFT_JUMP_STACK_SIZE).
    if (depth > 16) return "continue";
    for (const rule of chain.rules) {
      const outcome = this.#rule(table, chain, rule, depth);
      if (outcome === "return") return "continue";
      if (outcome !== "continue") return outcome;
    }
    return "continue";
  }

  #rule(table: NftTable, chain: NftChain, rule: NftRule, depth: number): Outcome {
    for (const statement of rule.statements) {
      switch (statement.kind) {
        case "match":
          if (!this.#matches(statement)) return "continue";
          break;
        case "accept":
          return "accept";
        case "return":
          return "return";
        case "continue":
          return "continue";
        case "drop":
        case "reject":
          this.where = chain;
          return { end: statement.kind, rule };
        case "jump":
        case "goto": {
          const target = table.chains.find((one) => one.name === statement.chain);
          const outcome = target ? this.chain(table, target, depth + 1) : "continue";
          if (outcome !== "continue") return outcome;
          if (statement.kind === "goto") return "return";
          break;
        }
        case "dnat":
        case "snat":
        case "masquerade":
        case "redirect":
          this.#translate(statement);
          this.nat = { table, chain, rule };
          return "accept";
        case "meta set":
          if (statement.key === "mark") this.header = { ...this.header, mark: statement.value };
          break;
        case "limit":
          this.uncertain = true;
          break;
        case "unknown":
          // May be a match that says no: such a rule is passed over.
          this.uncertain = true;
          return "continue";
        case "counter":
        case "log":
          break;
      }
    }
    return "continue";
  }

  #translate(statement: NftStatement & { readonly kind: "dnat" | "snat" | "masquerade" | "redirect" }): void {
    const text =
      statement.kind === "masquerade" || statement.kind === "redirect"
        ? this.#context.masqueradeAddress
        : statement.address;
    const address = text === undefined ? undefined : parseAddress(text);
    const port = statement.kind === "masquerade" ? undefined : statement.port;
    if (statement.kind === "dnat" || statement.kind === "redirect") {
      this.header = withPorts({ ...this.header, ...(address && { destination: address }) }, undefined, port);
    } else {
      this.header = withPorts({ ...this.header, ...(address && { source: address }) }, port, undefined);
    }
  }

  #matches(statement: NftStatement & { readonly kind: "match" }): boolean {
    const actual = this.#field(statement.field);
    if (actual === "unknown") {
      this.uncertain = true;
      return false;
    }
    const equal = actual !== undefined && holds(statement.field, statement.value, actual);
    switch (statement.op) {
      case "==":
        return equal;
      case "!=":
        return actual !== undefined && !equal;
      default: {
        if (typeof actual !== "number" || typeof statement.value !== "number") return false;
        const { op, value } = statement;
        return op === "<"
          ? actual < value
          : op === ">"
            ? actual > value
            : op === "<="
              ? actual <= value
              : actual >= value;
      }
    }
  }

  /** Undefined where the packet has no such field; `unknown` where we cannot tell. */
  #field(field: NftField): string | number | readonly string[] | Header["source"] | undefined {
    const header = this.header;
    const context = this.#context;
    switch (field) {
      case "iifname":
        return context.input ?? "";
      case "oifname":
        return context.output ?? "";
      case "nfproto":
        return header.family === 4 ? 2 : 10;
      case "l4proto":
        return header.protocol;
      case "mark":
        return header.mark ?? 0;
      case "ip saddr":
        return header.family === 4 ? header.source : undefined;
      case "ip daddr":
        return header.family === 4 ? header.destination : undefined;
      case "ip6 saddr":
        return header.family === 6 ? header.source : undefined;
      case "ip6 daddr":
        return header.family === 6 ? header.destination : undefined;
      case "th sport":
        return header.sourcePort;
      case "th dport":
        return header.destinationPort;
      case "tcp flags":
        return header.tcpFlags;
      case "icmp type":
        return header.protocol === 1 ? header.icmpType : undefined;
      case "icmpv6 type":
        return header.protocol === 58 ? header.icmpType : undefined;
      case "ct state":
        return [context.ctState];
      case "ct status":
        return context.ctStatus;
      case "ct direction":
        return context.ctDirection;
      case "fib daddr type":
        return context.destinationType;
      case "ct mark":
      case "pkttype":
        return "unknown";
    }
  }
}

function holds(
  field: NftField,
  value: NftValue,
  actual: string | number | readonly string[] | Header["source"],
): boolean {
  if (isSet(value)) return value.some((one) => holds(field, one, actual));
  if (typeof value === "object") {
    if (typeof actual === "number") return actual >= Number(value.from) && actual <= Number(value.to);
    const from = parseAddress(String(value.from));
    const to = parseAddress(String(value.to));
    return (
      typeof actual === "object" &&
      "value" in actual &&
      from !== undefined &&
      to !== undefined &&
      actual.value >= from.value &&
      actual.value <= to.value
    );
  }
  if (typeof actual === "number") return actual === numberOf(field, value);
  if (typeof actual === "string") {
    const text = String(value);
    return text.endsWith("*") ? actual.startsWith(text.slice(0, -1)) : actual === text;
  }
  if ("value" in actual) {
    const network = parseNetwork(String(value));
    return network !== undefined && contains(network, actual);
  }
  return String(value)
    .split(",")
    .some((one) => actual.includes(one.trim()));
}

/** Words of nft(8) for numbers, by field. */
const words: Partial<Record<NftField, Readonly<Record<string, number>>>> = {
  l4proto: { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, "ipv6-icmp": 58 },
  nfproto: { ipv4: 2, ipv6: 10 },
  "icmp type": icmpTypes,
  "icmpv6 type": icmpv6Types,
  "tcp flags": { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 },
};

function numberOf(field: NftField, value: string | number): number {
  return typeof value === "number" ? value : (words[field]?.[value] ?? Number(value));
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

function statementText(statement: NftStatement): string {
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
function isSet(value: NftValue): value is readonly (string | number | NftRange)[] {
  return Array.isArray(value);
}
