/**
 * What a rule asks for, gathered over the jumps that lead to it: an interface, a port, a network. The topology file has
 * no chains, so the conditions of a jump become conditions of every rule behind it.
 */
import { contains, parsePrefix } from "../../model/address.js";
import type { NftField, NftRange, NftStatement, NftValue } from "../../model/nft.js";

type Match = Extract<NftStatement, { kind: "match" }>;

export interface Conditions {
  readonly family?: 4 | 6;
  readonly in: Interfaces;
  readonly out: Interfaces;
  /** Of every other field, what it must be. */
  readonly equal: ReadonlyMap<NftField, NftValue>;
  /** What cannot be said in a topology file. */
  readonly beyond: readonly string[];
}

interface Interfaces {
  readonly only?: string;
  readonly not: ReadonlySet<string>;
}

const any: Interfaces = { not: new Set() };

export function unconditional(family?: 4 | 6): Conditions {
  return { ...(family === undefined ? {} : { family }), in: any, out: any, equal: new Map(), beyond: [] };
}

/** @returns undefined where nothing can meet both: such a rule never matches */
export function narrowed(given: Conditions, match: Match): Conditions | undefined {
  const { field, op, value } = match;
  if (field === "iifname" || field === "oifname") {
    const key = field === "iifname" ? "in" : "out";
    if (typeof value !== "string" || (op !== "==" && op !== "!=")) return beyond(given, match);
    if (value === "*") return op === "==" ? given : undefined;
    const interfaces = op === "==" ? only(given[key], value) : except(given[key], value);
    return interfaces && { ...given, [key]: interfaces };
  }
  if (field === "nfproto" && op === "==") return ofFamily(given, value === "ipv6" ? 6 : 4);
  if (op !== "==") {
    // What is left out of everything is what a rule before it says: the file has an order, and no such "not".
    return beyond(given, match);
  }
  const family = field.startsWith("ip6 ") ? 6 : field.startsWith("ip ") ? 4 : undefined;
  const within = family === undefined ? given : ofFamily(given, family);
  if (within === undefined) return undefined;
  const known = within.equal.get(field);
  const value2 = known === undefined ? value : common(known, value);
  if (value2 === null) return undefined;
  if (value2 === undefined) return beyond(within, match);
  return { ...within, equal: new Map([...within.equal, [field, value2]]) };
}

/**
 * What is left where a rule has sent some packets elsewhere: all others. Only for a rule that names one interface and
 * nothing else can that be said.
 */
export function remaining(given: Conditions, statements: readonly NftStatement[]): Conditions | undefined {
  const matches = statements.filter(
    (each) => each.kind === "match" || each.kind === "unknown" || each.kind === "limit",
  );
  const [only] = matches;
  if (matches.length !== 1 || only?.kind !== "match" || (only.field !== "iifname" && only.field !== "oifname"))
    return undefined;
  if (only.op !== "==" && only.op !== "!=") return undefined;
  return narrowed(given, { ...only, op: only.op === "==" ? "!=" : "==" });
}

function ofFamily(given: Conditions, family: 4 | 6): Conditions | undefined {
  return given.family !== undefined && given.family !== family ? undefined : { ...given, family };
}

function only(given: Interfaces, name: string): Interfaces | undefined {
  if (given.only !== undefined && given.only !== name) return undefined;
  return given.not.has(name) ? undefined : { only: name, not: given.not };
}

function except(given: Interfaces, name: string): Interfaces | undefined {
  if (given.only === name) return undefined;
  return { ...given, not: new Set([...given.not, name]) };
}

/** @returns null where nothing is both, undefined where it cannot be told */
function common(a: NftValue, b: NftValue): NftValue | null | undefined {
  if (JSON.stringify(a) === JSON.stringify(b)) return a;
  const both = elementsOf(a).flatMap((one) => elementsOf(b).map((other) => shared(one, other)));
  if (both.includes(undefined)) return undefined;
  const left = both.flatMap((each) => (each === null || each === undefined ? [] : [each]));
  const [first] = left;
  if (first === undefined) return null;
  return left.length === 1 ? first : left;
}

type Element = string | number | NftRange;

function elementsOf(value: NftValue): readonly Element[] {
  return typeof value === "object" && !("from" in value) ? value : [value];
}

function shared(a: Element, b: Element): Element | null | undefined {
  if (typeof a === "string" && typeof b === "string") {
    const [first, second] = [parsePrefix(a), parsePrefix(b)];
    if (first === undefined || second === undefined) return a === b ? a : null;
    if (contains(first, second)) return b;
    return contains(second, first) ? a : null;
  }
  const [x, y] = [spanOf(a), spanOf(b)];
  if (x === undefined || y === undefined) return undefined;
  const [from, to] = [Math.max(x[0], y[0]), Math.min(x[1], y[1])];
  if (from > to) return null;
  return from === to ? from : { from, to };
}

function spanOf(value: Element): readonly [number, number] | undefined {
  if (typeof value === "number") return [value, value];
  if (typeof value === "string" || typeof value.from !== "number" || typeof value.to !== "number") return undefined;
  return [value.from, value.to];
}

function beyond(given: Conditions, match: Match): Conditions {
  return { ...given, beyond: [...given.beyond, matchText(match)] };
}

function matchText({ field, op, value }: Match): string {
  return `${field} ${op === "==" ? "" : `${op} `}${valueText(value)}`;
}

export function valueText(value: NftValue): string {
  if (typeof value !== "object") return String(value);
  return "from" in value ? `${value.from}-${value.to}` : `{ ${value.map(valueText).join(", ")} }`;
}
