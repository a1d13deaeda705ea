/** What the rules of a node do to packets, in a few words: for pictures. */
import type { NftField, NftRule, NftStatement, NftTable, NftValue } from "../../model/nft.js";

/** `8080 -> 10.0.0.10:80`, `masquerade 10.0.0.0/24 out eth0`, `drop dport 81 (no 81)`: each once, in the order of the rules. */
export function nftNotes(tables: readonly NftTable[]): string[] {
  const notes = tables.flatMap(({ chains }) =>
    chains.flatMap(({ hook, rules }) => [
      ...(hook?.policy === "drop" ? [`${hook.hook}: drop what no rule accepts`] : []),
      ...rules.flatMap((rule) => ruleNote(rule) ?? []),
    ]),
  );
  return [...new Set(notes)];
}

function ruleNote({ statements, comment }: NftRule): string | undefined {
  for (const statement of statements) {
    const words = actionWords(statement, statements);
    if (words !== undefined) return comment === undefined ? words : `${words} (${comment})`;
  }
  return undefined;
}

function actionWords(statement: NftStatement, statements: readonly NftStatement[]): string | undefined {
  const port = matched(statements, "th dport");
  switch (statement.kind) {
    case "dnat": {
      const host = statement.family === 6 ? `[${statement.address ?? ""}]` : (statement.address ?? "");
      return `${port ?? "any port"} -> ${host}${statement.port === undefined ? "" : `:${statement.port}`}`;
    }
    case "redirect":
      return `${port ?? "any port"} -> itself${statement.port === undefined ? "" : `:${statement.port}`}`;
    case "masquerade":
    case "snat": {
      const from = matched(statements, "ip saddr") ?? matched(statements, "ip6 saddr");
      const out = matched(statements, "oifname");
      const to = statement.kind === "snat" ? ` to ${statement.address ?? ""}${portText(statement.port)}` : "";
      return `${statement.kind}${from === undefined ? "" : ` ${from}`}${out === undefined ? "" : ` out ${out}`}${to}`;
    }
    case "drop":
    case "reject":
      return [statement.kind, ...conditions(statements)].join(" ");
    default:
      return undefined;
  }
}

function portText(port: number | undefined): string {
  return port === undefined ? "" : `:${port}`;
}

/** How conditions of a filter rule are called in a picture. */
const spoken: readonly (readonly [NftField, string])[] = [
  ["iifname", "from"],
  ["oifname", "out"],
  ["ip saddr", "from"],
  ["ip6 saddr", "from"],
  ["ip daddr", "to"],
  ["ip6 daddr", "to"],
  ["th dport", "dport"],
  ["ct state", "ct"],
];

function conditions(statements: readonly NftStatement[]): string[] {
  return spoken.flatMap(([field, word]) => {
    const value = matched(statements, field);
    return value === undefined ? [] : [`${word} ${value}`];
  });
}

function matched(statements: readonly NftStatement[], field: NftField): string | undefined {
  for (const statement of statements)
    if (statement.kind === "match" && statement.field === field && statement.op === "==")
      return valueText(statement.value);
  return undefined;
}

function valueText(value: NftValue): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  return "from" in value ? `${value.from}-${value.to}` : value.map(valueText).join(",");
}
