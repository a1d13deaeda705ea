/**
 * The machine without a lab, against a real Docker: what is found, the way of a packet through what Docker made, and
 * that nothing is changed by looking.
 *
 *     client eth0 ──── eth0 host docker0 ──── veth… eth0 web      (-p 8080:80)
 *     203.0.113.2      203.0.113.1       ├─── veth… eth0 silent   (-p 8082:81, nobody listens)
 *                                  br-…  ├─── veth… eth0 db
 *                                        └─── veth… eth0 app
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import test, { type ExecutionContext } from "ava";
import type { Explanation } from "../../src/model/explanation.js";
import type { ExchangeEvent, PacketEvent, TraceEvent } from "../../src/model/trace.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import { explainLines } from "../../src/view/explain.js";
import { Cli, packetsOf, parseEvents, until } from "../e2e/cli.js";
import { DockerHost, engine, missing, processesIn } from "./docker-host.js";
import { skip } from "../tools.js";

const reason = await missing();
const run: (title: string, implementation: (t: ExecutionContext) => Promise<void>) => void =
  reason === undefined
    ? test.serial
    : (title) =>
        test.serial(title, (t) => {
          skip(t, reason);
        });
const place = new Cli();

interface Machine {
  readonly host: DockerHost;
  readonly web: string;
  readonly db: string;
}
let started: Machine | undefined;

test.before(async () => {
  if (reason !== undefined) return;
  const host = await DockerHost.start();
  try {
    const httpd = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"];
    const web = await host.container("web", ["-p", "8080:80"], ...httpd);
    await host.container("silent", ["-p", "8082:81"], "/bin/sleep", "1000");
    await host.docker("network", "create", "inner");
    const db = await host.container("db", ["--network", "inner"], ...httpd);
    await host.container("app", ["--network", "inner"], "/bin/sleep", "1000");
    started = { host, web, db };
  } catch (error) {
    await host.stop();
    throw error;
  }
});

test.after.always(async () => {
  await started?.host.stop();
  await place.end();
});

function machine(): Machine {
  if (started === undefined) throw new Error("the engine did not start");
  return started;
}

function yapcNet(args: readonly string[]) {
  const { host } = machine();
  return place.start(args, { under: host.under, environment: { DOCKER_HOST: engine } });
}

interface Traced {
  readonly events: readonly TraceEvent[];
  readonly packets: readonly PacketEvent[];
  readonly exchanges: readonly ExchangeEvent[];
  readonly code: number;
  readonly stderr: string;
}

async function trace(flags: readonly string[], ...command: readonly string[]): Promise<Traced> {
  const { code, stdout, stderr } = await yapcNet(["trace", "--machine", "--json", ...flags, "--", ...command]).ended;
  const events = parseEvents(stdout);
  const exchanges = events.filter((event) => event.type === "exchange");
  return { events, packets: packetsOf(events), exchanges, code, stderr };
}

const hopsOf = (packet: PacketEvent): string[] => packet.sightings.map(({ hop }) => hop);

run(
  "containers go by their names, linked as the kernel links them, their published ports read from iptables",
  async (t) => {
    const { host, web } = machine();
    const { code, stdout, stderr } = await yapcNet(["inspect", "--machine", "--json"]).ended;
    t.is(code, 0, stderr);
    const snapshot = JSON.parse(stdout) as Snapshot;
    t.is(snapshot.lab, undefined);
    t.deepEqual(snapshot.nodes.map(({ name, role }) => `${name} ${role}`).toSorted(), [
      "app container",
      "client namespace",
      "db container",
      "host machine",
      "silent container",
      "web container",
    ]);
    const [own] = snapshot.nodes;
    t.is(own?.name, "host");
    t.is(own?.netns, host.netns);

    const port = await host.portOf("web");
    const link = own?.interfaces.find(({ name }) => name === port);
    t.deepEqual([link?.master, link?.peer], ["docker0", { node: "web", interface: "eth0" }]);

    const rules = own?.nftables.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules)) ?? [];
    const unread = rules.flatMap(({ statements }) => statements.filter(({ kind }) => kind === "unknown"));
    t.deepEqual(unread, [], "every rule of Docker's is understood");
    const published = rules.find(({ statements }) =>
      statements.some((one) => one.kind === "match" && one.field === "th dport" && one.value === 8080),
    );
    t.deepEqual(published?.statements.at(-1), { kind: "dnat", family: 4, address: web, port: 80 });
  },
);

run("a request to a published port is followed through DNAT to the container, its answer back", async (t) => {
  const { host, web } = machine();
  const port = await host.portOf("web");
  const way = ["client:eth0", "host:eth0", "host:docker0", `host:${port}`, "web:eth0"];
  const { packets, exchanges, code, stderr } = await trace(
    ["--port", "80", "--from", "client"],
    "curl",
    "-s",
    "http://203.0.113.1:8080/",
  );
  t.is(code, 0, stderr);
  t.true(stderr.includes("hello"), "the command's output goes to standard error");
  t.true(packets.length >= 7);
  for (const packet of packets) {
    t.deepEqual(hopsOf(packet), packet.direction === "request" ? way : way.toReversed(), packet.summary);
    t.is(packet.verdict.kind, "delivered");
  }
  const [syn, answer] = packets;
  t.is(syn?.summary, "SYN");
  t.deepEqual(
    syn?.sightings.map(({ destination, destinationPort }) => `${destination}:${destinationPort ?? 0}`),
    ["203.0.113.1:8080", "203.0.113.1:8080", `${web}:80`, `${web}:80`, `${web}:80`],
  );
  t.deepEqual(
    syn?.rewrites.find(({ kind }) => kind === "dnat"),
    { kind: "dnat", between: ["host:eth0", "host:docker0"], from: "203.0.113.1:8080", to: `${web}:80` },
  );
  t.deepEqual(
    answer?.rewrites.find(({ kind }) => kind === "snat"),
    { kind: "snat", between: ["host:docker0", "host:eth0"], from: `${web}:80`, to: "203.0.113.1:8080" },
  );
  t.is(exchanges.length, 1);
  t.is(exchanges[0]?.verdict, "answered");
  t.is(exchanges[0]?.translated?.server, `${web}:80`);
});

run("a request from the machine itself meets DNAT before any tap: --port 8080 still means it", async (t) => {
  const { web } = machine();
  const { packets, exchanges, code } = await trace(
    ["--port", "8080", "--node", "web"],
    "curl",
    "-s",
    "http://203.0.113.1:8080/",
  );
  t.is(code, 0);
  t.deepEqual(hopsOf(packets[0]!).slice(0, 1), ["host:docker0"]);
  t.is(exchanges[0]?.verdict, "answered");
  t.is(packets[0]?.sightings[0]?.destination, web);
});

run("a port that nobody serves is refused: by the container where it is published, else by the machine", async (t) => {
  const published = await trace(["--port", "8082", "--from", "client"], "curl", "-s", "http://203.0.113.1:8082/");
  t.is(published.code, 7, "curl could not connect: its status is ours");
  t.deepEqual(published.packets[0]?.verdict, { kind: "refused", by: "silent", reason: "RST" });
  t.is(published.packets[0]?.sightings.at(-1)?.hop, "silent:eth0");

  const closed = await trace(["--port", "8099", "--from", "client"], "curl", "-s", "http://203.0.113.1:8099/");
  t.deepEqual(closed.packets[0]?.verdict, { kind: "refused", by: "host", reason: "RST" });
  t.is(closed.packets[0]?.sightings.at(-1)?.hop, "host:eth0");
});

run("a container of another network is out of reach, and Docker's own rule is named", async (t) => {
  const { host, db } = machine();
  const { packets, exchanges, code } = await trace(
    ["--port", "80", "--from", "web"],
    "curl",
    "-s",
    "-m",
    "1",
    `http://${db}/`,
  );
  t.is(code, 28, "curl ran out of time");
  const verdict = packets[0]?.verdict;
  if (verdict?.kind !== "dropped") return t.fail(`the SYN was ${verdict?.kind ?? "not seen"}`);
  t.is(verdict.after, "host:docker0");
  t.regex(verdict.before ?? "", /^host:br-/);
  t.is(verdict.cause?.code, "nft-drop");
  const [, handle] = /DOCKER-ISOLATION-STAGE-2, handle (\d+)/.exec(verdict.cause?.text ?? "") ?? [];
  const listed = await host.ok("nft", "-a", "list", "chain", "ip", "filter", "DOCKER-ISOLATION-STAGE-2");
  t.regex(listed, new RegExp(`oifname "br-.*drop # handle ${handle}\\n`), "nft lists that rule under that handle");
  t.is(exchanges[0]?.verdict, "unanswered");
});

run("explain says beforehand what is seen then: published ports, masquerade, isolation, hairpin", async (t) => {
  const { host, db } = machine();
  await host.ok("ip", "-n", "client", "route", "replace", "default", "via", "203.0.113.1");
  const cases: readonly [from: string, to: string, verdict: Explanation["verdict"], text: RegExp][] = [
    [
      "client",
      "203.0.113.1:8080",
      "answered",
      /:8080 becomes 172\.17\.0\.\d+:80: nft rule .*\(ip nat, DOCKER, handle \d+\)/,
    ],
    ["client", "203.0.113.1:8082", "refused", /nobody listens on tcp port 81 in silent/],
    ["host", "203.0.113.1:8080", "answered", /:8080 becomes 172\.17\.0\.\d+:80/],
    ["web", "203.0.113.2", "answered", /source 172\.17\.0\.\d+ becomes 203\.0\.113\.1: nft rule .*masquerade/],
    ["web", `${db}:80`, "dropped", /DOCKER-ISOLATION-STAGE-2/],
    ["app", "db:80", "answered", /FDB (entry )?of br-/],
    // Docker's rule leaves out what comes from its own bridge: docker-proxy takes it.
    ["web", "203.0.113.1:8080", "answered", /a program listens on tcp 0\.0\.0\.0:8080/],
  ];
  for (const [from, to, verdict, text] of cases) {
    const { stdout, stderr } = await yapcNet(["explain", "--machine", "--observe", "--json", from, to]).ended;
    const explanation = JSON.parse(stdout) as Explanation;
    const story = `${from} -> ${to}\n${stderr}\n${explainLines(explanation).join("\n")}`;
    t.is(explanation.verdict, verdict, story);
    t.is(explanation.difference, undefined, story);
    t.regex(story, text);
  }
});

run("a container that was stopped answers no more: the machine refuses", async (t) => {
  const { host } = machine();
  await host.container("brief", ["-p", "8083:80"], "/bin/httpd", "-f", "-p", "80", "-h", "/www");
  await host.docker("stop", "-t", "0", "brief");
  const { packets } = await trace(["--port", "8083", "--from", "client"], "curl", "-s", "http://203.0.113.1:8083/");
  t.deepEqual(packets[0]?.verdict, { kind: "refused", by: "host", reason: "RST" });
  await host.docker("rm", "brief");
});

run("on one bridge, containers talk past the machine: the bridge is an implied hop", async (t) => {
  const { host, db } = machine();
  const [app, database] = [await host.portOf("app"), await host.portOf("db")];
  const { events, packets, exchanges } = await trace(
    ["--port", "80", "--node", "app", "--node", "db", "--from", "app"],
    "curl",
    "-s",
    `http://${db}/`,
  );
  const [opened] = events;
  t.deepEqual(
    opened?.type === "trace" ? opened.hops.map(({ node, interface: name }) => `${node}:${name}`).toSorted() : [],
    [
      "app:eth0",
      "db:eth0",
      `host:${app}`,
      `host:${database}`,
      opened?.type === "trace" ? bridgeIn(opened.hops) : "",
    ].toSorted(),
    "--node keeps the way to these two, and nothing else",
  );
  t.deepEqual(hopsOf(packets[0]!), ["app:eth0", `host:${app}`, `host:${database}`, "db:eth0"]);
  t.deepEqual(
    packets[0]?.implied.map(({ after }) => after),
    [`host:${app}`],
  );
  t.regex(packets[0]?.implied[0]?.hop ?? "", /^host:br-/);
  t.deepEqual(packets[0]?.rewrites, []);
  t.is(exchanges[0]?.verdict, "answered");
});

function bridgeIn(hops: readonly { readonly interface: string }[]): string {
  return `host:${hops.find((hop) => hop.interface.startsWith("br-"))?.interface ?? ""}`;
}

run("without talk between containers (icc=false) the rule is named that bridged frames are put to", async (t) => {
  const { host } = machine();
  await host.docker("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "mute");
  const address = await host.container("one", ["--network", "mute"], "/bin/httpd", "-f", "-p", "80", "-h", "/www");
  await host.container("two", ["--network", "mute"], "/bin/sleep", "1000");
  const filtered = await host.run("cat", "/proc/sys/net/bridge/bridge-nf-call-iptables");
  const { packets } = await trace(
    ["--port", "80", "--from", "two", "--node", "one"],
    "curl",
    "-s",
    "-m",
    "1",
    `http://${address}/`,
  );
  await host.docker("rm", "-f", "one", "two");
  await host.docker("network", "rm", "mute");
  if (filtered.stdout.trim() !== "1") {
    skip(t, "no br_netfilter in this kernel: Docker cannot keep them apart");
    return;
  }
  const verdict = packets[0]?.verdict;
  if (verdict?.kind !== "dropped") return t.fail(`the SYN was ${verdict?.kind ?? "not seen"}`);
  t.is(verdict.cause?.code, "nft-drop");
  t.regex(verdict.cause?.text ?? "", /\(ip filter, FORWARD, handle \d+\), asked for bridged frames/);
});

run("looking changes nothing: rules, sysctls, interfaces and open connections stay as they are", async (t) => {
  const { host, web } = machine();
  const state = async (): Promise<string[]> => {
    const script = [
      "nft -a list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'",
      "ip -o link",
      "ip -d -o link | grep -o '^[^:]*: [^:]*\\|promiscuity [0-9]* *allmulti [0-9]*'",
      "sysctl -a 2>/dev/null | grep '^net' | grep -v 'nf_conntrack_count\\|random\\|fib_multipath_hash_seed'",
    ];
    const read = async (place: readonly string[]): Promise<string[]> =>
      Promise.all(script.map((line) => host.ok(...place, "sh", "-c", line)));
    const pid = await host.docker("inspect", "-f", "{{.State.Pid}}", "web");
    return [...(await read([])), ...(await read(["nsenter", "-t", pid, "-n"]))].flatMap((text) => text.split("\n"));
  };
  // A connection that stands while a trace comes and goes.
  const client = spawn(
    "nsenter",
    [...host.under.slice(1), "ip", "netns", "exec", "client", "busybox", "nc", "203.0.113.1", "8080"],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  t.teardown(() => client.kill());
  const established = (): Promise<boolean> =>
    host
      .run("ip", "netns", "exec", "client", "ss", "-Htn", "state", "established")
      .then(({ stdout }) => stdout.includes(":8080"));
  t.true(await until(established));

  // Rules that need no connection tracking: it is off there, and must stay off though its events are listened to.
  await host.ok("ip", "netns", "exec", "client", "nft", "add table inet plain");
  const before = await state();
  t.true(
    ["dnat to", "promiscuity 1", "ip_forward = 1"].every((word) => before.some((line) => line.includes(word))),
    "the tools that read the state do read it",
  );
  const { code, packets } = await trace(["--port", "80", "--from", "client"], "curl", "-s", "http://203.0.113.1:8080/");
  t.is(code, 0);
  t.true(packets.length > 0);
  const after = await state();
  t.deepEqual(
    [before.filter((line) => !after.includes(line)), after.filter((line) => !before.includes(line))],
    [[], []],
    "what was there before and is not now; and the reverse",
  );

  if (!(await established())) return t.fail("the open connection was reset");
  t.is(await host.ok("ip", "netns", "exec", "client", "cat", "/proc/net/nf_conntrack"), "");
  t.not(await host.ok("cat", "/proc/net/nf_conntrack"), "");
  await host.ok("ip", "netns", "exec", "client", "nft", "delete table inet plain");

  client.stdin.end("GET / HTTP/1.0\r\n\r\n");
  const lines: string[] = [];
  for await (const line of createInterface(client.stdout)) lines.push(line);
  t.true(lines.includes("hello"), `the connection to ${web} still carries the page`);
});

run("whoever is killed leaves no tap; the folder it leaves goes with the next command", async (t) => {
  const { host } = machine();
  const running = yapcNet(["trace", "--machine", "--port", "80", "-o", "text"]);
  const taps = async (): Promise<number> => {
    const found = await host.run("sh", "-c", "ps -eo comm,args | grep -c '^tcpdump .*port 80'");
    return Number(found.stdout);
  };
  t.true(await until(async () => (await taps()) > 0));
  running.child.kill("SIGKILL");
  await running.ended;
  const own = (): number => processesIn(host.netns).filter((pid) => pid !== host.pid).length;
  t.true(await until(async () => (await taps()) === 0), "init ends with its first client, and its taps with it");
  t.true(own() > 0, "the engine lives on");

  const folders = (): Promise<string> => host.ok("sh", "-c", "ls -A /run/yapc-net");
  t.regex(await folders(), /^\.machine-\d+$/);
  const { code } = await yapcNet(["inspect", "--machine", "--json"]).ended;
  t.is(code, 0);
  t.is(await folders(), "");
});

run("a name that is not there is a usage error that names those there are; --all takes in the rest", async (t) => {
  const { host } = machine();
  await host.ok("ip", "netns", "add", "island");
  const wrong = await yapcNet(["trace", "--machine", "--from", "wbe", "--", "true"]).ended;
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /did you mean 'web'\?/);
  const far = await yapcNet(["inspect", "--machine", "--node", "island"]).ended;
  t.is(far.code, 2);
  t.regex(far.stderr, /--all/);
  const all = await yapcNet(["inspect", "--machine", "--all", "--node", "island", "--json"]).ended;
  t.is(all.code, 0);
  t.deepEqual(
    (JSON.parse(all.stdout) as Snapshot).nodes.map(({ name }) => name),
    ["island"],
  );
  await host.ok("ip", "netns", "delete", "island");
});

run("an engine that does not answer costs names, not the trace", async (t) => {
  const { host } = machine();
  const id = await host.docker("inspect", "-f", "{{.Id}}", "web");
  const { stdout, code } = await place.start(["inspect", "--machine", "--json"], {
    under: host.under,
    environment: { DOCKER_HOST: "unix:///run/nobody.sock" },
  }).ended;
  t.is(code, 0);
  t.true(
    (JSON.parse(stdout) as Snapshot).nodes.some(({ name, role }) => name === id.slice(0, 12) && role === "container"),
  );
});

test.serial("an ordinary user is told what to do", async (t) => {
  if (process.getuid?.() === 0) {
    skip(t, "this one is for an ordinary user");
    return;
  }
  for (const args of [
    ["trace", "--machine"],
    ["inspect", "--machine"],
  ]) {
    const { code, stderr } = await place.run(...args);
    t.is(code, 3, stderr);
    t.regex(stderr, /open to root only[^]*sudo/);
  }
});

run("tables of iptables-legacy cannot be read, and that is said", async (t) => {
  const { host } = machine();
  const without = await trace(["--port", "80"], "true");
  t.false(without.stderr.includes("iptables-legacy"));
  const legacy = await host.run("iptables-legacy", "-t", "nat", "-L");
  if (legacy.code !== 0) {
    skip(t, "no iptables-legacy, or none in this kernel");
    return;
  }
  const { stderr } = await trace(["--port", "80"], "true");
  t.regex(stderr, /iptables-legacy has tables here \(nat\), which are not read/);
});

run("in the end nothing is left: no process, no namespace, no mount, no folder", async (t) => {
  const { host } = machine();
  await host.stop();
  t.deepEqual(host.processes(), []);
  t.throws(() => process.kill(host.engine, 0), { code: "ESRCH" });
  t.deepEqual(
    readdirSync(path.dirname(host.folder)).filter((name) => name === path.basename(host.folder)),
    [],
  );
});
