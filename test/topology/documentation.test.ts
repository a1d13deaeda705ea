/** docs/topology.md: its examples can be read without a warning, and it names every key of the format. */
import { readFileSync } from "node:fs";
import test from "ava";
import { jsonSchema } from "../../src/topology/json-schema.js";
import { formatProblems } from "../../src/topology/problem.js";
import { readTopology } from "../../src/topology/read.js";

const page = readFileSync(new URL("../../../docs/topology.md", import.meta.url), "utf8");
const examples = Array.from(page.matchAll(/```jsonc\n([\s\S]*?)```/g), (match) => ({
  text: match[1]!,
  line: page.slice(0, match.index).split("\n").length,
}));

test("there are examples", (t) => {
  t.true(examples.length >= 6);
});

for (const { text, line } of examples) {
  test(`the example in line ${line}`, (t) => {
    const result = readTopology(text, { path: "docs/topology.md", strict: true });
    t.is(formatProblems(result.problems), "");
    t.true(result.ok);
  });
}

function keysOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) => [
    ...(key === "properties" ? Object.keys(value as object) : []),
    ...keysOf(value),
  ]);
}

test("every key of the format is on the page", (t) => {
  const keys = [...new Set(keysOf(JSON.parse(jsonSchema())))].toSorted();
  t.true(keys.length > 80);
  t.deepEqual(
    keys.filter((key) => !page.includes(`\`${key}\``) && !page.includes(`"${key}"`)),
    [],
  );
});
