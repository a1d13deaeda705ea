/**
 * 26: whole containers, and init against nonsense, with a helper that is built with the sanitizers: the tests of test/init
 * run once more in a copy of what was built, where that helper lies.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { buildHelper, missingSanitizers, project, sanitizers } from "./build.js";
import { skip } from "../tools.js";

const soak = process.env.YAPC_NET_SOAK !== undefined;

/** In the ordinary run one test of each thing that the helper does; in the soak all of them. */
const chosen = [
  "over / :*",
  "the exit of*",
  "others join it*",
  "a container on a terminal*",
  "26:*",
  "a node that is removed*",
];

/** Those that are about the memory of a process, which the sanitizers need for themselves. */
const never = ["!limits:*"];

test("26: containers start, are joined and end, and init takes nonsense, under the sanitizers without a report", (t) => {
  const missing = missingSanitizers();
  if (missing !== undefined) {
    skip(t, `needs ${missing}`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "yapc-sanitized-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "helper/build"), { recursive: true });
  mkdirSync(join(folder, "reports"));
  const reports = `-DREPORTS="${join(folder, "reports/report")}"`;
  const more = [join(project, "test/helper/sanitizers.c"), reports];
  const { status, stderr } = buildHelper(join(folder, "helper/build/yapc-init"), sanitizers, more);
  t.is(status, 0, stderr);
  for (const part of ["dist/src", "dist/test/init", "dist/test/helper", "dist/test/container", "package.json"])
    cpSync(join(project, part), join(folder, part), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"));
  const files = ["dist/test/init/container.netns.test.js", "dist/test/init/protocol.netns.test.js"];
  const matches = [...(soak ? ["*"] : chosen), ...never].map((title) => `--match=${title}`);
  const run = spawnSync("node_modules/.bin/ava", ["--tap", "--serial", "--timeout=30m", ...files, ...matches], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, TMPDIR: folder },
  });
  const found = readdirSync(join(folder, "reports")).map((name) => readFileSync(join(folder, "reports", name), "utf8"));
  t.deepEqual(found, []);
  t.is(run.status, 0, run.stdout);
  t.true((run.stdout.match(/^ok /gm)?.length ?? 0) >= chosen.length);
});
