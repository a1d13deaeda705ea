#!/usr/bin/env node
// Starts oclif, nothing else. `--version` is answered before oclif is loaded (100 ms of packages).
import { readFileSync } from "node:fs";

const [first, ...rest] = process.argv.slice(2);
if ((first === "--version" || first === "-v") && rest.length === 0) {
  const { name, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  process.env.OCLIF_COLUMNS ??= process.stdout.isTTY ? undefined : "200";
  if (process.env.OCLIF_COLUMNS === "undefined") delete process.env.OCLIF_COLUMNS;
  const { execute } = await import("@oclif/core");
  await execute({ dir: import.meta.url });
}
