/** All benchmarks, one after the other: `npm run bench`, or `npm run bench -- lab` for one. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".js") && !["run.js", "measure.js", "screen.js"].includes(file))
  .map((file) => path.basename(file, ".js"))
  .sort();
const wanted = process.argv.slice(2);
for (const unknown of wanted.filter((name) => !benches.includes(name))) {
  console.error(`error: no benchmark '${unknown}'\nhint:  ${benches.join(", ")}`);
  process.exit(2);
}
for (const name of wanted.length > 0 ? wanted : benches) {
  console.log(`== ${name}`);
  const { status } = spawnSync(process.execPath, [path.join(import.meta.dirname, `${name}.js`)], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
  console.log();
}
