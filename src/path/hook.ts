/** One hook of netfilter: its base chains, connection tracking and NAT, in the order in which a packet meets them. */
import type { NftTable } from "../model/nft.js";
import type { Connection } from "./connection.js";
import { destinationOf, destinationText, type Header, sourceOf, sourceText } from "./header.js";
import { type BaseChain, type Hook, type Station, stationsOf } from "./hook-order.js";
import type { RuleContext } from "./match.js";
import type { Decision } from "./prediction.js";
import { quoteRule, type RuleQuote } from "./quote.js";
import { askChain, type ChainResult, type RuleDoubt } from "./rules.js";

export interface HookResult {
  readonly header: Header;
  /** As it is behind the hook: NAT marks it. Undefined before conntrack. */
  readonly connection: Connection | undefined;
  /** The rule or policy that ends the packet. */
  readonly refusal?: { readonly kind: "drop" | "reject"; readonly quote: RuleQuote };
  readonly decisions: readonly Pick<Decision, "by" | "text">[];
  readonly doubts: readonly RuleDoubt[];
}

/**
 * @param connection what conntrack has found, or finds at its place of this hook
 * @param tracked whether conntrack has looked at the packet before
 */
export function askHook(
  tables: readonly NftTable[],
  hook: Hook,
  header: Header,
  context: Omit<RuleContext, "connection">,
  connection: Connection,
  tracked: boolean,
): HookResult {
  const asked = new Asked(header, context, tracked ? connection : undefined);
  for (const station of stationsOf(tables, hook, header.family)) {
    const refusal = asked.at(station, connection);
    if (refusal !== undefined) return { ...asked.result(), refusal };
  }
  return asked.result();
}

type Refusal = NonNullable<HookResult["refusal"]>;

class Asked {
  #header: Header;
  #connection: Connection | undefined;
  #untracked = false;
  readonly #context: Omit<RuleContext, "connection">;
  readonly #decisions: Pick<Decision, "by" | "text">[] = [];
  readonly #doubts: RuleDoubt[] = [];

  constructor(header: Header, context: Omit<RuleContext, "connection">, connection: Connection | undefined) {
    this.#header = header;
    this.#context = context;
    this.#connection = connection;
  }

  result(): HookResult {
    return {
      header: this.#header,
      connection: this.#connection,
      decisions: this.#decisions,
      doubts: this.#doubts,
    };
  }

  at(station: Station, found: Connection): Refusal | undefined {
    switch (station.kind) {
      case "conntrack":
        this.#track(found);
        return undefined;
      case "nat":
        return this.#nat(station.changes, station.chains);
      case "chain":
        return this.#chain(station.base);
    }
  }

  #track(found: Connection): void {
    this.#connection ??= this.#untracked ? { state: "untracked", direction: "original", status: [] } : found;
  }

  #chain(base: BaseChain): Refusal | undefined {
    const { outcome, header } = this.#ask(base);
    this.#header = header;
    if (outcome.kind !== "accept") return outcome;
    if (outcome.quote !== undefined) this.#note(outcome.quote);
    return undefined;
  }

  /** A connection that is known is translated as it was; of a new one, the first rule that has a word decides. */
  #nat(changes: "source" | "destination", chains: readonly BaseChain[]): Refusal | undefined {
    const connection = this.#connection;
    if (connection?.state === "untracked" || connection?.state === "invalid") return undefined;
    if (connection?.translated !== undefined) {
      const before = this.#header;
      const ends = changes === "destination" ? destinationOf(connection.translated) : sourceOf(connection.translated);
      const { about } = connection.translated;
      this.#header = { ...before, ...ends, ...(about === undefined ? {} : { about }) };
      this.#noteRewrite(changes, before, "conntrack", "the connection is translated");
      return undefined;
    }
    if (connection?.settled?.includes(changes)) return undefined;
    if (connection !== undefined)
      this.#connection = { ...connection, settled: [...(connection.settled ?? []), changes] };
    for (const base of chains) {
      const before = this.#header;
      const { outcome, header } = this.#ask(base);
      this.#header = header;
      if (outcome.kind !== "accept") return outcome;
      if (!outcome.nat || outcome.quote === undefined) continue;
      const word = changes === "destination" ? "dnat" : "snat";
      this.#noteRewrite(changes, before, word, quoteRule(outcome.quote));
      if (this.#connection !== undefined)
        this.#connection = { ...this.#connection, status: [...this.#connection.status, word] };
      return undefined;
    }
    return undefined;
  }

  #ask(base: BaseChain): ChainResult {
    const connection = this.#connection;
    const context = { ...this.#context, ...(connection === undefined ? {} : { connection }) };
    const result = askChain(base, this.#header, context);
    this.#untracked ||= result.untracked;
    this.#doubts.push(...result.doubts);
    return result;
  }

  #note(quote: RuleQuote): void {
    this.#decisions.push({ by: quote.rule === undefined ? "nft-policy" : "nft-rule", text: quoteRule(quote) });
  }

  #noteRewrite(changes: "source" | "destination", before: Header, by: Decision["by"], why: string): void {
    const text = changes === "source" ? sourceText : destinationText;
    const [from, to] = [text(before), text(this.#header)];
    if (from !== to) this.#decisions.push({ by, text: `${changes} ${from} becomes ${to}: ${why}` });
  }
}
