/** Expressions of the kernel -> statements of nft(8). What is not understood is shown, never lost. */
import type { NftFamily, NftStatement } from "../../model/nft.js";
import { print } from "../codec/index.js";
import { readCompat } from "./compat.js";
import { readStatement } from "./decompile-action.js";
import { type SetContents, familyProtocols, readEtherType, readMatch } from "./decompile-match.js";
import type { Expression } from "./expressions.js";
import { fields } from "./fields.js";
import { rejections } from "./vocabulary.js";

/** @param sets elements of the sets that the rule looks in, by name */
export function decompileRule(
  family: NftFamily,
  expressions: readonly Expression[],
  sets: ReadonlyMap<string, SetContents> = new Map<string, SetContents>(),
): NftStatement[] {
  const statements: NftStatement[] = [];
  let at = 0;
  while (at < expressions.length) {
    const rest = expressions.slice(at);
    const [first] = rest;
    if (first === undefined) break;
    const known = {
      nfproto: familyProtocols[family] ?? last(statements, "nfproto"),
      l4proto: last(statements, "l4proto"),
    };
    const compat = readCompat(first, known);
    if (compat !== undefined) {
      statements.push(...compat);
      at += 1;
      continue;
    }
    const step =
      readEtherType(family, rest) ??
      readMatch(rest, sets, known) ??
      readStatement(rest, known) ??
      ([unknown(first), 1] as const);
    statements.push(step[0]);
    at += step[1];
  }
  return withoutDependencies(statements);
}

/** What the rule has made sure of so far. */
function last(statements: readonly NftStatement[], field: "l4proto" | "nfproto"): number | undefined {
  const found = statements.findLast((statement) => statement.kind === "match" && statement.field === field);
  return found?.kind === "match" && found.op === "==" && typeof found.value === "number" ? found.value : undefined;
}

/** Drops what nft would put before the next field by itself, as nft does when it lists a rule. */
function withoutDependencies(statements: readonly NftStatement[]): NftStatement[] {
  return statements.filter((statement, index) => {
    if (statement.kind !== "match" || statement.op !== "==") return true;
    if (statement.field !== "nfproto" && statement.field !== "l4proto") return true;
    // A dependency may stand before another one: nfproto, l4proto, icmp type.
    const next = statements.slice(index + 1).find((later) => !isProtocol(later));
    const between = statements.slice(index + 1).findIndex((later) => !isProtocol(later));
    if (next === undefined || between > 1) return true;
    return !needsOf(next).some((need) => need.field === statement.field && need.value === statement.value);
  });
}

function isProtocol(statement: NftStatement): boolean {
  return statement.kind === "match" && statement.field === "l4proto" && statement.op === "==";
}

function needsOf(statement: NftStatement) {
  if (statement.kind === "match") return fields[statement.field].needs ?? [];
  if (statement.kind !== "reject") return [];
  const { needs } = rejections[statement.with];
  return needs === undefined ? [] : [needs];
}

function unknown({ name = "", data }: Expression): NftStatement {
  const compat = data?.match ?? data?.target;
  if (compat !== undefined) return { kind: "unknown", name, text: `xt ${name} "${compat.name ?? ""}"` };
  return { kind: "unknown", name, text: `${name} ${print(Object.values(data ?? {})[0] ?? {})}`.trim() };
}
