/** Commands at their edges: bad input, Ctrl-C, two at once, several labs with the same addresses. */
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { exitCodes } from "../../src/model/failure.js";
import { cli, Cli, executable, packetsOf, parseEvents, program, project, until } from "./cli.js";
import { remains } from "./machine.js";

const place = new Cli();
const lab = place.lab("edges");

test.before(async () => {
  await place.ok("up", "veth-pair", "--name", lab);
});
test.after.always(() => place.end());

const bad = path.join(place.folder, "bad.json");
writeFileSync(bad, '{ "nodes": { "a": { "interfaces": { "eth0": "10.0.0.1/99" } } }\n}\n');
const notATrace = path.join(place.folder, "not-a-trace");
writeFileSync(notATrace, "not a capture");

/** Arguments, exit code, and what the error must say. */
const mistakes: readonly [args: readonly string[], code: number, says: RegExp][] = [
  [["up", "no-such-file.json"], 2, /no topology file no-such-file\.json/],
  [["up", bad], 2, /bad\.json:1:\d+/],
  [["up", "veth-pair", "--name", "no/name"], 2, /'no\/name' is no name for a lab/],
  [["up", "web-farm", "--set", "count"], 2, /--set count is not of the form NAME=VALUE/],
  [["up", "web-farm", "--set", "cuont=3"], 2, /cuont/],
  [["up", "veth-pair", "--bogus"], 2, /--bogus/],
  [["down", "no-such-lab"], 2, /no lab 'no-such-lab'/],
  [["inspect", "no-such-lab"], 2, /no lab 'no-such-lab' runs/],
  [["inspect", lab, "--node", "hots"], 2, /no node 'hots'.*\n.*did you mean 'host'/],
  [["exec", `${lab}/nobody`, "--", "true"], 2, /no node 'nobody'/],
  [["exec", `${lab}/host`], 2, /no command to run/],
  [["exec", `${lab}/host`, "true"], 2, /command/],
  [["exec", `${lab}/host:veth1`, "--", "true"], 2, /names an interface/],
  [["exec", `${lab}/host`, "--", "/no/such/program"], 127, /\/no\/such\/program/],
  [["exec", "a/b/c", "--", "true"], 2, /not a name of the form/],
  [["shell", `${lab}/nobody`], 2, /no node 'nobody'/],
  [["logs", `${lab}/host`], 2, /runs no container/],
  [["logs", `${lab}/host`, "--tail", "-1"], 2, /tail/],
  [["trace", "--lab", "no-such-lab"], 2, /no lab 'no-such-lab' runs/],
  [["trace", "--lab", lab, "--from", "nobody", "--", "true"], 2, /no (node|lab) /],
  [["trace", "--lab", lab, "--port", "70000"], 2, /70000|65535/],
  [["trace", "--lab", lab, "--duration", "soon"], 2, /'soon' is no time/],
  [["trace", "--lab", lab, "--filter", "tcp", "--port", "80"], 2, /--port and --filter exclude each other/],
  [["trace", "--from", `${lab}/host`, "--filter", "tpc port 80", "--", "true"], 2, /syntax error/],
  [["trace", "--lab", lab, "-o", "xml"], 2, /no format 'xml'/],
  [["trace", "--lab", lab, "-o", "html=/no/such/folder/x.html"], 2, /cannot write .*x\.html: no such file/],
  [["trace", "--lab", lab, "--save", "/proc/no-such", "--duration", "1s"], 2, /cannot save the trace in \/proc/],
  [["up", "/"], 2, /cannot read topology file \//],
  [["trace", "--lab", lab, "-o", "text", "-o", "jsonl"], 2, /only one format/],
  [["trace", "--from", `${lab}/host`, "--", "no-such-program"], 127, /no-such-program/],
  [["trace", "--lab", lab, "stray"], 2, /stray/],
  [["view", "no-such.trace"], 2, /no-such\.trace/],
  [["view", "requst"], 2, /no trace requst.*\n.*did you mean 'request'/],
  [["view", place.folder], 2, /is a folder, and no saved trace/],
  [["view", notATrace], 2, /not-a-trace/],
  [["gc", "--bogus"], 2, /--bogus/],
  [["explain"], 2, /^error: FROM and TO are missing$/m],
  [["explain", "client"], 2, /^error: TO is missing \(where to: /m],
  [["ls", "surplus"], 2, /ls takes no argument 'surplus'/],
  [["tarce"], 2, /no command 'tarce'\n.*did you mean 'trace'/],
  [["ls", "--jsn"], 2, /no flag --jsn\n.*did you mean '--json'/],
  [["up", "docker-brige"], 2, /no topology file docker-brige.*\n.*did you mean 'docker-bridge'/],
  [["trace", "--lab", lab, "--proto", "tpc"], 2, /'tpc' is no protocol.*\n.*did you mean 'tcp'/],
  [["trace", "--lab", lab, "--", "/no/such/program"], 127, /cannot run \/no\/such\/program: no such file or directory/],
];

for (const [args, code, says] of mistakes) {
  test.serial(
    `${args.join(" ").replaceAll(place.folder, ".").replaceAll(lab, "LAB")}: exit code ${code}`,
    async (t) => {
      const { stdout, stderr, ...outcome } = await place.run(...args);
      t.is(outcome.code, code, stderr);
      t.is(stdout, "");
      t.regex(stderr, /^error: \S.*\n/);
      t.regex(stderr, says);
      t.notRegex(stderr, /\n\s+at |a bug in yapc-net/, "no stack, no bug");
    },
  );
}

test.serial("a user id that passwd(5) does not know, without SHELL and HOME, is a user like others", async (t) => {
  const under = ["unshare", "--user", "--map-user=61235"];
  const environment = { SHELL: undefined, HOME: undefined };
  const { code, stdout, stderr } = await place.start(["ls", "--json"], { under, environment }).ended;
  t.is(code, 0, stderr);
  t.true(Array.isArray(JSON.parse(stdout)), stdout);
});

test.serial("started in a folder that is gone: said so, where the folder matters", async (t) => {
  const under = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"];
  t.is((await place.start(["ls"], { under }).ended).code, 0);
  const { code, stderr } = await place.start(["validate", "docker-bridge"], { under }).ended;
  t.is(code, 2);
  t.regex(stderr, /^error: the folder that this was started in is gone\nhint: {2}cd into/m);
});

test.serial("what is thrown where nobody waits is told, with a code of its own", async (t) => {
  const fault = `process.on("newListener", (name) => {
    if (name === "uncaughtException") setImmediate(() => { throw new Error("thrown by an event"); });
  })`;
  const node = ["--import", `data:text/javascript,${encodeURIComponent(fault)}`];
  const { code, stderr } = await place.start(["events", "--lab", lab], { node }).ended;
  t.is(code, exitCodes.bug);
  t.regex(stderr, /^error: thrown by an event\nhint: {2}this is a bug/);
  t.notRegex(stderr, /\n\s+at /);
});

test.serial("a reader who has seen enough ends what would go on, and is no failure", async (t) => {
  const read = async (...args: string[]) => {
    const environment = `XDG_RUNTIME_DIR=${place.folder}`;
    const line = ["env", environment, process.execPath, executable, ...args].map((word) => `'${word}'`).join(" ");
    const { stdout, stderr } = await program("bash", "-c", `${line} | head -n 1; echo "\${PIPESTATUS[0]}"`);
    t.is(stderr, "");
    return stdout.split("\n");
  };
  t.deepEqual((await read("--help")).slice(1), ["0", ""]);
  t.deepEqual((await read("view", "request", "-o", "html")).slice(0, 2), ["<!doctype html>", "0"]);
  t.is((await read("stats", "--lab", lab, "--watch", "--interval", "20ms"))[1], "0");
});

test.serial("trace --count: exactly so many, in every form and in the replay; what it runs ends with it", async (t) => {
  const ping = ["ping", "-c", "5", "-i", "0.2", "10.1.0.1"];
  const saved = path.join(place.folder, "counted");
  const from = ["trace", "--from", `${lab}/host`, "--proto", "icmp", "--count", "3"];
  const live = await place.run(...from, "--save", saved, "--json", "--", ...ping);
  t.is(live.code, 0, live.stderr);
  t.is(packetsOf(parseEvents(live.stdout)).length, 3);
  t.is(await place.ok("view", saved, "--json"), live.stdout);
  t.regex(
    await place.ok(...from, "-o", "table", "--", ...ping),
    /^3 packets in 2 exchanges?|^3 packets in 1 exchange/m,
  );
  const seconds = String(200_000 + process.pid); // how it is known in the list of processes
  const short = await place.run("trace", "--lab", lab, "--duration", "100ms", "--", "sleep", seconds);
  t.is(short.code, 0, short.stderr);
  const sleeps = async () => (await program("ps", "-eo", "args")).stdout.includes(`sleep ${seconds}`);
  t.true(await until(async () => !(await sleeps())));
});

test.serial("a tap that is killed, and a lab that dies: the trace says so, and tells what it saw", async (t) => {
  const own = cli(t);
  const name = own.lab("dies");
  await own.ok("up", "veth-pair", "--name", name);
  const tracing = own.start(["trace", "--lab", name, "--proto", "icmp", "--json", "--", "sleep", "60"]);
  const packets = () => packetsOf(parseEvents(tracing.output().replace(/^(?!\{).*$/gm, ""))).length;
  const pinged = async (count: number) => {
    // The taps listen once a packet is seen.
    for (let turns = 0; turns < 100 && packets() < count; turns += 1)
      await own.run("exec", `${name}/host`, "--", "ping", "-c", "1", "10.1.0.1");
    return packets() >= count;
  };
  t.true(await pinged(2), tracing.output());
  const taps = (await program("ps", "-eo", "pid,args")).stdout
    .split("\n")
    .filter((line) => line.includes("tcpdump -i veth0 "));
  const [{ pid = 0 } = {}] = (await own.json<{ name: string; pid?: number }[]>("ls")).filter(
    (each) => each.name === name,
  );
  const mine = [];
  for (const line of taps) {
    const tap = Number(line.trim().split(" ")[0]);
    const parent = (await program("ps", "-o", "ppid=", "-p", String(tap))).stdout.trim();
    if (Number(parent) === pid) mine.push(tap);
  }
  t.is(mine.length, 1);
  process.kill(mine[0] ?? 0, "SIGKILL");
  t.true(await until(() => tracing.output().includes("the tap at test:veth0 ended (tcpdump was ended by SIGKILL)")));
  t.true(await pinged(packets() + 2));
  process.kill(pid, "SIGKILL");
  const { code, stdout } = await tracing.ended;
  t.is(code, 125);
  // The error, as JSON too, stands below all that was seen.
  const lines = stdout.trim().split("\n");
  t.like(JSON.parse(lines.pop() ?? ""), { error: { code: "INIT_GONE" } });
  const events = parseEvents(lines.join("\n"));
  t.is(events.at(-1)?.type, "end");
  t.true(events.some((event) => event.type === "hop" && event.hop === "test:veth0" && event.died === true));
  t.false(events.some((event) => event.type === "packet" && event.verdict.kind === "dropped"));
});

test.serial("errors as JSON", async (t) => {
  const { code, stdout, stderr } = await place.run("inspect", "no-such-lab", "--json");
  t.is(code, 2);
  t.is(stderr, "");
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  t.is(error.code, "NO_LAB");
});

test.serial("the lab that is meant when none is named", async (t) => {
  const own = cli(t);
  const [first, second] = [own.lab("first"), own.lab("second")];
  const file = path.join(own.folder, "topology.json");
  writeFileSync(file, '{ "name": "unused", "nodes": { "a": {} } }');
  await own.ok("up", "--name", first); // topology.json of this folder
  await own.ok("up", "veth-pair", "--name", second);
  t.is((await own.json<{ lab: string }>("inspect")).lab, first);
  const elsewhere = await own.start(["inspect"], { cwd: "/" }).ended;
  t.is(elsewhere.code, 2);
  t.regex(elsewhere.stderr, /labs run, and it is not clear which one is meant/);
  const named = await own.start(["inspect", "--json"], { cwd: "/", environment: { YAPC_NET_LAB: second } }).ended;
  t.is((JSON.parse(named.stdout) as { lab: string }).lab, second);
});

test.serial("Ctrl-C during up undoes and exits with 130", async (t) => {
  const own = cli(t);
  // Never ready: nothing listens on the port, so up waits where it can be interrupted.
  const file = path.join(own.folder, "waits.json");
  const seconds = String(100_000 + process.pid); // how it is known in the list of processes
  const container = { container: { command: ["busybox", "sleep", seconds] }, ready: "tcp/80" };
  const sleeps = async () => (await program("ps", "-eo", "args")).stdout.includes(`sleep ${seconds}`);
  writeFileSync(file, JSON.stringify({ nodes: { a: container, b: {} }, links: [["a:eth0", "b:eth0"]] }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const name = own.lab("interrupted");
    const up = own.start(["up", file, "--name", name]);
    t.true(await until(sleeps), up.output());
    up.child.kill(signal);
    const { code, stderr } = await up.ended;
    t.is(code, 130, stderr);
    t.true(await until(() => remains(own.stateRoot, name).length === 0, 10), remains(own.stateRoot, name).join("\n"));
    t.false(await sleeps());
  }
});

test.serial("a change that does not become ready, or is interrupted before: the lab is as it was", async (t) => {
  const own = cli(t);
  const name = own.lab("back");
  const write = (file: string, address: string, nodes: object): string => {
    const target = path.join(own.folder, file);
    const ends = { a: { interfaces: { eth0: address } }, b: { interfaces: { eth0: "10.0.0.2/24" } } };
    writeFileSync(target, JSON.stringify({ nodes: { ...ends, ...nodes }, links: [["a:eth0", "b:eth0"]] }));
    return target;
  };
  const seconds = String(200_000 + process.pid);
  const container = (...command: string[]) => ({ c: { container: { command }, ready: "tcp/80" } });
  const before = write("before.json", "10.0.0.1/24", {});
  const ends = write("ends.json", "10.0.0.3/24", container("busybox", "sh", "-c", "echo no port today; exit 3"));
  const waits = write("waits.json", "10.0.0.3/24", container("busybox", "sleep", seconds));
  await own.ok("up", before, "--name", name);
  const asBefore = async () => (await own.json<{ operations: unknown[] }>("up", before, "--name", name)).operations;

  const failed = await own.run("up", ends, "--name", name);
  t.is(failed.code, 4);
  t.regex(failed.stderr, /'c' ended before its ports listened, with status 3.*\nhint: {2}it wrote: no port today\n/);
  t.deepEqual(await asBefore(), []);

  const up = own.start(["up", waits, "--name", name]);
  t.true(
    await until(async () => (await program("ps", "-eo", "args")).stdout.includes(`sleep ${seconds}`)),
    up.output(),
  );
  up.child.kill("SIGINT");
  t.is((await up.ended).code, 130, up.output());
  t.deepEqual(await asBefore(), []);
});

test.serial("two commands on one lab wait for each other", async (t) => {
  const own = cli(t);
  const name = own.lab("twice");
  // A hundred servers take long enough for the second to find the first at work.
  const both = [own.start(["up", "web-farm", "--name", name]), own.start(["up", "web-farm", "--name", name])];
  const [one, two] = await Promise.all(both.map(({ ended }) => ended));
  t.deepEqual([one?.code, two?.code], [0, 0], `${one?.stderr}${two?.stderr}`);
  const waited = [one, two].filter((each) => /in use by yapc-net up \(PID \d+\); waiting/.test(each?.stderr ?? ""));
  t.is(waited.length, 1);
  t.regex(waited[0]?.stdout ?? "", /nothing was changed/);
  const ends = await Promise.all([own.run("down", name), own.run("up", "veth-pair", "--name", name)]);
  t.true(
    ends.every(({ code }) => code === 0),
    ends.map(({ stderr }) => stderr).join("\n"),
  );
});

test.serial("labs with the same addresses live side by side", async (t) => {
  const own = cli(t);
  const names = [own.lab("one"), own.lab("two"), own.lab("three")];
  const ups = await Promise.all(names.map((name) => own.run("up", "docker-bridge", "--name", name)));
  t.true(
    ups.every(({ code }) => code === 0),
    ups.map(({ stderr }) => stderr).join("\n"),
  );
  await own.ok("exec", `${names[1]}/web`, "--", "sh", "-c", "echo two > /srv/index.html");
  const traces = await Promise.all(
    names.map((name) =>
      own.run(
        ...["trace", "--port", "80", "--from", `${name}/client`, "--json", "--"],
        ...["curl", "-s", "http://203.0.113.1:8080/"],
      ),
    ),
  );
  t.deepEqual(
    traces.map(({ stderr }) => stderr.trim()),
    ["hello", "two", "hello"],
  );
  for (const { stdout } of traces)
    t.true(packetsOf(parseEvents(stdout)).every(({ sightings }) => sightings.length === 5));
  await own.ok("down", names[0] ?? "");
  t.is((await own.ok("exec", `${names[1]}/client`, "--", "curl", "-s", "http://203.0.113.1:8080/")).trim(), "two");
});

test.serial("a dry run changes nothing", async (t) => {
  const own = cli(t);
  const name = own.lab("dry");
  t.regex(await own.ok("up", "docker-bridge", "--name", name, "--dry-run"), /yapc0/);
  t.deepEqual(remains(own.stateRoot, name), []);
  t.is((await place.run("up", "docker-bridge", "--name", lab, "--dry-run")).code, 0);
  t.deepEqual((await place.json<{ operations: unknown[] }>("up", "veth-pair", "--name", lab)).operations, []);
});

test.serial("help of every command, with examples", async (t) => {
  for (const file of readdirSync(path.join(project, "commands")).filter((each) => each.endsWith(".ts"))) {
    const help = await place.ok(path.basename(file, ".ts"), "--help");
    t.regex(help, /USAGE/);
    t.regex(help, /EXAMPLES/);
  }
});
