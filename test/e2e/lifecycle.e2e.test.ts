/**
 * Commands on a lab that runs, on docker-bridge; what they did is read back with other tools.
 *
 *     client                    host                                                       web
 *     eth0 203.0.113.2 ═══ eth0 203.0.113.1 ── DNAT :8080 -> :80 ── yapc0 10.0.0.1 ─ vethweb ═══ eth0 10.0.0.10
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import test from "ava";
import { Cli, cli, isRoot, project, program, until } from "./cli.js";

const place = new Cli();
const lab = place.lab("life");
const at = (end: string) => `${lab}/${end}`;

test.before(async () => {
  await place.ok("up", "docker-bridge", "--name", lab);
});
test.after.always(() => place.end());

interface Failed {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

async function refused(...args: string[]): Promise<{ code: number; error: Failed["error"] }> {
  const { code, stdout } = await place.run(...args, "--json");
  return { code, error: (JSON.parse(stdout) as Failed).error };
}

const inNode = (node: string, ...command: string[]) => place.ok("exec", at(node), "--", ...command);
const get = () => inNode("client", "busybox", "wget", "-q", "-O-", "http://203.0.113.1:8080/");

test.serial("a container ends and comes back in its own network", async (t) => {
  const addresses = await inNode("web", "ip", "-o", "addr", "show", "eth0");
  const routes = await inNode("web", "ip", "route");
  const namespace = await inNode("web", "readlink", "/proc/self/ns/net");
  t.is(await get(), "hello\n");

  const [stopped] = await place.json<{ done: string }[]>("stop", at("web"));
  t.is(stopped?.done, "stopped");
  t.not(
    (await place.run("exec", at("client"), "--", "busybox", "wget", "-q", "-O-", "http://203.0.113.1:8080/")).code,
    0,
  );
  // Its network is still there, from outside.
  const outside = await place.ok("exec", at("web"), "--outside", "--", "ip", "-o", "addr", "show", "eth0");
  t.is(outside, addresses);
  t.is((await place.json<{ done: string }[]>("stop", at("web")))[0]?.done, "unchanged");

  const [started] = await place.json<{ done: string; pid: number }[]>("start", at("web"));
  t.is(started?.done, "started");
  t.is(await get(), "hello\n", "its port listens when start returns");
  const [restarted] = await place.json<{ done: string; pid: number; exit: object }[]>("restart", at("web"));
  t.is(restarted?.done, "restarted");
  t.not(restarted?.pid, started?.pid);
  t.deepEqual(restarted?.exit, { signal: "SIGTERM" });
  t.is(await inNode("web", "ip", "-o", "addr", "show", "eth0"), addresses);
  t.is(await inNode("web", "ip", "route"), routes);
  t.is(await inNode("web", "readlink", "/proc/self/ns/net"), namespace);

  t.deepEqual(await refused("stop", at("client")), {
    code: 2,
    error: {
      code: "NO_CONTAINER",
      message: `node 'client' of lab '${lab}' runs no container`,
      hint: "nodes that do: web",
    },
  });
});

test.serial("a container that ends before its port listens is an error, and its log tells why", async (t) => {
  const own = cli(t);
  const name = own.lab("early");
  const file = path.join(own.folder, "early.json");
  const container = {
    command: [
      "busybox",
      "sh",
      "-c",
      "test -e /again && echo no luck >&2 && exit 3; touch /again; exec busybox httpd -f -p 80",
    ],
  };
  writeFileSync(
    file,
    JSON.stringify({
      nodes: {
        a: { container, interfaces: { eth0: "10.0.0.1/24" }, ready: "tcp/80" },
        b: { interfaces: { eth0: "10.0.0.2/24" } },
      },
      links: [["a:eth0", "b:eth0"]],
    }),
  );
  await own.ok("up", file, "--name", name);
  const again = await own.run("restart", `${name}/a`);
  t.is(again.code, 4);
  t.regex(
    again.stderr,
    /the container of 'a' ended before its ports listened, with status 3.*\nhint: {2}it wrote: no luck\n/,
  );
});

test.serial("link: rate, down, up and back to the file, as tc and ip see it", async (t) => {
  t.regex(await place.ok("link", at("host:vethweb"), "--rate", "1mbit", "--both"), /what it sends: 1 Mbit\/s/);
  t.regex(await place.ok("exec", at("host"), "--", "tc", "qdisc", "show", "dev", "vethweb"), /tbf .*rate 1Mbit/);
  t.regex(
    await place.ok("exec", at("web"), "--outside", "--", "tc", "qdisc", "show", "dev", "eth0"),
    /tbf .*rate 1Mbit/,
  );
  t.regex(await place.ok("inspect", lab), /tbf 1 Mbit\/s/);

  const routes = await inNode("web", "ip", "route");
  const six = await inNode("web", "ip", "-6", "route", "show", "default");
  await place.ok("link", at("web:eth0"), "--down");
  t.is((await inNode("web", "ip", "route")).trim(), "");
  t.is((await place.run("ping", at("host"), "web", "--timeout", "200ms")).code, 1);
  await place.ok("link", at("web:eth0"), "--up");
  t.is(await inNode("web", "ip", "route"), routes, "the default route is back");
  t.is(await inNode("web", "ip", "-6", "route", "show", "default"), six);
  await place.ok("link", at("web:eth0"), "--reset", "--both");
  t.notRegex(await place.ok("exec", at("host"), "--", "tc", "qdisc", "show", "dev", "vethweb"), /tbf/);
  t.regex(await place.ok("up", "docker-bridge", "--name", lab), /nothing was changed/);

  t.is((await refused("link", at("web:eth1"), "--up")).code, 2);
  t.regex((await refused("link", at("web:eth0"), "--rate", "fast")).error.message, /--rate fast cannot be read/);
  t.is((await refused("link", at("web"), "--up")).code, 2);
});

test.serial("link: a delay delays, or the missing kernel feature is named and nothing is lost", async (t) => {
  await place.ok("link", at("web:eth0"), "--rate", "5mbit");
  const delayed = await place.run("link", at("web:eth0"), "--delay", "30ms", "--json");
  if (delayed.code === 3) {
    const { error } = JSON.parse(delayed.stdout) as Failed;
    t.regex(error.message, /this kernel has no netem qdisc \(CONFIG_NET_SCH_NETEM\)/);
    t.regex(await place.ok("link", at("web:eth0")), /what it sends: 5 Mbit\/s/, "what was set before is still there");
  } else {
    t.is(delayed.code, 0);
    t.regex(await place.ok("link", at("web:eth0")), /5 Mbit\/s, 30\.00 ms/);
  }
  await place.ok("link", at("web:eth0"), "--reset");
});

test.serial("ping: all pairs, both families", async (t) => {
  interface Result {
    passed: boolean;
    matrices: { family: number; nodes: string[]; cells: { kind: string; roundTrip?: number; reason?: string }[][] }[];
  }
  const { stdout, code } = await place.run("ping", "--lab", lab, "--json");
  const result = JSON.parse(stdout) as Result;
  t.deepEqual(
    result.matrices.map(({ family, nodes }) => [family, nodes]),
    [
      [4, ["client", "host", "web"]],
      [6, ["client", "host", "web"]],
    ],
  );
  const kinds = result.matrices[0]?.cells.map((row) => row.map(({ kind }) => kind));
  // Nothing behind a masquerade is announced outside it: the client has no route to the container.
  t.deepEqual(kinds, [
    ["no-address", "answered", "lost"],
    ["answered", "no-address", "answered"],
    ["answered", "answered", "no-address"],
  ]);
  t.is(result.matrices[0]?.cells[0]?.[2]?.reason, "no route");
  t.is(result.matrices[1]?.cells[1]?.[2]?.kind, "answered");
  t.is(code, 1);
  t.true(result.matrices[0]!.cells.flat().every(({ roundTrip }) => roundTrip === undefined || roundTrip > 0));

  const pair = await place.run("ping", at("host"), "web");
  t.is(pair.code, 0, pair.stdout);
  t.regex(pair.stdout, /All 2 pairs answered/);
  t.is((await refused("ping", at("nobody"), "web")).code, 2);
});

test.serial("forward: a port of the machine leads to the container until Ctrl-C", async (t) => {
  const running = place.start(["forward", `0:${at("web")}:80`, "--json"]);
  t.true(await until(() => running.output().includes("listening")), running.output());
  const [first] = running.output().split("\n");
  const { forwarding } = JSON.parse(first ?? "") as { forwarding: { address: string; port: number } };
  t.is(forwarding.address, "127.0.0.1");
  const body = () =>
    new Promise<string>((resolve, reject) => {
      http
        .get({ host: "127.0.0.1", port: forwarding.port, agent: false }, (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          answer.on("end", () => resolve(text));
        })
        .on("error", reject);
    });
  t.deepEqual(await Promise.all([body(), body(), body()]), ["hello\n", "hello\n", "hello\n"]);
  await place.ok("stop", at("web"));
  await t.throwsAsync(body(), { code: "ECONNRESET" });
  await place.ok("start", at("web"));
  t.is(await body(), "hello\n");
  running.child.kill("SIGINT");
  t.is((await running.ended).code, 0);
  await t.throwsAsync(body(), { code: "ECONNREFUSED" });
  t.is((await refused("forward", "80:80")).code, 2);
});

test.serial("events: what happens in the nodes, a line each", async (t) => {
  interface Line {
    node: string;
    kind: string;
    change: string;
    interface?: string;
    object: { up?: boolean; original?: { destination: string }; settings?: { bridge?: { bridgeId?: unknown } } };
  }
  const running = place.start(["events", "--lab", lab]);
  const lines = () =>
    running
      .output()
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Line);
  // It says nothing until something happens.
  const heard = async () => {
    await get();
    return lines().some(
      ({ kind, node, object }) =>
        kind === "conntrack" && node === "host" && object.original?.destination === "203.0.113.1",
    );
  };
  t.true(await until(heard, 5));
  await place.ok("exec", at("client"), "--", "ip", "link", "set", "eth0", "down");
  const down = (each: Line) =>
    each.node === "client" && each.kind === "link" && each.interface === "eth0" && each.object.up === false;
  t.true(await until(() => lines().some(down)));
  await place.ok("link", at("client:eth0"), "--up");
  await place.ok("exec", at("host"), "--", "ip", "link", "set", "yapc0", "txqueuelen", "999");
  const bridge = () => lines().find((each) => each.interface === "yapc0" && each.object.settings?.bridge !== undefined);
  t.true(await until(() => bridge() !== undefined));
  const mac = (await place.ok("exec", at("host"), "--", "cat", "/sys/class/net/yapc0/address")).trim();
  t.is(bridge()?.object.settings?.bridge?.bridgeId, `8000${mac.replaceAll(":", "")}`);
  running.child.kill("SIGINT");
  t.is((await running.ended).code, 0);
});

test.serial("stats: a container's processes and an interface's bytes", async (t) => {
  interface Reading {
    containers: { node: string; cpu: number; memory: number; processes: number; limits: object }[];
    interfaces: { node: string; interface: string; rxBytes: number; rxPackets: number }[];
  }
  const reading = JSON.parse(await place.ok("stats", "--lab", lab, "--interval", "50ms", "--json")) as Reading;
  const [web] = reading.containers;
  t.is(reading.containers.length, 1);
  t.true(web!.processes >= 2, "our PID 1 and the command");
  t.true(web!.memory > 0);
  // Limits are shown where they are in force: an ordinary user has no cgroup for them unless one is delegated.
  const asked = { cpu: 0.5, memory: 100 * 2 ** 20, pids: 64 };
  const none = !isRoot && Object.keys(web!.limits).length === 0;
  t.deepEqual(web!.limits, none ? {} : asked);
  const eth0 = reading.interfaces.find((each) => each.node === "client" && each.interface === "eth0");
  const [link] = JSON.parse(await place.ok("exec", at("client"), "--", "ip", "-s", "-j", "link", "show", "eth0")) as {
    stats64: { rx: { bytes: number } };
  }[];
  t.true(eth0!.rxBytes > 0 && eth0!.rxBytes <= link!.stats64.rx.bytes);
  const watched = place.start(["stats", "--lab", lab, "--watch", "--interval", "20ms", "--json"]);
  t.true(await until(() => watched.output().split("\n").length > 3));
  watched.child.kill("SIGINT");
  t.is((await watched.ended).code, 0);
});

test.serial("graph: the lab that runs and its file show the same links", async (t) => {
  interface Graph {
    nodes: { name: string; role: string }[];
    links: { ends: { node: string; interface: string }[] }[];
    bridges: unknown[];
  }
  const live = await place.json<Graph>("graph", lab);
  const file = await place.json<Graph>("graph", path.join(project, "topologies/docker-bridge.json"));
  const ends = ({ links }: Graph) =>
    links
      .map((link) =>
        link.ends
          .map(({ node, interface: name }) => `${node}:${name}`)
          .toSorted()
          .join(" "),
      )
      .toSorted();
  t.deepEqual(ends(live), ends(file));
  t.deepEqual(
    live.nodes.map(({ name, role }) => [name, role]),
    file.nodes.map(({ name, role }) => [name, role]),
  );
  t.deepEqual(live.bridges, file.bridges);
  t.regex(await place.ok("graph", lab, "--format", "mermaid"), /^flowchart|^graph/m);
  t.regex(await place.ok("graph", lab, "--format", "svg"), /^<svg /m);
  t.is((await refused("graph", "no-such-lab")).code, 2);
});

test.serial("validate and graph of a file load nothing that talks to the kernel", async (t) => {
  for (const job of ["validate", "graph"]) {
    const source = `await import(${JSON.stringify(path.join(project, `dist/src/session/${job}.js`))});
      process.stdout.write(String(require("node:fs").readFileSync("/proc/self/maps", "utf8").includes("koffi")));`;
    const { stdout } = await program(
      process.execPath,
      "--input-type=module",
      "-e",
      `import { createRequire } from "node:module"; const require = createRequire("/"); ${source}`,
    );
    t.is(stdout, "false", job);
  }
});

test.serial("validate: every problem, and exit code 2 only for errors", async (t) => {
  const good = await place.run("validate", "docker-bridge", "web-farm");
  t.is(good.code, 0);
  t.regex(good.stdout, /web-farm\.json: valid \(102 nodes, 101 links, 2 expectations\)/);
  const bad = path.join(place.folder, "bad.json");
  writeFileSync(bad, '{ "machine": "hots", "nodes": { "host": {} }, "links": [["host:eth0", "wep:eth0"]] }');
  const { stdout, code } = await place.run("validate", bad, "docker-bridge", "--json");
  t.is(code, 2);
  const result = JSON.parse(stdout) as { valid: boolean; files: { valid: boolean; problems: { pointer: string }[] }[] };
  t.deepEqual(
    result.files.map(({ valid }) => valid),
    [false, true],
  );
  t.deepEqual(
    result.files[0]?.problems.map(({ pointer }) => pointer),
    ["/machine", "/links/0/1"],
  );
  t.is((await place.run("validate", "/no/such.json")).code, 2);
});

test.serial("test: expectations that hold, beside the lab of the same file", async (t) => {
  const report = path.join(place.folder, "report.xml");
  const running = place.start(["test", "docker-bridge", "--junit", report]);
  const { code, stdout } = await running.ended;
  t.is(code, 0, stdout);
  t.is(stdout.match(/✓/g)?.length, 3);
  t.regex(readFileSync(report, "utf8"), /<testsuites tests="3" failures="0" errors="0"/);
  t.false(existsSync(path.join(place.folder, "docker-bridge.trace")), "nothing is kept of what holds");
  t.is(await get(), "hello\n", "the lab that ran still does");
  const labs = await place.json<{ name: string }[]>("ls");
  t.deepEqual(
    labs.filter(({ name }) => name === `docker-bridge.test${running.pid}`),
    [],
  );
});

test.serial("test: what fails shows its path and keeps its trace, and within tries again", async (t) => {
  const text = readFileSync(path.join(project, "topologies/docker-bridge.json"), "utf8");
  const file = path.join(place.folder, "wrong.json");
  const expect = [
    { from: "client", to: "tcp://203.0.113.1:8081", verdict: "answered" },
    { from: "client", to: "tcp://203.0.113.1:8081", verdict: "dropped", between: ["client:eth0", "host:eth0"] },
    { from: "client", to: "tcp://203.0.113.1:8081", verdict: "dropped", cause: "no-route" },
    { from: "client", to: "tcp://203.0.113.1:8080", verdict: "refused" },
    { from: "client", to: "tcp://203.0.113.1:8080", verdict: "answered", reaches: "tcp://client:80" },
    { from: "client", to: "tcp://203.0.113.1:8080", verdict: "answered", notVia: "host:yapc0" },
    { from: "web", to: "icmp://203.0.113.2", verdict: "answered", seenAs: "10.0.0.10" },
  ];
  writeFileSync(file, `${text.slice(0, text.indexOf('  "expect"'))}  "expect": ${JSON.stringify(expect)} }`);
  const { code, stdout } = await place.run("test", file, "--json");
  t.is(code, 1);
  interface Lab {
    saved: string;
    expectations: {
      passed: boolean;
      problems: string[];
      attempts: number;
      packet?: { sightings: { hop: string }[] };
    }[];
  }
  const [tested] = (JSON.parse(stdout) as { labs: Lab[] }).labs;
  t.deepEqual(
    tested?.expectations.map(({ problems }) => problems.join("; ").replace(/ by nft.*/, "")),
    [
      "expected answered, and it was dropped between host:eth0 and host:yapc0",
      "expected to end between client:eth0 and host:eth0, and it was dropped between host:eth0 and host:yapc0",
      "expected the cause no-route, and it is nft-drop: nft rule 'no 81' (inet yapc_filter, forward, handle 2)",
      "expected refused, and it was answered",
      "expected to reach tcp://203.0.113.2:80, and it reached tcp://10.0.0.10:80 at web:eth0",
      "expected not to pass host:yapc0, and it did",
      "expected to be seen as 10.0.0.10, and it is 203.0.113.1 at client:eth0",
    ].map((each) => each.replace(/ by nft.*/, "")),
  );
  t.deepEqual(new Set(tested?.expectations.map(({ attempts }) => attempts)), new Set([1]));
  t.is(tested?.saved, path.join(place.folder, "docker-bridge.trace"));
  t.regex(await place.ok("view", tested!.saved, "-o", "text"), /203\.0\.113\.1:8081/);
  // As a person sees it; and with a time to try again in.
  const patient = path.join(place.folder, "patient.json");
  const two = [expect[2], { ...expect[6], within: "3s" }];
  writeFileSync(patient, `${text.slice(0, text.indexOf('  "expect"'))}  "expect": ${JSON.stringify(two)} }`);
  const shown = await place.run("test", patient);
  t.regex(shown.stdout, /✗ dropped between host:eth0 and host:yapc0 by nft rule 'no 81'/);
  t.regex(shown.stdout, /✗ client -> tcp:\/\/203\.0\.113\.1:8081 dropped [\d.]+ s\n/);
  t.regex(shown.stdout, /✗ web -> icmp:\/\/203\.0\.113\.2 answered .*, attempt [2-9]/);
});

test.serial("test: Ctrl-C and kill -9 leave no lab", async (t) => {
  const own = cli(t);
  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const running = own.start(["test", "docker-bridge"]);
    const name = `docker-bridge.test${running.pid}`;
    t.true(await until(async () => (await own.json<{ name: string }[]>("ls")).some((each) => each.name === name)));
    running.child.kill(signal);
    t.is((await running.ended).code, signal === "SIGINT" ? 130 : 137);
    const state = async () =>
      (await own.json<{ name: string; state: string }[]>("ls")).find((each) => each.name === name)?.state;
    if (signal === "SIGINT") t.is(await state(), undefined);
    else {
      t.true(await until(async () => (await state()) !== "running"));
      await own.ok("gc");
      t.is(await state(), undefined);
    }
  }
});

test.serial("test: of several files one that cannot start is told, and the others are tested", async (t) => {
  const broken = path.join(place.folder, "broken.json");
  const command = ["busybox", "false"];
  const expect = [{ from: "a", to: "icmp://a", verdict: "answered" }];
  const a = { container: { command }, interfaces: { lo: "10.5.0.1/32" }, ready: "tcp/80" };
  writeFileSync(broken, JSON.stringify({ nodes: { a }, expect }));
  const torn = path.join(place.folder, "torn.json");
  writeFileSync(torn, '{ "nodes": ');
  const report = path.join(place.folder, "several.xml");
  const { code, stdout } = await place.run("test", broken, torn, "veth-pair", "--junit", report, "--json");
  t.is(code, 1);
  interface Tested {
    passed: boolean;
    labs: { file: string; passed: boolean; error?: { code: string; message: string }; expectations?: unknown[] }[];
  }
  const { passed, labs } = JSON.parse(stdout) as Tested;
  t.false(passed);
  t.deepEqual(
    labs.map(({ file, passed: holds, error }) => [path.basename(file), holds, error?.code]),
    [
      ["broken.json", false, "NOT_READY"],
      ["torn.json", false, "TOPOLOGY"],
      ["veth-pair.json", true, undefined],
    ],
  );
  const xml = readFileSync(report, "utf8");
  t.regex(xml, /<testsuites tests="5" failures="0" errors="2"/);
  t.regex(xml, /<error message="the container of &#39;a&#39; ended before its ports listened/);

  const shown = await place.run("test", torn, "veth-pair");
  t.is(shown.code, 1);
  t.regex(shown.stdout, /✗ could not be tested\n(.*\n)+.*✓/);
  t.is((await place.run("test", torn)).code, 2, "one by itself ends with the exit code of what went wrong");
});

test.serial("test: wrong usage", async (t) => {
  const file = path.join(place.folder, "bare.json");
  writeFileSync(file, '{ "nodes": { "a": {} } }');
  const bare = await place.run("test", file);
  t.is(bare.code, 2);
  t.regex(bare.stderr, /has no "expect"/);
  t.is((await place.run("test", "docker-bridge", "veth-pair", "--save", "x")).code, 2);
});
