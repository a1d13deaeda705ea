#!/usr/bin/env node
// Starts the bundled program, nothing else. `--version` is answered before any of it is loaded.
import { readFileSync } from "node:fs";
import os from "node:os";

const [first, ...rest] = process.argv.slice(2);
if ((first === "--version" || first === "-v") && rest.length === 0) {
  const { name, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  nameNobody();
  const { main } = await import("../dist/bundle/main.js");
  await main(process.argv.slice(2));
}

/**
 * A user id that passwd(5) does not know, as in containers: packages ask for its shell and home as soon as they are
 * loaded, and node's os throws.
 */
function nameNobody() {
  try {
    os.userInfo();
  } catch {
    process.env.SHELL ??= "/bin/sh";
    process.env.HOME ??= "/";
  }
}
