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
import test from "ava";
import type { Explanation } from "../../src/model/explanation.js";
import type { ExchangeEvent, PacketEvent, TraceEvent } from "../../src/model/trace.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import { explainLines } from "../../src/view/explain.js";
import { Cli, packetsOf, parseEvents, until } from "../e2e/cli.js";
import { DockerHost, engine, missing, processesIn } from "./docker-host.js";
import { serialUnless, skip } from "../tools.js";

const reason = await missing();
const run = serialUnless(reason);
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
  for (const args of [
    ["inspect", "--machine", "--all"],
    ["trace", "--list", "--container", "web"],
    ["graph", "--live"],
    ["import", "--live"],
  ])
    t.is((await yapcNet(args).ended).code, 0, args.join(" "));
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

test.serial("an ordinary user sees what is the user's own, and what was not looked at", async (t) => {
  if (process.getuid?.() === 0) {
    skip(t, "this one is for an ordinary user");
    return;
  }
  // A network namespace of the user's own, with rules in it: nobody else's help was needed to make it.
  const made = "ip link add va type veth peer name vb && nft add table inet mine && echo made && exec sleep 60";
  const child = spawn("unshare", ["-rn", "sh", "-c", made], {
    env: { ...process.env, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.teardown(() => child.kill());
  const lines: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  if (!(await until(() => lines.includes("made") || child.exitCode !== null)) || child.exitCode !== null) {
    await ended;
    skip(t, "unshare -rn, ip or nft does not work here");
    return;
  }
  const { code, stdout, stderr } = await place.run("inspect", "--machine", "--json");
  t.is(code, 0, stderr);
  const snapshot = JSON.parse(stdout) as Snapshot;
  const own = snapshot.nodes.find(({ name }) => name === `pid-${child.pid ?? 0}`);
  t.deepEqual(own?.interfaces.map(({ name, peer }) => [name, peer?.interface]).toSorted(), [
    ["lo", undefined],
    ["va", "vb"],
    ["vb", "va"],
  ]);
  t.deepEqual(
    own?.nftables.map(({ name }) => name),
    ["mine"],
    "with every right in it",
  );
  t.true(own?.processes?.some(({ pid, name }) => pid === child.pid && name === "sleep"));

  const host = snapshot.nodes.find(({ role }) => role === "machine");
  t.true(
    host?.interfaces.some(({ name }) => name === "lo"),
    "the machine's links may be read by everybody",
  );
  t.deepEqual(host?.nftables, []);
  const unread = snapshot.unread ?? [];
  t.true(
    unread.some(({ what, node }) => what === "rules" && node === "host"),
    "its rules may not",
  );

  const told = await place.run("inspect", `pid-${child.pid ?? 0}`);
  t.regex(told.stdout, /va +down .*↔ pid-\d+:vb/);
  t.regex(told.stdout, /not looked at: the rules \(nf_tables\) of host: for root only/);
  const other = await place.run("inspect", "--machine", "--node", "nobody-there");
  t.is(other.code, 2);
});

test.serial("an ordinary user is told who may tap the machine, and whose process it is", async (t) => {
  if (process.getuid?.() === 0) {
    skip(t, "this one is for an ordinary user");
    return;
  }
  const traced = await place.run("trace", "--machine", "--node", "host");
  t.is(traced.code, 3);
  t.regex(traced.stderr, /open to root only[^]*sudo/);
  const foreign = await place.run("trace", "--pid", "1", "--list");
  t.is(foreign.code, 3);
  t.regex(foreign.stderr, /process 1 is open to its user and to root only[^]*sudo/);
  const none = await place.run("trace", "--pid", "4194304", "--list");
  t.is(none.code, 2);
  t.regex(none.stderr, /no process 4194304/);
});

/** What `ip -j -d address` tells of a link. */
interface IpLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly mtu: number;
  readonly address: string;
  readonly master?: string;
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly operstate: string;
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

/** What `nft -j list ruleset` tells of a rule. */
interface NftObject {
  readonly rule?: { readonly family: string; readonly table: string; readonly chain: string; readonly handle: number };
}

run("networks of every kind: the picture is what docker, ip and nft say", async (t) => {
  const { host } = machine();
  const httpd = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"];
  await host.docker("network", "connect", "inner", "web");
  await host.container("joined", ["--network", "container:web"], "/bin/sleep", "1000");
  await host.container("onhost", ["--network", "host"], "/bin/httpd", "-f", "-p", "8099", "-h", "/www");
  await host.docker("network", "create", "--ipv6", "--subnet", "fd00:66::/64", "six");
  const compose = ["com.docker.compose.project=shop", "com.docker.compose.service=front"];
  await host.container("six", ["--network", "six", ...compose.flatMap((label) => ["--label", label])], ...httpd);
  t.teardown(async () => {
    await host.docker("rm", "-f", "joined", "onhost", "six");
    await host.docker("network", "disconnect", "inner", "web");
    await host.docker("network", "rm", "six");
  });
  await host.ok("ip", "netns", "exec", "client", "true");
  const { code, stdout, stderr } = await yapcNet(["inspect", "--machine", "--json"]).ended;
  t.is(code, 0, stderr);
  const snapshot = JSON.parse(stdout) as Snapshot;
  t.is(snapshot.unread, undefined, "root sees all");
  const nodeOf = (name: string) => snapshot.nodes.find((node) => node.name === name);
  const containers = (name: string) => nodeOf(name)?.containers ?? [];

  t.deepEqual(
    containers("web").map(({ name }) => name),
    ["web", "joined"],
    "who owns the namespace comes first",
  );
  t.deepEqual(
    containers("host").map(({ name, networks }) => [name, networks]),
    [["onhost", ["host"]]],
  );
  t.true(nodeOf("host")?.processes?.some(({ name }) => name === "dockerd"));
  t.true(nodeOf("host")?.listeners.some(({ port }) => port === 8099));
  t.deepEqual(containers("web")[0]?.networks, ["bridge", "inner"]);
  t.deepEqual(
    containers("web")[0]?.ports?.map(({ address, ...port }) => [address, port]),
    ["0.0.0.0", "::"].map((address) => [address, { protocol: "tcp", port: 8080, to: 80 }]),
  );
  t.deepEqual(containers("six")[0]?.compose, { project: "shop", service: "front" });
  t.is(containers("six")[0]?.image, "bb");

  for (const name of ["web", "silent", "db", "app", "six"]) {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}} {{.GlobalIPv6Address}}\n{{end}}";
    const told = (await host.docker("inspect", "-f", format, name))
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    const seen = (nodeOf(name)?.interfaces ?? [])
      .filter(({ kind }) => kind === "veth")
      .map(({ mac, addresses }) => {
        const of = (family: 4 | 6) =>
          addresses.find((each) => each.family === family && each.scope === "global")?.address;
        return `${of(4) ?? ""} ${mac ?? ""} ${of(6) ?? ""}`.trim();
      });
    t.deepEqual(seen.toSorted(), told.toSorted(), name);
  }

  for (const node of snapshot.nodes) {
    const pid = node.role === "machine" ? String(host.pid) : String(node.processes?.[0]?.pid ?? "");
    const inside = node.name === "client" ? ["ip", "netns", "exec", "client"] : ["nsenter", "-t", pid, "-n"];
    const links = JSON.parse(await host.ok(...inside, "ip", "-j", "-d", "address")) as IpLink[];
    t.deepEqual(
      node.interfaces.map(({ name, index, mtu, mac, master }) => [name, index, mtu, mac, master]),
      links.map((link) => [
        link.ifname,
        link.ifindex,
        link.mtu,
        link.ifname === "lo" ? undefined : link.address,
        link.master,
      ]),
      `links of ${node.name}`,
    );
    for (const link of links) {
      const own = node.interfaces.find(({ name }) => name === link.ifname);
      t.deepEqual(
        own?.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`).toSorted(),
        link.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`).toSorted(),
      );
      if (link.link_netnsid === undefined) continue;
      const far = nodeOf(own?.peer?.node ?? "")?.interfaces.find(({ name }) => name === own?.peer?.interface);
      t.is(far?.index, link.link_index, `the other end of ${node.name}:${link.ifname}`);
      t.deepEqual(far?.peer, { node: node.name, interface: link.ifname });
    }
    const ruleset = JSON.parse(await host.ok(...inside, "nft", "-j", "list", "ruleset")) as { nftables: NftObject[] };
    t.deepEqual(
      node.nftables
        .flatMap(({ family, name, chains }) =>
          chains.flatMap((chain) => chain.rules.map((rule) => `${family} ${name} ${chain.name} ${rule.handle ?? 0}`)),
        )
        .toSorted(),
      ruleset.nftables
        .flatMap(({ rule }) => (rule ? [`${rule.family} ${rule.table} ${rule.chain} ${rule.handle}`] : []))
        .toSorted(),
      `rules of ${node.name}`,
    );
  }
  const bridge = nodeOf("host")?.interfaces.find(({ name }) => name === "docker0");
  const entries = JSON.parse(await host.ok("bridge", "-j", "fdb", "show", "br", "docker0")) as {
    mac: string;
    ifname: string;
  }[];
  t.deepEqual(
    [
      ...new Set(
        nodeOf("host")
          ?.fdb.filter((each) => each.bridge === bridge?.name)
          .map(({ mac, interface: name }) => `${mac} ${name}`),
      ),
    ].toSorted(),
    [
      ...new Set(entries.filter(({ mac }) => !/^(33:33|01:00)/.test(mac)).map(({ mac, ifname }) => `${mac} ${ifname}`)),
    ].toSorted(),
  );

  // One container, by each of the ways to name it: the same hops, from the client to its interfaces.
  const port = await host.portOf("web");
  const webPid = await host.docker("inspect", "-f", "{{.State.Pid}}", "web");
  const list = async (...flags: string[]): Promise<string[]> => {
    const listed = await yapcNet(["trace", "--list", "--json", ...flags]).ended;
    t.is(listed.code, 0, listed.stderr);
    return (JSON.parse(listed.stdout) as { hops: { hop: string }[] }).hops.map(({ hop }) => hop);
  };
  const hops = await list("--container", "web");
  for (const hop of ["client:eth0", "host:eth0", "host:docker0", `host:${port}`, "web:eth0", "web:eth1"])
    t.true(hops.includes(hop), hop);
  t.false(hops.some((hop) => hop.startsWith("db:") || hop.startsWith("silent:")));
  t.deepEqual(await list("--pid", webPid), hops);
  t.deepEqual(await list("--netns", `/proc/${webPid}/ns/net`), hops);
  t.deepEqual((await list("--interface", port)).toSorted(), ["host:docker0", `host:${port}`, "web:eth0"].toSorted());

  const words = await yapcNet(["inspect", "web"]).ended;
  t.regex(words.stdout, new RegExp(`eth0 .*↔ host:${port} in docker0`));
  t.regex(words.stdout, /docker web, image bb, network bridge inner, publishes 8080 -> 80\/tcp/);
  for (const format of ["ascii", "mermaid"]) {
    const drawn = await yapcNet(["graph", "--live", "--container", "web", "--format", format]).ended;
    t.is(drawn.code, 0, drawn.stderr);
    for (const part of ["client", "docker0", port, "172.17.0.1/16", "published as 8080", "8080 -"])
      t.true(drawn.stdout.includes(part), `${format}: ${part}`);
  }
});

run(
  "a published port asked for from inside (hairpin) is served by docker-proxy: two connections, both followed",
  async (t) => {
    const { web } = machine();
    const { exchanges, stderr, code } = await trace(
      ["--port", "8080", "--from", "silent", "--node", "web"],
      "curl",
      "-s",
      "http://203.0.113.1:8080/",
    );
    t.is(code, 0, stderr);
    t.true(stderr.includes("hello"));
    const servers = exchanges.map(({ server, translated }) => translated?.server ?? server);
    t.true(servers.includes("203.0.113.1:8080"), servers.join());
    t.true(servers.includes(`${web}:80`), servers.join());
  },
);

run("the machine, written down as a topology file, is built as a lab that answers as it does", async (t) => {
  const { host } = machine();
  const file = path.join(host.folder, "imported.json");
  const { code, stderr } = await yapcNet(["import", "--live", "-o", file]).ended;
  t.is(code, 0, stderr);
  t.regex(stderr, /web: its image \(bb\) is not carried: busybox httpd answers on tcp\/80/);
  t.notRegex(stderr, /not valid/);
  t.is((await yapcNet(["import", "--live", "-o", file]).ended).code, 2, "no file is written over");
  const valid = await yapcNet(["validate", file, "--json"]).ended;
  t.is(valid.code, 0, valid.stdout);

  const up = await yapcNet(["up", file, "--name", "copy"]).ended;
  t.is(up.code, 0, up.stderr);
  t.teardown(() => yapcNet(["down", "copy"]).ended);
  const copy = JSON.parse((await yapcNet(["inspect", "copy", "--json"]).ended).stdout) as Snapshot;
  const real = JSON.parse((await yapcNet(["inspect", "--machine", "--json"]).ended).stdout) as Snapshot;
  const picture = (snapshot: Snapshot): unknown =>
    snapshot.nodes
      .filter(({ name }) => !name.startsWith("copy-"))
      .map(({ name, interfaces, routes }) => ({
        name,
        interfaces: interfaces
          .filter(({ kind }) => kind !== "loopback")
          .map(({ name: own, kind, mac, mtu, master, peer, addresses }) => ({
            ...{ own, kind, mac, mtu, master, peer },
            addresses: addresses
              .filter(({ scope }) => scope === "global")
              .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
          }))
          .toSorted((a, b) => a.own.localeCompare(b.own)),
        routes: routes
          .filter(({ table, family }) => table === 254 && family === 4)
          .map(({ destination, nexthops: [hop] }) => `${destination} ${hop?.gateway ?? ""} ${hop?.interface ?? ""}`)
          .toSorted(),
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  t.deepEqual(picture(copy), picture(real));

  const ask = (from: string, url: string) =>
    yapcNet(["exec", "--lab", "copy", "--outside", from, "--", "curl", "-s", "-m", "1", url]).ended;
  const published = await ask("client", "http://203.0.113.1:8080/");
  t.is(published.stdout, "web\n", `the published port is served: ${published.stderr}`);
  const { web, db } = machine();
  t.is((await ask("app", `http://${db}/`)).stdout, "db\n", "on one bridge, bridged frames pass the rules");
  t.is((await ask("app", `http://${web}/`)).code, 28, "from another network, Docker's rule is carried, too");
  t.is((await ask("client", "http://203.0.113.1:8082/")).code, 7, "nobody listens there");
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
