/** docs/json.md says what each command prints with --json: every block of it is compared with what the command prints. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "ava";
import { parse } from "jsonc-parser";
import { cli, Cli, project, until } from "./cli.js";

const place = new Cli();
const lab = place.lab("json");
const at = (end: string) => `${lab}/${end}`;
test.before(async () => {
  await place.ok("up", "docker-bridge", "--name", lab);
});
test.after.always(() => place.end());

/** By name, the values of a block: one, or a form for each kind of line. */
const documented = new Map(
  [...readFileSync(path.join(project, "docs/json.md"), "utf8").matchAll(/^```jsonc (\w+)\n([^]*?)^```$/gm)].map(
    ([, name = "", text = ""]): [string, unknown[]] => [
      name,
      text.split(/^(?=[[{])/m).map((value) => parse(value) as unknown),
    ],
  ),
);

/** Where a value is not as documented: paths, with what is wrong there. `{}` and `[]` of the document stand for any. */
function differences(actual: unknown, form: unknown, where: string): string[] {
  if (Array.isArray(form)) {
    if (!Array.isArray(actual)) return [`${where}: not a list`];
    return form.length === 0 ? [] : actual.flatMap((each, index) => ofOne(each, form, `${where}/${index}`));
  }
  if (typeof form !== "object" || form === null)
    return typeof actual === typeof form ? [] : [`${where}: ${JSON.stringify(actual)}`];
  if (typeof actual !== "object" || actual === null || Array.isArray(actual)) return [`${where}: not an object`];
  const keys = new Map(Object.entries(form).map(([key, value]) => [key.replace(/\?$/, ""), value as unknown]));
  if (keys.size === 0) return [];
  return [
    ...Object.keys(form).flatMap((key) => (key.endsWith("?") || key in actual ? [] : [`${where}/${key}: absent`])),
    ...Object.entries(actual).flatMap(([key, value]) =>
      keys.has(key) ? differences(value, keys.get(key), `${where}/${key}`) : [`${where}/${key}: not documented`],
    ),
  ];
}

/** One of several forms has to fit; of those that do not, the differences from the nearest. */
function ofOne(actual: unknown, forms: readonly unknown[], where: string): string[] {
  return forms.map((form) => differences(actual, form, where)).toSorted((a, b) => a.length - b.length)[0] ?? [];
}

const compared = new Set<string>();

function check(name: string, text: string): string[] {
  compared.add(name);
  const forms = documented.get(name);
  if (forms === undefined) return [`docs/json.md has no block '${name}'`];
  return ofOne(JSON.parse(text), forms, name);
}

const checkLines = (name: string, text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => check(name, line));

test.serial("one value", async (t) => {
  const runs: [name: string, ...args: string[]][] = [
    ["up", "up", "docker-bridge", "--name", lab],
    ["up", "up", "double-nat", "--name", place.lab("dry"), "--dry-run"],
    ["ls", "ls"],
    ["inspect", "inspect", lab],
    ["graph", "graph", lab],
    ["graph", "graph", "dmz-firewall"],
    ["graph", "graph", "--live", lab],
    ["hops", "trace", "--list", "--lab", lab],
    ["import", "import", lab],
    ["import", "import", lab, "-o", path.join(place.folder, "imported.json")],
    ["start", "stop", at("web")],
    ["start", "start", at("web")],
    ["start", "restart", at("web")],
    ["link", "link", at("web:eth0"), "--rate", "5mbit", "--both"],
    ["link", "link", at("web:eth0"), "--reset", "--both"],
    ["stats", "stats", "--lab", lab, "--interval", "20ms"],
    ["doctor", "doctor"],
    ["ping", "ping", "--lab", lab, "--timeout", "200ms"],
    ["explain", "explain", at("client"), "203.0.113.1:8080", "--from-port", "40000"],
    ["explain", "explain", at("client"), "tcp://203.0.113.1:8081", "--observe"],
    ["explain", "explain", at("web"), "client", "--observe"],
  ];
  for (const [name, ...args] of runs)
    t.deepEqual(check(name, (await place.run(...args, "--json")).stdout), [], args.join(" "));
});

test.serial("of files", async (t) => {
  const torn = path.join(place.folder, "torn.json");
  writeFileSync(torn, '{ "machine": "hots", "nodes": { "host": {} } }');
  t.deepEqual(check("validate", (await place.run("validate", torn, "docker-bridge", "--json")).stdout), []);
  t.deepEqual(check("test", (await place.run("test", torn, "veth-pair", "--json")).stdout), []);
});

test.serial("lines", async (t) => {
  const noisy = cli(t);
  const name = noisy.lab("noisy");
  const file = path.join(noisy.folder, "noisy.json");
  const command = ["busybox", "sh", "-c", "echo out; echo err >&2; exec busybox nc -l -p 9"];
  writeFileSync(
    file,
    JSON.stringify({ nodes: { a: { interfaces: { lo: "10.5.0.1/32" }, container: { command }, ready: "tcp/9" } } }),
  );
  await noisy.ok("up", file, "--name", name);
  const logs = await noisy.ok("logs", `${name}/a`, "--json");
  t.is(logs.trim().split("\n").length, 2);
  t.deepEqual(checkLines("logs", logs), []);

  const events = place.start(["events", "--lab", lab, "--json"]);
  let mtu = 60_000;
  t.true(
    await until(async () => {
      await place.ok("exec", at("client"), "--", "ip", "link", "set", "lo", "mtu", String(++mtu));
      await place.ok("exec", at("client"), "--", "ping", "-c", "1", "-W", "1", "203.0.113.1");
      return events.output().includes('"link"') && events.output().includes('"conntrack"');
    }),
    events.output(),
  );
  events.child.kill("SIGINT");
  t.deepEqual(checkLines("events", (await events.ended).stdout), []);

  const forward = place.start(["forward", `0:${at("web")}:80`, `0:${at("web")}:9`, "--json"]);
  t.true(await until(() => forward.output().split("\n").length === 3), forward.output());
  for (const line of forward.output().trim().split("\n"))
    net
      .connect((JSON.parse(line) as { forwarding: { port: number } }).forwarding.port, "127.0.0.1")
      .on("error", () => undefined) // the one that is refused is reset
      .end();
  t.true(await until(() => forward.output().includes('"refused"') && forward.output().includes('"connection"')));
  forward.child.kill("SIGINT");
  t.deepEqual(checkLines("forward", (await forward.ended).stdout), []);

  for (const url of ["http://203.0.113.1:8080/", "http://203.0.113.1:8081/", "http://203.0.113.1:9/"]) {
    const traced = await place.run("trace", "--from", at("client"), "--json", "--", "curl", "-s", "-m", "1", url);
    t.deepEqual(checkLines("trace", traced.stdout), [], url);
  }
});

test.serial("what is left, ended and wrong", async (t) => {
  const own = cli(t);
  const name = own.lab("gone");
  await own.ok("up", "docker-bridge", "--name", name);
  const listed = await own.json<{ name: string; pid?: number }[]>("ls");
  process.kill(listed.find((each) => each.name === name)?.pid ?? 0, "SIGKILL");
  const would = () => own.run("gc", "--dry-run", "--json");
  t.true(await until(async () => (await would()).stdout.includes(name)));
  t.deepEqual(check("gc", (await would()).stdout), []);
  t.deepEqual(check("down", (await own.run("down", name, "--json")).stdout), []);
  t.deepEqual(check("error", (await own.run("down", name, "--json")).stdout), []);
});

test.serial("every block was compared, and every command has one or says why not", (t) => {
  t.deepEqual([...documented.keys()].toSorted(), [...compared].toSorted());
  const commands = readdirSync(path.join(project, "commands"))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.basename(file, ".ts"));
  const others = ["demo", "exec", "run", "shell", "stop", "restart", "view"]; // told in the text
  t.deepEqual(
    commands.filter((command) => !documented.has(command) && !others.includes(command)),
    [],
  );
});
