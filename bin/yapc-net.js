#!/usr/bin/env node
// Starts the bundled program, nothing else. `--version` is answered before any of it is loaded.
import { readFileSync } from "node:fs";

const [first, ...rest] = process.argv.slice(2);
if ((first === "--version" || first === "-v") && rest.length === 0) {
  const { name, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  const { main } = await import("../dist/bundle/main.js");
  await main(process.argv.slice(2));
}
