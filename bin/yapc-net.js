#!/usr/bin/env node
// Starts the bundled program, nothing else. `--version` is answered before any of it is loaded. A CommonJS module
// (package.json of this folder): those start 5 ms faster.
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const [first, ...rest] = process.argv.slice(2);
if ((first === "--version" || first === "-v") && rest.length === 0) {
  const { name, version } = JSON.parse(fs.readFileSync(path.join(__dirname, "../package.json"), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  nameNobody();
  const { Modules } = require("./modules.js");
  const folder = path.join(__dirname, "../dist/bundle");
  void new Modules(folder).load(path.join(folder, "main.js")).main(process.argv.slice(2));
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
