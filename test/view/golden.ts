/** Golden files beside the tests. `UPDATE_GOLDEN=1` writes them anew; the change then shows in review. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";

/** Tests run in dist/test/view; the files stand in test/view/golden. */
const folder = fileURLToPath(new URL("../../../test/view/golden/", import.meta.url));

export function golden(t: ExecutionContext, name: string, text: string): void {
  const path = `${folder}${name}.txt`;
  if (process.env.UPDATE_GOLDEN === "1") {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, text);
  }
  t.deepEqual(text.split("\n"), readFileSync(path, "utf8").split("\n"));
}
