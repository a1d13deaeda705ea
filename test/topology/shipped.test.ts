/** The labs of topologies/: each can be read without a warning, and carries its picture, its story and what it expects. */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { formatProblems } from "../../src/topology/problem.js";
import { readTopology } from "../../src/topology/read.js";
import { jsonSchema } from "../../src/topology/json-schema.js";

const folder = new URL("../../../topologies/", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "schema.json");

test("at least ten labs ship, the seeds' three among them", (t) => {
  t.true(files.length >= 10);
  for (const seed of ["veth-pair.json", "docker-bridge.json", "yapc-bridge.json"]) t.true(files.includes(seed));
});

for (const file of files) {
  test(`${file} is a good example`, (t) => {
    const text = readFileSync(new URL(file, folder), "utf8");
    const result = readTopology(text, { path: file, strict: true });
    t.is(formatProblems(result.problems), "");
    if (!result.ok) return;
    t.is(`${result.topology.name}.json`, file);
    t.true(result.topology.expectations.length > 0, "expects nothing");
    const header = text.split("{")[0] ?? "";
    t.regex(header, /^\/\/ .*[.:]$/m, "no story");
    t.regex(header, /[═─]/, "no picture");
    t.true(text.split("\n").every((line) => line.length <= 120));
  });
}

test("fewer web servers by --set", (t) => {
  const text = readFileSync(new URL("web-farm.json", folder), "utf8");
  const result = readTopology(text, { path: "web-farm.json", variables: { count: "7" } });
  t.true(result.ok);
  if (result.ok) t.is(result.topology.nodes.filter(({ name }) => name.startsWith("web")).length, 7);
});

test("schema.json is what the validator says", (t) => {
  // After a change of the form: node -e 'import("./dist/src/topology/json-schema.js").then((m) => process.stdout.write(m.jsonSchema()))' > topologies/schema.json
  t.is(readFileSync(new URL("schema.json", folder), "utf8"), jsonSchema());
});
