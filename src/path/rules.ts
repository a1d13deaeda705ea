/**
 * What the nf_tables rules of a snapshot do with a packet in one base chain: jumps, returns and verdicts as nft(8) has
 * them. A rule that cannot be judged from a snapshot (a rate limit, an expression that we cannot read) leaves a doubt
 * behind: what it would do if it applied.
 */
import type { NftChain, NftRule, NftStatement, NftTable } from "../model/nft.js";
import { parseAddress } from "../model/address.js";
import { type Header, withPorts } from "./header.js";
import type { BaseChain } from "./hook-order.js";
import { matches, type RuleContext } from "./match.js";
import { type RuleQuote, statementText } from "./quote.js";

/** What a chain does with a packet; `quote` is absent where no rule and no policy of it had a word to say. */
export type ChainOutcome =
  | { readonly kind: "accept"; readonly quote?: RuleQuote; readonly nat: boolean }
  | { readonly kind: "drop" | "reject"; readonly quote: RuleQuote };

/** A rule of which the snapshot does not say whether it applies. */
export interface RuleDoubt {
  readonly quote: RuleQuote;
  /** Why: `limit rate 5/second`, `xt match "recent"`. */
  readonly text: string;
  /** A rate limit is taken not to be exceeded; anything else not to match. */
  readonly assumed: boolean;
  /** What it would do if it were otherwise. */
  readonly otherwise: "accept" | "drop" | "reject" | "nat" | "change" | "unknown";
}

export interface ChainResult {
  readonly outcome: ChainOutcome;
  /** With the addresses and the mark that rules gave it. */
  readonly header: Header;
  /** A rule took the packet out of connection tracking. */
  readonly untracked: boolean;
  /** Those that could change the outcome. */
  readonly doubts: readonly RuleDoubt[];
}

export function askChain({ table, chain }: BaseChain, header: Header, context: RuleContext): ChainResult {
  const walk = new Walk(table, header, context, { left: SUPPOSED_RULES });
  const found = walk.chain(chain, 0);
  const outcome: ChainOutcome =
    typeof found === "object" ? found : { kind: chain.hook?.policy ?? "accept", quote: { table, chain }, nat: false };
  const end = outcome.kind === "accept" && outcome.nat ? "nat" : outcome.kind;
  return {
    outcome,
    header: walk.header,
    untracked: walk.untracked,
    doubts: walk.doubts.filter(({ otherwise }) => otherwise !== end || end === "nat"),
  };
}

/** The kernel's own bound of jumps (NFT_JUMP_STACK_SIZE). */
const DEEPEST = 16;
/** Rules that are looked at only to know what a doubtful one would do: beyond, that is unknown. */
const SUPPOSED_RULES = 2048;

/** Expressions that let a packet pass whatever they do beside. */
const harmless: ReadonlySet<string> = new Set(["last", "dynset", "flow_offload", "ct_helper"]);

type Found = "continue" | "return" | ChainOutcome;

class Walk {
  header: Header;
  untracked = false;
  readonly doubts: RuleDoubt[] = [];
  readonly #table: NftTable;
  readonly #context: RuleContext;
  readonly #budget: { left: number };
  /** Whether this is a supposition: then all that is doubtful applies, and no more is supposed. */
  readonly #supposed: boolean;

  constructor(table: NftTable, header: Header, context: RuleContext, budget: { left: number }, supposed = false) {
    this.#table = table;
    this.header = header;
    this.#context = context;
    this.#budget = budget;
    this.#supposed = supposed;
  }

  chain(chain: NftChain, depth: number): Found {
    if (depth > DEEPEST) return "continue";
    for (const rule of chain.rules) {
      if (this.#supposed && this.#budget.left-- <= 0) return "continue";
      const found = this.#statements(chain, rule, 0, depth);
      if (found === "return") return "continue";
      if (found !== "continue") return found;
    }
    return "continue";
  }

  #statements(chain: NftChain, rule: NftRule, from: number, depth: number): Found {
    const quote = { table: this.#table, chain, rule };
    for (let at = from; at < rule.statements.length; at++) {
      const statement = rule.statements[at];
      if (statement === undefined) break;
      switch (statement.kind) {
        case "match": {
          const yes = matches(statement, this.header, this.#context);
          if (yes === undefined) {
            if (this.#supposed) break;
            return this.#doubt(quote, statement, at, depth);
          }
          if (!yes) return "continue";
          break;
        }
        case "accept":
          return { kind: "accept", quote, nat: false };
        case "return":
        case "continue":
          return statement.kind;
        case "drop":
        case "reject":
          return { kind: statement.kind, quote };
        case "jump":
        case "goto": {
          const target = this.#table.chains.find((one) => one.name === statement.chain);
          const found = target ? this.chain(target, depth + 1) : "continue";
          if (found !== "continue") return found;
          if (statement.kind === "goto") return "return";
          break;
        }
        case "dnat":
        case "snat":
        case "masquerade":
        case "redirect":
          this.#translate(statement);
          return { kind: "accept", quote, nat: true };
        case "meta set":
          if (statement.key === "mark") this.header = { ...this.header, mark: statement.value };
          break;
        case "limit":
          // Below its rate it matches; above, the rule is passed over.
          if (!this.#supposed) this.#assume(quote, statement, at, depth);
          break;
        case "unknown":
          if (statement.name === "notrack") this.untracked = true;
          else if (!harmless.has(statement.name) && !this.#supposed) return this.#doubt(quote, statement, at, depth);
          break;
        case "counter":
        case "log":
          break;
      }
    }
    return "continue";
  }

  /** May be a match that says no: such a rule is passed over. */
  #doubt(quote: Required<RuleQuote>, statement: NftStatement, at: number, depth: number): Found {
    const otherwise = this.#suppose(quote, at + 1, depth);
    if (otherwise !== undefined) this.doubts.push({ quote, text: statementText(statement), assumed: false, otherwise });
    return "continue";
  }

  #assume(quote: Required<RuleQuote>, statement: NftStatement, at: number, depth: number): void {
    if (this.#suppose(quote, at + 1, depth) === undefined) return;
    this.doubts.push({ quote, text: statementText(statement), assumed: true, otherwise: "unknown" });
  }

  /** What the rest of a rule would do; undefined where that is nothing. */
  #suppose({ chain, rule }: Required<RuleQuote>, from: number, depth: number): RuleDoubt["otherwise"] | undefined {
    const other = new Walk(this.#table, this.header, this.#context, this.#budget, true);
    const found = other.#statements(chain, rule, from, depth);
    if (this.#budget.left <= 0) return "unknown";
    if (typeof found === "object") return found.kind === "accept" && found.nat ? "nat" : found.kind;
    if (found === "return") return "unknown";
    return other.header === this.header && !other.untracked ? undefined : "change";
  }

  #translate(statement: NftStatement & { readonly kind: "dnat" | "snat" | "masquerade" | "redirect" }): void {
    const text =
      statement.kind === "masquerade" || statement.kind === "redirect" ? this.#context.ownAddress : statement.address;
    const address = text === undefined ? undefined : parseAddress(text);
    const port = statement.kind === "masquerade" ? undefined : statement.port;
    this.header =
      statement.kind === "dnat" || statement.kind === "redirect"
        ? withPorts({ ...this.header, ...(address && { destination: address }) }, undefined, port)
        : withPorts({ ...this.header, ...(address && { source: address }) }, port, undefined);
  }
}
