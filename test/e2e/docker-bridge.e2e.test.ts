/**
 * The main line on docker-bridge, as a person walks it; what it made and captured is read back with other tools.
 *
 *     client                    host                                                       web
 *     eth0 203.0.113.2 ═══ eth0 203.0.113.1 ── DNAT :8080 -> :80 ── yapc0 10.0.0.1 ─ vethweb ═══ eth0 10.0.0.10
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import type { Snapshot } from "../../src/model/snapshot.js";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import { Cli, cli, isRoot, packetsOf, parseEvents, program, until, type Outcome } from "./cli.js";
import { has, skip } from "../tools.js";

const place = new Cli();
const lab = place.lab("docker");
const at = (node: string) => `${lab}/${node}`;
const requestPath = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];

test.before(async () => {
  await place.ok("up", "docker-bridge", "--name", lab);
});
test.after.always(() => place.end());

const hopsOf = (packet: PacketEvent) => packet.sightings.map(({ hop }) => hop);
const rewritesOf = (packet: PacketEvent | undefined, kind: string) =>
  (packet?.rewrites ?? []).filter((each) => each.kind === kind).map(({ between, from, to }) => ({ between, from, to }));

/** One request to the published port; the trace saved as `name`. */
async function traceRequest(name: string, ...flags: string[]): Promise<{ events: TraceEvent[]; stdout: string }> {
  const command = ["--", "curl", "-s", "http://203.0.113.1:8080/"];
  const trace = await place.run(
    ...["trace", "--from", at("client"), "--save", path.join(place.folder, name), "--json", ...flags, ...command],
  );
  if (trace.code !== 0) throw new Error(trace.stderr);
  return { events: parseEvents(trace.stdout), stdout: trace.stdout };
}

test.serial("no network tool is started by up", async (t) => {
  if (!has(t, "strace")) return;
  const own = cli(t);
  const name = own.lab("strace");
  const record = path.join(own.folder, "execve");
  const up = own.start(["up", "docker-bridge", "--name", name], {
    under: ["strace", "-f", "-qq", "-e", "trace=execve", "-o", record],
  });
  // strace stays until the lab has ended: it follows every process of it.
  t.true(await until(() => up.output().includes("is up")), up.output());
  await own.ok("down", name);
  t.is((await up.ended).code, 0);
  // Without root, strace cannot read the name that a container's process gives: that process is not dumpable.
  const started = [...readFileSync(record, "utf8").matchAll(/execve\((?:"([^"]+)"|0x).*= 0$/gm)].map(([, file]) =>
    file === undefined ? "busybox" : /^\/proc\/self\/fd\/\d+$/.test(file) ? "yapc-init" : path.basename(file),
  );
  // Where /etc/subuid gives the user ids, shadow's tools enter them: no network tools, and not always there.
  const tools = started.filter((file) => file !== "newuidmap" && file !== "newgidmap");
  t.deepEqual(tools.toSorted(), ["busybox", path.basename(process.execPath), "yapc-init"].toSorted());
});

test.serial("ip reads back the addresses, links and routes", async (t) => {
  const addresses = JSON.parse(await place.ok("exec", at("host"), "--", "ip", "-j", "addr")) as {
    ifname: string;
    flags: string[];
    addr_info: { local: string; prefixlen: number }[];
  }[];
  const textOf = (name: string) =>
    addresses
      .find(({ ifname }) => ifname === name)
      ?.addr_info.filter(({ local }) => !local.startsWith("fe80"))
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  t.deepEqual(addresses.map(({ ifname }) => ifname).sort(), ["eth0", "lo", "vethweb", "yapc0"]);
  t.deepEqual(textOf("eth0"), ["203.0.113.1/24"]);
  t.deepEqual(textOf("yapc0"), ["10.0.0.1/24", "fd00:10::1/64"]);
  t.true(addresses.every(({ flags }) => flags.includes("UP")));

  const ports = await place.ok("exec", at("host"), "--", "ip", "-j", "link", "show", "master", "yapc0");
  t.deepEqual(
    (JSON.parse(ports) as { ifname: string }[]).map(({ ifname }) => ifname),
    ["vethweb"],
  );
  const routes = await place.ok("exec", at("web"), "--outside", "--", "ip", "-j", "route");
  const gateway = (JSON.parse(routes) as { dst: string; gateway?: string }[]).find(({ dst }) => dst === "default");
  t.is(gateway?.gateway, "10.0.0.1");
});

test.serial("nft reads back NAT and firewall", async (t) => {
  if (!has(t, "nft")) return;
  const json = await place.ok("exec", at("host"), "--", "nft", "-j", "list", "ruleset");
  t.true(Array.isArray((JSON.parse(json) as { nftables: unknown[] }).nftables));
  const rules = await place.ok("exec", at("host"), "--", "nft", "list", "ruleset");
  t.regex(rules, /type nat hook prerouting/);
  t.regex(rules, /fib daddr type local .*tcp dport 8080 .*dnat ip to 10\.0\.0\.10:80/);
  t.regex(rules, /^\s*ip saddr 10\.0\.0\.0\/24 oifname "eth0" counter .* masquerade$/m);
  t.regex(rules, /tcp dport 81 .*drop comment "no 81"/);
});

test.serial("one row a packet, at all five hops, rewritten where NAT rewrites, the last FIN included", async (t) => {
  const { events } = await traceRequest("web", "--port", "80");
  const packets = packetsOf(events);
  for (const packet of packets) {
    t.deepEqual(hopsOf(packet), packet.direction === "request" ? requestPath : requestPath.toReversed());
    t.true(["exact", "strong"].includes(packet.match), `packet ${packet.id} is ${packet.match}`);
    t.deepEqual(packet.verdict, { kind: "delivered" });
    const times = packet.sightings.map(({ time }) => time);
    t.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
      `time runs backwards in packet ${packet.id}`,
    );
    const [dnat] = rewritesOf(packet, "dnat");
    const [snat] = rewritesOf(packet, "snat");
    if (packet.direction === "request")
      t.deepEqual(dnat, { between: ["host:eth0", "host:yapc0"], from: "203.0.113.1:8080", to: "10.0.0.10:80" });
    else t.deepEqual(snat, { between: ["host:yapc0", "host:eth0"], from: "10.0.0.10:80", to: "203.0.113.1:8080" });
    const [ttl] = rewritesOf(packet, "ttl");
    t.is(ttl?.to, "63");
    // `--port 80` means the service: outside the machine its port is 8080.
    const outside = packet.sightings.find(({ hop }) => hop === "host:eth0");
    t.is(packet.direction === "request" ? outside?.destinationPort : outside?.sourcePort, 8080);
  }
  const summaries = packets.map(({ direction, summary }) => `${direction} ${summary}`);
  t.is(summaries[0], "request SYN");
  t.is(summaries[1], "reply SYN ACK");
  const fins = summaries.filter((each) => each.includes("FIN"));
  t.deepEqual(fins.map((each) => each.split(" ")[0]).sort(), ["reply", "request"]);
  t.regex(summaries.at(-1) ?? "", /ACK$/);

  const exchanges = events.filter((event) => event.type === "exchange");
  t.is(exchanges.length, 1);
  t.is(exchanges[0]?.verdict, "answered");
  t.is(exchanges[0]?.packets, packets.length);
  t.is(exchanges[0]?.translated?.server, "10.0.0.10:80");
  for (const hop of events.filter((event) => event.type === "hop")) {
    t.is(hop.dropped, 0);
    t.is(hop.seen, packets.length);
  }
});

test.serial("tshark sees the same packets in each capture", async (t) => {
  if (!has(t, "tshark")) return;
  const { events } = await traceRequest("tshark", "--port", "80");
  const packets = packetsOf(events);
  const start = events.find((event) => event.type === "trace");
  const folder = path.join(place.folder, "tshark.trace", "captures");
  const files = readdirSync(folder);
  t.is(files.length, 5);
  const fields = ["frame.time_epoch", "frame.len", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "ip.ttl"];
  await Promise.all(
    requestPath.map(async (hop) => {
      const file = files.find((each) => each.endsWith(`-${hop.replace(":", "_")}.pcap`)) ?? "";
      const read = await program(
        "tshark",
        ...["-r", path.join(folder, file), "-Y", "tcp", "-T", "fields", ...fields.flatMap((each) => ["-e", each])],
      );
      const theirs = read.stdout.trim().split("\n");
      const ours = packets
        .flatMap((packet) => packet.sightings.filter((sighting) => sighting.hop === hop))
        .toSorted((a, b) => a.record - b.record)
        .map((each) =>
          [
            seconds(BigInt(start?.epoch ?? 0) + BigInt(each.time)),
            ...[each.length, each.source, each.sourcePort, each.destination, each.destinationPort, each.ttl],
          ].join("\t"),
        );
      t.deepEqual(ours, theirs, hop);
    }),
  );
});

/** Nanoseconds as tshark prints an epoch. */
function seconds(nanoseconds: bigint): string {
  return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, "0")}`;
}

/** Runs a command. @returns what it wrote, and whether koffi's library was mapped when it ended */
async function witnessed(...args: readonly string[]): Promise<Outcome & { readonly loadedKoffi: boolean }> {
  const witness = path.join(place.folder, "witness.mjs");
  const report = path.join(place.folder, "koffi");
  writeFileSync(
    witness,
    `import fs from "node:fs";
     process.on("exit", () => fs.writeFileSync(${JSON.stringify(report)}, String(/koffi[^\\n]*\\.node/.test(fs.readFileSync("/proc/self/maps", "utf8")))));`,
  );
  const outcome = await place.start(args, { node: ["--import", witness] }).ended;
  return { ...outcome, loadedKoffi: readFileSync(report, "utf8") === "true" };
}

test.serial("a saved trace replays to the same bytes, without koffi", async (t) => {
  const { stdout } = await traceRequest("saved", "--port", "80");
  const view = await witnessed("view", path.join(place.folder, "saved.trace"), "--json");
  t.is(view.code, 0, view.stderr);
  t.is(view.stdout, stdout);
  t.false(view.loadedKoffi);
  // The witness does see it where it is loaded.
  t.true((await witnessed("inspect", lab)).loadedKoffi);
  for (const format of ["text", "table", "ladder", "mermaid", "html"]) {
    const shown = await place.ok("view", path.join(place.folder, "saved.trace"), "-o", format);
    t.true(shown.includes("host"), `${format}: ${shown.slice(0, 200)}`);
  }
});

test.serial("help, and what only reads files, load no koffi", async (t) => {
  for (const args of [
    ["--help"],
    ["up", "--help"],
    ["help", "trace"],
    ["validate", "docker-bridge"],
    ["graph", "docker-bridge"],
  ]) {
    const { code, stdout, loadedKoffi } = await witnessed(...args);
    t.is(code, 0, args.join(" "));
    t.regex(stdout, /\S/);
    t.false(loadedKoffi, args.join(" "));
  }
});

test.serial("a port that the firewall drops: where it ended", async (t) => {
  const trace = await place.run(
    ...["trace", "--port", "8081", "--from", at("client"), "--json", "--", "curl", "-sm1", "http://203.0.113.1:8081/"],
  );
  t.is(trace.code, 28, trace.stderr); // curl's own: timed out
  const events = parseEvents(trace.stdout);
  const [syn] = packetsOf(events);
  t.is(syn?.verdict.kind, "dropped");
  if (syn?.verdict.kind === "dropped") {
    t.is(syn.verdict.after, "host:eth0");
    t.is(syn.verdict.before, "host:yapc0");
    t.is(syn.verdict.cause?.code, "nft-drop");
    t.regex(syn.verdict.cause?.text ?? "", /'no 81'.*forward/);
  }
  t.is(events.find((event) => event.type === "exchange")?.verdict, "unanswered");
});

test.serial("what goes out from behind is masqueraded, and its answer gets the address back", async (t) => {
  const trace = await place.run(
    ...["trace", "--proto", "icmp", "--from", at("web"), "--json", "--"],
    ...["busybox", "ping", "-c", "1", "203.0.113.2"],
  );
  t.is(trace.code, 0, trace.stderr);
  const [request, reply] = packetsOf(parseEvents(trace.stdout));
  t.deepEqual(request && hopsOf(request), requestPath.toReversed());
  t.deepEqual(reply && hopsOf(reply), requestPath);
  const [out] = rewritesOf(request, "snat");
  t.deepEqual(out?.between, ["host:yapc0", "host:eth0"]);
  t.regex(`${out?.from} ${out?.to}`, /^10\.0\.0\.10\S* 203\.0\.113\.1/);
  const [back] = rewritesOf(reply, "dnat");
  t.deepEqual(back?.between, ["host:eth0", "host:yapc0"]);
  t.regex(`${back?.from} ${back?.to}`, /^203\.0\.113\.1\S* 10\.0\.0\.10/);
});

test.serial("the container: its port, ping, its own interfaces, its log", async (t) => {
  t.regex(await place.ok("exec", at("web"), "--", "cat", "/proc/net/tcp", "/proc/net/tcp6"), /:0050 /);
  t.regex(await place.ok("exec", at("web"), "--", "busybox", "ping", "-c", "1", "10.0.0.1"), /1 packets received/);
  t.deepEqual((await place.ok("exec", at("web"), "--", "ls", "/sys/class/net")).trim().split("\n").sort(), [
    "eth0",
    "lo",
  ]);
  t.is((await place.ok("exec", at("web"), "--", "cat", "/srv/index.html")).trim(), "hello");
  t.regex(await place.ok("exec", at("web"), "--", "cat", "/etc/hosts"), /10\.0\.0\.10\s+web/);
  t.is((await place.run("logs", at("web"))).code, 0);
  const noLog = await place.run("logs", at("client"));
  t.is(noLog.code, 2);
  t.regex(noLog.stderr, /runs no container/);
});

test.serial("a command's streams, input and status are its own", async (t) => {
  const shell = await place.start(["exec", at("client"), "--", "sh", "-c", "cat; echo err >&2; exit 7"], {
    input: "typed\n",
  }).ended;
  t.deepEqual([shell.code, shell.stdout, shell.stderr], [7, "typed\n", "err\n"]);
  const person = await place.start(["shell", at("web")], { input: "hostname\nexit 3\n" }).ended;
  t.deepEqual([person.code, person.stdout], [3, "web\n"]);
  t.is((await place.run("exec", at("client"), "--", "sh", "-c", "kill -9 $$")).code, 137);
  const missing = await place.run("exec", at("client"), "--", "no-such-program");
  t.is(missing.code, 127);
  t.regex(missing.stderr, /^error: .*no-such-program/);
});

test.serial("ls and inspect tell what runs", async (t) => {
  const list = await place.json<{ name: string; state: string; nodes: number; containers: number }[]>("ls");
  const own = list.find(({ name }) => name === lab);
  t.is(own?.state, "running");
  t.deepEqual([own?.nodes, own?.containers], [3, 1]);
  t.regex(await place.ok("ls"), new RegExp(lab));
  const snapshot = await place.json<Snapshot>("inspect", lab);
  t.deepEqual(
    snapshot.nodes.map(({ name, role }) => `${name} ${role}`),
    ["client namespace", "host machine", "web container"],
  );
  const port = snapshot.nodes[1]?.interfaces.find(({ name }) => name === "vethweb");
  t.is(port?.master, "yapc0");
  t.deepEqual(port?.peer, { node: "web", interface: "eth0" });
  t.regex(await place.ok("inspect", lab), /203\.0\.113\.1\/24/);
});

test.serial("up again is zero operations", async (t) => {
  const again = await place.json<{ created: boolean; operations: unknown[] }>("up", "docker-bridge", "--name", lab);
  t.false(again.created);
  t.deepEqual(again.operations, []);
});

test.serial("Ctrl-C during trace keeps what was captured", async (t) => {
  const saved = path.join(place.folder, "interrupted");
  const running = place.start(["trace", "--lab", lab, "--port", "80", "--save", saved, "--json"]);
  // Its first event comes with the first packet or not; tcpdump's captures are there when it listens.
  const captures = path.join(`${saved}.trace`, "captures");
  const listening = () => {
    try {
      return readdirSync(captures).every((file) => readFileSync(path.join(captures, file)).length >= 24);
    } catch {
      return false;
    }
  };
  t.true(await until(listening), running.output());
  await place.ok("exec", at("client"), "--", "curl", "-s", "http://203.0.113.1:8080/");
  running.child.kill("SIGINT");
  const ended = await running.ended;
  t.is(ended.code, 0, ended.stderr);
  const events = parseEvents(ended.stdout);
  t.is(events.at(-1)?.type, "end");
  t.true(packetsOf(events).length >= 8);
  t.is((await place.run("view", `${saved}.trace`, "--json")).stdout, ended.stdout);
  t.is((await place.json<{ name: string; state: string }[]>("ls")).find(({ name }) => name === lab)?.state, "running");
});

test.serial("ip netns shows the nodes of root's labs", async (t) => {
  if (!isRoot) {
    skip(t, "only root has /run/netns");
    return;
  }
  const list = await program("ip", "netns", "list");
  for (const node of ["client", "host", "web"]) t.regex(list.stdout, new RegExp(`^${lab}-${node}\\b`, "m"));
  const inside = await program("ip", "netns", "exec", `${lab}-client`, "ip", "-br", "addr", "show", "eth0");
  t.regex(inside.stdout, /203\.0\.113\.2\/24/);
});

test.serial("down ends with nothing left", async (t) => {
  t.regex(await place.ok("down", lab), /left on this machine: 0/);
  t.false((await place.ok("ls", "--json")).includes(lab));
  t.false((await program("ps", "-eo", "args")).stdout.includes(`${place.stateRoot}/${lab}`));
  const again = await place.run("down", lab);
  t.is(again.code, 2);
  t.regex(again.stderr, new RegExp(`^error: no lab '${lab}'`));
});
