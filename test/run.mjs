// The test command: lint, format, then the three belts of docs/testing.md, each step named, one closing line.
//   npm test                everything
//   npm test -- netns       only the steps whose name contains the word; `npm test -- "e2e (root)"` one of them
//   npm run soak            the long ones in full (YAPC_NET_SOAK=1): every pair, every kill point
//   YAPC_NET_SEED=7         another sample of the random ones; a failure names its seed
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import os from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const isRoot = process.getuid() === 0;
/** The ordinary user of the tests when root runs them: an id that no machine gives to a person. */
const ordinary = { uid: 61234, gid: 61234 };
const totals = { passed: 0, failed: 0, skipped: 0 };
const skippedTests = [];
const failedTests = [];

// NODE_EXTRA_CA_CERTS costs 50 ms at every start of node, and nothing here speaks TLS.
const environment = { ...process.env };
delete environment.NODE_EXTRA_CA_CERTS;
environment.PATH = `${environment.PATH}:/usr/sbin:/sbin`;

const belts = {
  pure: ["dist/test/**/*.test.js", "!dist/test/**/*.netns.test.js", "!dist/test/**/*.e2e.test.js"],
  netns: ["dist/test/**/*.netns.test.js"],
  e2e: ["dist/test/**/*.e2e.test.js"],
};
/** What nearly all tests of a belt use; single tests look for the rest (test/tools.ts). */
const tools = {
  pure: [],
  netns: ["ip", "tc", "busybox", "ping", "ps", "sysctl"],
  e2e: ["ip", "busybox", "ping", "ps", "sysctl", "curl", "tcpdump"],
};
/** Tests that call `gc`: root has one state folder, so there they run one after another, beside the rest. */
const collecting = ["crash", "json", "lifecycle", "yapc"].map((name) => `dist/test/e2e/${name}.e2e.test.js`);

const steps = [
  {
    name: "lint, format",
    run: () =>
      Promise.all([
        check("node_modules/.bin/eslint", "--max-warnings=0", "."),
        check("node_modules/.bin/prettier", "--check", "--log-level=warn", "."),
      ]),
  },
  { name: "pure", run: () => belt("pure") },
  { name: "netns (ordinary user)", run: () => belt("netns", "ordinary") },
  { name: "netns (root)", run: () => belt("netns", "root") },
  { name: "e2e (ordinary user)", run: () => belt("e2e", "ordinary", ["--concurrency=2"]) },
  {
    name: "e2e (root)",
    run: () =>
      isRoot
        ? Promise.all([
            belt("e2e", "root", ["--serial"], collecting),
            belt("e2e", "root", ["--serial"], [...belts.e2e, ...collecting.map((file) => `!${file}`)]),
          ])
        : belt("e2e", "root"),
  },
];

function skipStep(name, reason) {
  totals.skipped += 1;
  skippedTests.push(`${name}: ${reason}`);
  console.log(`   skipped: ${reason}`);
}

function start(command, args, options = {}) {
  return spawn(command, args, { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"], ...options });
}

/** A step that is one test: it passes when the program exits with 0. */
async function check(command, ...args) {
  const child = start(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code === 0) totals.passed += 1;
  else {
    totals.failed += 1;
    failedTests.push(`${path.basename(command)} (exit ${code})`);
  }
}

/** Runs the AVA files of a belt and counts what they say (TAP). */
async function belt(name, user, how = name === "pure" ? [] : ["--serial"], files = belts[name]) {
  const options = {};
  let home;
  let cwd = root;
  const label = `[${name}${user ? ` ${user}` : ""}]`;
  if (user === "root" && !isRoot) return skipStep(label, "needs root");
  const missing = tools[name].filter(
    (tool) => spawnSync("sh", ["-c", `command -v ${tool}`], { env: environment }).status,
  );
  if (missing.length > 0) return skipStep(label, `needs ${missing.join(", ")}: ./bin/test installs them`);
  if (user === "ordinary" && isRoot) {
    Object.assign(options, ordinary);
    home = mkdtempSync(path.join(os.tmpdir(), "yapc-net-test-"));
    await new Promise((resolve) => start("chown", [`${ordinary.uid}:${ordinary.gid}`, home]).on("close", resolve));
    options.env = { ...environment, HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, USER: "nobody-in-particular" };
    // AVA makes it at its end, where the checkout is the ordinary user's; in one of root's it has to be there.
    mkdirSync(path.join(root, "node_modules/.cache/ava"), { recursive: true });
    // A clone below a folder that only root may enter is invisible to the ordinary user: test a copy.
    if (!readableByOthers(root)) {
      cwd = path.join(home, "checkout");
      for (const part of [
        "bin",
        "dist",
        "helper",
        "topologies",
        "captures",
        "test",
        "docs",
        "node_modules",
        "package.json",
        "oclif.manifest.json",
      ].filter((part) => existsSync(path.join(root, part))))
        cpSync(path.join(root, part), path.join(cwd, part), { recursive: true, verbatimSymlinks: true });
    }
  }
  if (user === "ordinary" && spawnSync("unshare", ["--user", "--net", "true"], options).status !== 0) {
    if (home) rmSync(home, { recursive: true, force: true });
    return skipStep(label, "this machine lets no ordinary user make namespaces (yapc-net doctor says why)");
  }
  const child = start("node_modules/.bin/ava", ["--tap", ...how, ...files], { ...options, cwd });
  child.stderr.pipe(process.stderr);
  const failedBefore = totals.failed;
  let current;
  /** What a test says stands below its name, which is printed once. */
  let titled;
  const print = (text) => {
    if (titled !== current) console.log(`   ${label} ${current}`);
    titled = current;
    console.log(`     ${text}`);
  };
  for await (const line of createInterface(child.stdout)) {
    const result = /^(not )?ok \d+ - (.*?)( # (SKIP|TODO)\b.*)?$/.exec(line);
    if (result) {
      current = result[2];
      if (result[3]) {
        totals.skipped += 1;
        skippedTests.push(`${label} ${current}`);
      } else if (result[1]) {
        totals.failed += 1;
        failedTests.push(`${label} ${current}`);
        print("FAILED");
      } else totals.passed += 1;
    } else if (/^\s*#\s+SKIP /.test(line)) {
      // A test that found out that the machine lacks something: it said so by `t.log("SKIP …")`.
      const reason = line.trim().replace(/^#\s+SKIP /, "");
      totals.passed -= 1;
      totals.skipped += 1;
      skippedTests.push(`${label} ${current}: ${reason}`);
      print(`skipped: ${reason}`);
    } else if (
      line.trim() !== "" &&
      !/^(TAP version|1\.\.|# (tests|pass|fail|skip) |# .*(before|after|after\.always) hook$|---|\.\.\.)/.test(
        line.trim(),
      )
    )
      print(line.replace(/^#\s+/, ""));
  }
  const code = await new Promise((resolve) =>
    child.exitCode === null ? child.on("close", resolve) : resolve(child.exitCode),
  );
  if (code !== 0 && totals.failed === failedBefore) {
    totals.failed += 1;
    failedTests.push(`${label} ava ended with ${code}`);
  }
  if (home) rmSync(home, { recursive: true, force: true });
}

/** Whether another user may enter the folder and all above it. */
function readableByOthers(folder) {
  for (let at = folder; at !== "/"; at = path.dirname(at)) if (!(statSync(at).mode & 0o001)) return false;
  return true;
}

const wanted = process.argv.slice(2);
if (wanted.length > 0 && !steps.some((step) => wanted.some((word) => step.name.includes(word)))) {
  console.error(`no step '${wanted.join(" ")}': ${steps.map((step) => step.name).join(", ")}`);
  process.exit(2);
}
for (const step of steps) {
  if (wanted.length > 0 && !wanted.some((word) => step.name.includes(word))) continue;
  const began = process.hrtime.bigint();
  console.log(`== ${step.name}`);
  await step.run();
  console.log(`   ${(Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)} s`);
}
if (skippedTests.length > 0) console.log(`\nskipped:\n${skippedTests.map((s) => `  ${s}`).join("\n")}`);
if (failedTests.length > 0) console.log(`\nfailed:\n${failedTests.map((s) => `  ${s}`).join("\n")}`);
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
