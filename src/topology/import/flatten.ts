/** Base chains with their jumps followed: rules in the order in which a packet meets them. */
import type { NftChain, NftHook, NftRule, NftStatement, NftTable } from "../../model/nft.js";
import { type Conditions, narrowed, remaining, unconditional } from "./conditions.js";

export interface FlatRule {
  readonly conditions: Conditions;
  /** What is done: a verdict, a translation, a log entry, a limit, a counter. */
  readonly actions: readonly NftStatement[];
  readonly comment?: string;
  /** `ip filter FORWARD handle 7` */
  readonly place: string;
}

export interface FlatChain {
  readonly hook: NftHook;
  /** Of the table: 4, 6, or undefined for both. */
  readonly family?: 4 | 6;
  /** `ip filter FORWARD` */
  readonly place: string;
  readonly rules: readonly FlatRule[];
  /** What could not be followed. */
  readonly notes: readonly string[];
}

/** A ruleset that jumps in circles is refused by the kernel; one that is only deep, by this. */
const deepest = 16;
const mostRules = 4000;

/** The base chains of the tables that judge IP, in the order in which the kernel asks them. */
export function flattened(tables: readonly NftTable[]): FlatChain[] {
  return tables
    .filter(({ family }) => family === "ip" || family === "ip6" || family === "inet")
    .flatMap((table) =>
      table.chains.flatMap((chain): FlatChain[] => {
        if (chain.hook === undefined) return [];
        const family = table.family === "ip" ? 4 : table.family === "ip6" ? 6 : undefined;
        const walk = new Walk(table);
        walk.enter(chain, unconditional(family), 0);
        const place = `${table.family} ${table.name} ${chain.name}`;
        const { rules, notes } = walk;
        return [{ hook: chain.hook, ...(family === undefined ? {} : { family }), place, rules, notes }];
      }),
    )
    .toSorted((a, b) => a.hook.priority - b.hook.priority);
}

class Walk {
  readonly rules: FlatRule[] = [];
  readonly notes: string[] = [];

  constructor(private readonly table: NftTable) {}

  enter(chain: NftChain, given: Conditions, depth: number): void {
    let here: Conditions | undefined = given;
    for (const rule of chain.rules) {
      if (this.rules.length >= mostRules) return;
      here = this.#meet(chain, rule, here, depth);
      if (here === undefined) return;
    }
  }

  /** @returns the packets that go on in this chain; undefined where none does */
  #meet(chain: NftChain, rule: NftRule, given: Conditions, depth: number): Conditions | undefined {
    const place = `${this.table.family} ${this.table.name} ${chain.name}${rule.handle === undefined ? "" : ` handle ${rule.handle}`}`;
    let conditions: Conditions | undefined = given;
    const actions: NftStatement[] = [];
    for (const statement of rule.statements) {
      if (statement.kind === "match") conditions = narrowed(conditions, statement);
      else if (statement.kind === "unknown")
        conditions = { ...conditions, beyond: [...conditions.beyond, shortened(statement.text || statement.name)] };
      else actions.push(statement);
      if (conditions === undefined) return given;
    }
    const bare = rule.statements.every(({ kind }) => kind !== "match" && kind !== "unknown" && kind !== "limit");
    const verdict = actions.at(-1);
    if (verdict?.kind === "return") {
      if (bare) return undefined;
      const others = remaining(given, rule.statements);
      if (others === undefined)
        this.notes.push(
          `${place}: leaves its chain early for some packets; the rules behind it are carried as if it did not`,
        );
      return others ?? given;
    }
    if (verdict?.kind === "jump" || verdict?.kind === "goto") {
      const next = this.table.chains.find(({ name }) => name === verdict.chain);
      if (next !== undefined && depth < deepest) this.enter(next, conditions, depth + 1);
      return verdict.kind === "goto" && bare ? undefined : given;
    }
    this.rules.push({ conditions, actions, place, ...(rule.comment === undefined ? {} : { comment: rule.comment }) });
    return bare && (verdict?.kind === "accept" || verdict?.kind === "drop") ? undefined : given;
  }
}

/** What nobody could read is shown by its beginning. */
function shortened(text: string): string {
  return text.length <= 48 ? text : `${text.slice(0, 47)}…`;
}
