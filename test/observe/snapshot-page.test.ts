/** docs/snapshot.md and src/model/snapshot.ts name the same fields. */
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { project } from "../e2e/cli.js";

/** `field` or `field?` of each exported interface. */
function typed(source: string): Map<string, string[]> {
  return new Map(
    [...source.matchAll(/export interface (\w+)[^{]*\{\n([^]*?)\n\}/g)].map(([, name = "", body = ""]) => [
      name,
      [...body.matchAll(/^ {2}readonly (\w+\??):/gm)].map(([, field = ""]) => field),
    ]),
  );
}

/** The first column of the table below each heading. */
function told(page: string): Map<string, string[]> {
  return new Map(
    page
      .split(/^### /m)
      .slice(1)
      .map((section) => [
        /^\w+/.exec(section)?.[0] ?? "",
        [...section.matchAll(/^\| `(\w+\??)` \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, field = ""]) => field),
      ]),
  );
}

test("every field is told of, with its value and its source, and nothing else", (t) => {
  const fields = typed(readFileSync(path.join(project, "src/model/snapshot.ts"), "utf8"));
  const page = told(readFileSync(path.join(project, "docs/snapshot.md"), "utf8"));
  t.true(fields.size > 15);
  t.deepEqual([...page.keys()].toSorted(), [...fields.keys()].toSorted());
  for (const [name, own] of fields) t.deepEqual(page.get(name), own, name);
});
