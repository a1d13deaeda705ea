/** docs/netlink.md: its examples are the programs in examples/, and they do what the page says. */
import test from "ava";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import * as errors from "../../src/kernel/errors.js";
import { testWith } from "../tools.js";

const root = path.resolve(import.meta.dirname, "../../..");
const page = readFileSync(path.join(root, "docs/netlink.md"), "utf8");
const sources = path.join(root, "test/kernel/examples");
const names = readdirSync(sources).map((file) => path.basename(file, ".ts"));

/** As a reader of the page would write the import. */
const published = (source: string) => source.replaceAll("../../../src/kernel/", "yapc-net/dist/src/kernel/").trimEnd();

/** Runs an example in namespaces of its own, as root of them. */
function run(name: string, before = "true", after = "true"): string {
  const script = path.join(import.meta.dirname, "examples", `${name}.js`);
  const shell = `set -e; mount -t tmpfs tmpfs /run; ${before}; "$NODE" "$SCRIPT"; ${after}`;
  return execFileSync("unshare", ["-Urnm", "sh", "-c", shell], {
    encoding: "utf8",
    timeout: 60_000,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", NODE: process.execPath, SCRIPT: script },
  });
}

for (const name of names) {
  test(`the page shows ${name}.ts as it is`, (t) => {
    const source = published(readFileSync(path.join(sources, `${name}.ts`), "utf8"));
    const block = new RegExp(`<!-- example: ${name} -->\n\n\`\`\`ts\n([\\s\\S]*?)\n\`\`\``).exec(page);
    t.is(block?.[1], source);
  });
}

test("veth: two namespaces, and they reach each other", (t) => {
  const output = run(
    "veth",
    "ip netns add a; ip netns add b",
    "ip netns exec a ping -c 1 -W 2 10.0.0.2; ip -n b -j link show eth0",
  );
  t.regex(output, /1 received/);
  t.regex(output, /"address":"02:00:00:00:00:0b"/);
});

test("errors: what the page says they say", (t) => {
  const shown = /<!-- example: errors -->[\s\S]*?```text\n([\s\S]*?)```/.exec(page)![1]!;
  const output = run("errors");
  const lines = output.split("\n");
  t.deepEqual(lines.slice(0, 4), shown.split("\n").slice(0, 4));
  // A kernel that has netem does it.
  t.true(["this kernel lacks CONFIG_NET_SCH_NETEM", "done"].includes(lines[4]!));
});

testWith("nft")("rules: written and read", (t) => {
  const lines = run("rules", "true", "nft list ruleset").split("\n");
  t.regex(lines[0]!, /^inet web input \d+ - match accept$/);
  t.regex(lines[1]!, /^inet web input \d+ the web match match counter accept$/);
  t.true(lines.includes('\t\ttcp dport { 80, 443 } counter packets 0 bytes 0 accept comment "the web"'));
});

test("listen: a bridge comes and goes", (t) => {
  const lines = run("listen").trim().split("\n");
  t.deepEqual([lines[0], lines.at(-1)], ["br0 there", "br0 removed"]);
});

test("schema: bytes, values, a name", (t) => {
  const shown = /<!-- example: schema -->[\s\S]*?```text\n([\s\S]*?)```/.exec(page)![1]!;
  t.is(run("schema"), shown);
});

test("every error class is on the page", (t) => {
  for (const [name, value] of Object.entries(errors)) {
    if (typeof value === "function" && name.endsWith("Error")) t.true(page.includes(`| \`${name}\``), name);
  }
});
