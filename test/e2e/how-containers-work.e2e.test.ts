/**
 * docs/how-containers-work.md: every command of the page is run, in its order, and prints what stands below it. `…`
 * stands for any text, a line of it alone for any number of lines.
 */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { cli, executable, isRoot, project } from "./cli.js";
import { has } from "../tools.js";
import { runProgram } from "./machine.js";

interface Example {
  readonly line: number;
  readonly command: string;
  readonly output: readonly string[];
}

interface Block {
  readonly forRoot: boolean;
  readonly examples: readonly Example[];
}

const page = readFileSync(path.join(project, "docs/how-containers-work.md"), "utf8");

const blocks = Array.from(page.matchAll(/^```console( root)?\n([^]*?)^```$/gm), (match): Block => {
  const first = page.slice(0, match.index).split("\n").length + 1;
  const examples: (Example & { output: string[] })[] = [];
  (match[2] ?? "").split("\n").forEach((text, index) => {
    if (text.startsWith("$ ")) examples.push({ line: first + index, command: text.slice(2), output: [] });
    else if (text !== "") examples.at(-1)?.output.push(text);
  });
  return { forRoot: match[1] !== undefined, examples };
});

function pattern(lines: readonly string[]): RegExp {
  const each = lines.map((line) =>
    line === "…"
      ? "(?:[^\\n]*\\n)*?"
      : `${line.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replaceAll("…", "[^\\n]*")}[ ]*\\n`,
  );
  return new RegExp(`^${each.join("")}$`);
}

test("every command of the page does what the page says", async (t) => {
  if (!has(t, "busybox")) return;
  const place = cli(t);
  const binary = path.join(place.folder, "yapc-net");
  writeFileSync(binary, `#!/bin/sh\nexec ${process.execPath} ${executable} "$@"\n`);
  chmodSync(binary, 0o755);
  const environment = {
    PATH: `${place.folder}:${process.env.PATH ?? ""}:/usr/sbin:/sbin`,
    XDG_RUNTIME_DIR: place.folder,
    LC_ALL: "C",
  };
  const wanted = blocks.filter(({ forRoot }) => isRoot || !forRoot).flatMap(({ examples }) => examples);
  t.true(wanted.length > 20);
  for (const { line, command, output } of wanted) {
    // Both streams in one, as on a terminal.
    const { text } = await runProgram("sh", ["-c", `exec 2>&1; ${command}`], { cwd: place.folder, environment });
    t.regex(text, pattern(output), `line ${line}: $ ${command}\n${text}`);
  }
});
