/**
 * Topology files that are right, and what becomes of them; files that are wrong, and what is said about them. Both stand
 * in fixtures/, so that a change of either shows in review. After a change that is meant: YAPC_NET_UPDATE=1, then read the diff.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { formatProblems } from "../../src/topology/problem.js";
import { readTopology } from "../../src/topology/read.js";

const fixtures = new URL("../../../test/topology/fixtures/", import.meta.url);
const update = process.env.YAPC_NET_UPDATE === "1";

function topologiesIn(folder: string): { name: string; text: string }[] {
  return readdirSync(new URL(`${folder}/`, fixtures))
    .filter((file) => file.endsWith(".json") && !file.endsWith(".resolved.json"))
    .map((file) => ({ name: file.slice(0, -5), text: readFileSync(new URL(`${folder}/${file}`, fixtures), "utf8") }));
}

function golden(path: string, actual: string): string {
  const url = new URL(path, fixtures);
  if (update) writeFileSync(url, actual);
  return readFileSync(url, "utf8");
}

for (const { name, text } of topologiesIn("good")) {
  test(`good: ${name}`, (t) => {
    const result = readTopology(text, { path: `${name}.json` });
    t.is(formatProblems(result.problems), "");
    if (!result.ok) return;
    const actual = `${JSON.stringify(result.topology, undefined, 1)}\n`;
    t.deepEqual(actual.split("\n"), golden(`good/${name}.resolved.json`, actual).split("\n"));
  });
}

for (const { name, text } of topologiesIn("bad")) {
  test(`bad: ${name}`, (t) => {
    const result = readTopology(text, { path: `${name}.json`, strict: true });
    t.false(result.ok, "nothing is wrong with it");
    const actual = `${formatProblems(result.problems)}\n`;
    t.deepEqual(actual.split("\n"), golden(`bad/${name}.txt`, actual).split("\n"));
  });
}

test("there are enough bad files to call the messages tested", (t) => {
  t.true(topologiesIn("bad").length >= 60);
});
