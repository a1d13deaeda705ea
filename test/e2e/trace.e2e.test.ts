/**
 * A trace in the hands of a person: nothing of it is lost, however it ends, and none of its processes is left.
 *
 *   host veth1 ──── veth0 test         (veth-pair)
 *   client eth0 ── eth0 host yapc0 ── vethweb ══ eth0 web      (docker-bridge, port 8080 leads to web:80)
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import type { PacketEvent } from "../../src/model/trace.js";
import { Cli, executable, isRoot, packetsOf, parseEvents, program, type Running, until } from "./cli.js";
import { has, skip } from "../tools.js";

const place = new Cli();
const pair = place.lab("pair");
const bridge = place.lab("bridge");
/** In the filter of each tap, so that the taps of this file can be told from all others. */
let mark = 20_000 + (process.pid % 20_000);

test.before(async () => {
  await place.ok("up", "veth-pair", "--name", pair);
  await place.ok("up", "docker-bridge", "--name", bridge);
});
test.after.always(() => place.end());

/** PIDs of the taps with a mark. */
async function taps(number: number): Promise<number[]> {
  const { stdout } = await program("ps", "-eo", "pid=,comm=,args=");
  return stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^\d+ tcpdump /.test(line) && line.includes(`port ${number}`))
    .map((line) => Number(line.split(" ")[0]));
}

interface Traced {
  readonly running: Running;
  readonly mark: number;
  readonly saved: string;
}

/** Whether every tap of a trace that is being saved has begun: tcpdump has written the header of its capture. */
function hasBegun(saved: string): boolean {
  const captures = path.join(`${saved}.trace`, "captures");
  return (
    existsSync(captures) &&
    readdirSync(captures).length > 0 &&
    readdirSync(captures).every((file) => readFileSync(path.join(captures, file)).length >= 24)
  );
}

/** A trace of a pair that listens. */
async function listening(t: ExecutionContext, lab = pair, ...flags: string[]): Promise<Traced> {
  mark += 1;
  const saved = path.join(place.folder, `saved-${mark}`);
  const ports = ["--port", "9", "--port", String(mark)];
  const running = place.start(["trace", "--lab", lab, ...ports, "--save", saved, "--json", ...flags]);
  t.true(await until(() => hasBegun(saved)), running.output());
  return { running, mark, saved: `${saved}.trace` };
}

/** Sends datagrams from host to test: so many, so far apart (milliseconds), a few at a time. */
async function send(count: number, burst = 1, pause = 0): Promise<void> {
  const script = `
    const socket = require("node:dgram").createSocket("udp4");
    let left = ${count};
    let unsent = left;
    const sent = () => --unsent === 0 && socket.close();
    const some = () => {
      for (let n = 0; n < ${burst} && left > 0; n++)
        socket.send(Buffer.from("datagram " + left--), 9, "10.1.0.1", sent);
      if (left > 0) setTimeout(some, ${pause});
    };
    some();`;
  await place.ok("exec", `${pair}/host`, "--", process.execPath, "-e", script);
}

test.serial(
  "curl after curl, every segment of it is there at every hop, the last FIN and its answer too",
  async (t) => {
    if (!has(t, "tshark")) return;
    const runs = process.env.YAPC_NET_SOAK === "1" ? 20 : 2;
    for (let run = 0; run < runs; run++) {
      const saved = path.join(place.folder, `curl-${run}`);
      const curl = ["--", "curl", "-s", "http://203.0.113.1:8080/"];
      const trace = await place.run(
        ...["trace", "--from", `${bridge}/client`, "--port", "80", "--save", saved, "--json", ...curl],
      );
      t.is(trace.code, 0, trace.stderr);
      const folder = path.join(`${saved}.trace`, "captures");
      const stories = await Promise.all(readdirSync(folder).map((file) => bytesOf(path.join(folder, file))));
      t.is(stories.length, 5);
      for (const story of stories) t.deepEqual(story, stories[0], "the same at every hop");
      const packets = packetsOf(parseEvents(trace.stdout));
      t.is(packets.length, stories[0]?.segments ?? 0);
      for (const { id, sightings, verdict } of packets)
        t.deepEqual([sightings.length, verdict.kind], [5, "delivered"], `run ${run}, packet ${id}`);
    }
  },
);

test.serial(
  "a port that is used again at once: conntrack tells live that the first connection is gone, and there are two",
  async (t) => {
    const saved = path.join(place.folder, "again");
    // The second SYN has the tuple of an entry in TIME_WAIT: the kernel destroys that one and makes another. The client lets the
    // server close first: else its own port would be the one that waits.
    const twice = `
      const ask = (then) => {
        const socket = require("node:net").connect({
          host: "203.0.113.1", port: 8080, localPort: 41000, allowHalfOpen: true,
        });
        socket.write("GET / HTTP/1.0\\r\\n\\r\\n");
        socket.on("data", () => undefined).on("end", () => socket.end()).on("close", then);
      };
      ask(() => ask(() => undefined));
    `;
    const stdout = await place.ok(
      ...["trace", "--from", `${bridge}/client`, "--port", "80", "--save", saved, "--json"],
      ...["--", process.execPath, "-e", twice],
    );
    const events = parseEvents(stdout);
    const exchanges = events.filter((event) => event.type === "exchange");
    t.deepEqual(
      exchanges.map(({ client, verdict, translated }) => [client, verdict, translated?.server]),
      new Array(2).fill(["203.0.113.2:41000", "answered", "10.0.0.10:80"]),
    );
    const packets = packetsOf(events);
    t.is(packets.filter(({ summary }) => summary === "SYN").length, 2);
    for (const { id, sightings, match } of packets)
      t.true(sightings.length === 5 && /exact|strong/.test(match), `packet ${id}`);
    const told = readFileSync(`${saved}.trace/log.jsonl`, "utf8")
      .split("\n")
      .flatMap((line) => /"conntrack":\{"kind":"(\w+)"/.exec(line)?.[1] ?? []);
    const destroyed = told.indexOf("destroy");
    t.true(destroyed > 0 && told.indexOf("update") > 0 && told[0] === "new", told.join());
    t.true(told.indexOf("new", destroyed) > destroyed, `another one behind it: ${told.join()}`);
    t.is(await place.ok("view", `${saved}.trace`, "--json"), stdout);
  },
);

/** One connection as tshark reads it; says where a byte, a SYN or a FIN is missing. */
async function bytesOf(file: string): Promise<{ readonly segments: number; readonly ends: readonly string[] }> {
  const fields = ["tcp.srcport", "tcp.seq_raw", "tcp.len", "tcp.flags.syn", "tcp.flags.fin", "tcp.ack_raw"];
  const { stdout } = await program(
    "tshark",
    ...["-r", file, "-Y", "tcp", "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
  );
  const segments = stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [port = "", seq, length, syn, fin, ack] = line.split("\t");
      const flag = (text: string | undefined): number => (text === "1" || text === "True" ? 1 : 0);
      return { side: port === "80" || port === "8080" ? "server" : "client", seq: Number(seq), ack: Number(ack),
        size: Number(length) + flag(syn) + flag(fin), syn: flag(syn), fin: flag(fin) }; // prettier-ignore
    });
  const ends = ["client", "server"].map((side) => {
    const own = segments.filter((segment) => segment.side === side);
    const others = segments.filter((segment) => segment.side !== side);
    const begin = own.find(({ syn }) => syn === 1)?.seq ?? NaN;
    if (Number.isNaN(begin)) return `${side}: no SYN`;
    let next = begin;
    for (const { seq, size } of own) {
      if (seq > next) return `${side}: byte ${next - begin} is missing`;
      next = Math.max(next, seq + size);
    }
    if (!own.some(({ fin }) => fin === 1)) return `${side}: no FIN`;
    return others.some(({ ack }) => ack === next)
      ? `${side}: ${next - begin} bytes`
      : `${side}: its end is not answered`;
  });
  const broken = ends.find((end) => !/\d bytes$/.test(end));
  if (broken !== undefined) throw new Error(`${path.basename(file)}: ${broken}`);
  return { segments: segments.length, ends };
}

for (const signal of ["SIGTERM", "SIGHUP"] as const)
  test.serial(`${signal} ends a trace: what was captured is told, no tap is left`, async (t) => {
    const { running, mark: own, saved } = await listening(t);
    await send(3);
    running.child.kill(signal);
    const { code, stdout, stderr } = await running.ended;
    t.is(code, 0, stderr);
    const events = parseEvents(stdout);
    t.is(events.at(-1)?.type, "end");
    t.is(packetsOf(events).filter(({ protocol }) => protocol === "udp").length, 3);
    t.deepEqual(await taps(own), []);
    t.is(await place.ok("view", saved, "--json"), stdout);
  });

test.serial("a reader who has seen enough ends it", async (t) => {
  mark += 1;
  const own = mark;
  const flags = ["trace", "--lab", pair, "--port", "9", "--port", String(own), "-o", "text"];
  const shell = spawn("sh", ["-c", '"$0" "$@" | head -2', process.execPath, executable, ...flags], {
    env: { ...process.env, XDG_RUNTIME_DIR: place.folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let shown = "";
  shell.stdout.on("data", (chunk: Buffer) => (shown += chunk.toString()));
  let said = "";
  shell.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise((resolve) => shell.once("close", resolve));
  t.true(await until(async () => (await taps(own)).length === 2));
  // Until it writes a line that nobody reads, it cannot know.
  for (let turn = 0; turn < 20 && shell.exitCode === null; turn++) await send(2);
  await ended;
  t.is(shown.split("\n").length, 3, shown);
  t.is(said, "");
  t.true(await until(async () => (await taps(own)).length === 0));
});

test.serial("killed, it leaves no tap, and what it had saved until then is told", async (t) => {
  const { running, mark: own, saved } = await listening(t);
  await send(5);
  // They count down: with the last, all are on disk.
  const captures = path.join(saved, "captures");
  const last = (file: string): boolean => readFileSync(path.join(captures, file), "latin1").includes("datagram 1");
  t.true(await until(() => readdirSync(captures).every(last)));
  running.child.kill("SIGKILL");
  await running.ended;
  t.true(await until(async () => (await taps(own)).length === 0), "init ends what its client started");
  const events = parseEvents(await place.ok("view", saved, "--json"));
  t.is(events.at(-1)?.type, "end");
  const packets = packetsOf(events).filter(({ protocol }) => protocol === "udp");
  t.is(packets.length, 5);
  t.true(packets.every(({ sightings }) => sightings.length === 2));
});

/** @param words of the warning; a capture of it names the hop */
async function death(t: ExecutionContext, traced: Traced, words: RegExp): Promise<void> {
  const { running, mark: own } = traced;
  t.true(await until(() => words.test(running.output())), running.output());
  running.child.kill("SIGINT");
  const { code, stdout } = await running.ended;
  t.is(code, 0);
  const died = parseEvents(stdout).flatMap((event) => (event.type === "hop" && event.died === true ? [event.hop] : []));
  t.true(died.length > 0, stdout);
  t.deepEqual(await taps(own), []);
}

test.serial("a tap that is killed is told", async (t) => {
  const traced = await listening(t);
  const [tap = 0] = await taps(traced.mark);
  // Without root, it runs under the same user in the lab's user namespace: it may be signalled all the same.
  t.true(process.kill(tap, "SIGKILL"));
  await death(t, traced, /warning: the tap at (host:veth1|test:veth0) ended \(.*SIGKILL\)/);
});

/** Of JSON Lines that are still coming, those that have come, and nothing else. */
function wholeLines(output: string): string {
  return output
    .split("\n")
    .filter((line) => /^\{"type".*\}$/.test(line))
    .join("\n");
}

test.serial("a tap that is stopped holds nothing up, and that it does not answer is told", async (t) => {
  const { running, mark: own, saved } = await listening(t);
  const { stdout: processes } = await program("ps", "-eo", "pid=,args=");
  const line = processes.split("\n").find((each) => each.includes(`port ${own}`) && each.includes(" -i veth0 "));
  const tap = Number(line?.trim().split(" ")[0]);
  const script = 'require("node:dgram").createSocket("udp4").bind(9, () => console.log("bound"))';
  const listener = place.start(["exec", `${pair}/test`, "--", process.execPath, "-e", script]);
  t.teardown(() => listener.child.kill());
  t.true(await until(() => listener.output().includes("bound")), listener.output());
  const told = (): PacketEvent[] => packetsOf(parseEvents(wholeLines(running.output())));
  await send(1);
  t.true(await until(() => told().length === 1), running.output());
  process.kill(tap, "SIGSTOP");
  await send(3);
  // In front of it they are not seen again, and that says nothing.
  t.true(await until(() => told().length === 4), running.output());
  t.regex(running.output(), /warning: the tap at test:veth0 does not answer/);
  t.true(
    told().every(({ id, verdict }) => verdict.kind === (id === 1 ? "delivered" : "unknown")),
    running.output(),
  );
  process.kill(tap, "SIGCONT");
  t.true(await until(() => running.output().includes("the tap at test:veth0 answers again")), running.output());
  await send(1);
  t.true(await until(() => told().some(({ sightings }, at) => at > 3 && sightings.length === 2)), running.output());
  // Stopped at the end, it is let run on: what it saw counts.
  process.kill(tap, "SIGSTOP");
  await send(1);
  running.child.kill("SIGINT");
  const { code, stdout } = await running.ended;
  t.is(code, 0);
  const events = parseEvents(stdout);
  const [hop] = events.filter((event) => event.type === "hop" && event.hop === "test:veth0");
  t.like(hop, { seen: 6, missing: 0 });
  t.true(hop?.type === "hop" && (hop.silent ?? 0) > 2e9, "two seconds at least");
  t.is(await place.ok("view", saved, "--json"), stdout);
});

for (const [mode, words] of [
  ["interface", /warning: the tap at (host:veth1|test:veth0) ended \(The interface disappeared/],
  ["namespace", /warning: (host:veth1|test:veth0) is gone/],
] as const)
  test.serial(`an interface that goes is told, with taps of mode ${mode}`, async (t) => {
    const own = place.lab("gone");
    await place.ok("up", "veth-pair", "--name", own);
    const traced = await listening(t, own, "--tap", mode);
    await place.ok("exec", `${own}/host`, "--", "ip", "link", "del", "veth1");
    await death(t, traced, words);
  });

test.serial("a container that is restarted keeps its taps", async (t) => {
  const running = place.start(["trace", "--lab", bridge, "--port", "80", "--json", "-c", "14"]);
  const get = () => place.run("exec", `${bridge}/client`, "--", "curl", "-sm2", "http://203.0.113.1:8080/");
  t.true(await until(async () => (await get()).code === 0 && running.output().includes('"packet"')));
  await place.ok("restart", `${bridge}/web`);
  t.true(await until(async () => (await get()).code === 0));
  const { code, stdout, stderr } = await running.ended;
  t.is(code, 0, stderr);
  t.is(stderr, "");
  const events = parseEvents(stdout);
  t.false(events.some((event) => event.type === "hop" && event.died === true));
  t.is(packetsOf(events).length, 14);
});

test.serial(
  "where packets are many, taps on whole nodes take over: each packet is there, once, at both hops",
  async (t) => {
    const { running, mark: own, saved } = await listening(t);
    const count = 9000;
    await send(count, 6, 1);
    t.true(
      await until(async () => (await taps(own)).every((pid) => argumentsOf(pid).includes("any"))),
      running.output(),
    );
    running.child.kill("SIGINT");
    const { code, stdout, stderr } = await running.ended;
    t.is(code, 0, stderr);
    const events = parseEvents(stdout);
    const packets = packetsOf(events).filter(
      ({ protocol, direction }) => protocol === "udp" && direction === "request",
    );
    const lost = events.flatMap((event) => (event.type === "hop" ? [event.dropped] : []));
    t.deepEqual(lost, [0, 0]);
    t.is(packets.length, count);
    t.true(packets.every(({ sightings }) => sightings.length === 2));
    t.true(readFileSync(path.join(saved, "log.jsonl"), "utf8").includes('"handOver"'));
    t.deepEqual(readdirSync(path.join(saved, "captures")).toSorted(), [
      "0-test_veth0.pcap",
      "1-host_veth1.pcap",
      "2-test_any.pcap",
      "3-host_any.pcap",
    ]);
    t.is(await place.ok("view", saved, "--json"), stdout);
  },
);

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
  } catch {
    return []; // it has ended
  }
}

test.serial("with taps on whole nodes from the start, a request is followed as with one a hop", async (t) => {
  const saved = path.join(place.folder, "namespace");
  const flags = ["--from", `${bridge}/client`, "--port", "80", "--tap", "namespace", "--save", saved, "--json"];
  const { code, stdout, stderr } = await place.run("trace", ...flags, "--", "curl", "-s", "http://203.0.113.1:8080/");
  t.is(code, 0, stderr);
  const packets = packetsOf(parseEvents(stdout));
  t.true(packets.length >= 10);
  for (const { sightings, verdict } of packets) {
    t.is(sightings.length, 5);
    t.is(verdict.kind, "delivered");
  }
  t.deepEqual(readdirSync(path.join(`${saved}.trace`, "captures")).toSorted(), [
    "0-client_any.pcap",
    "1-host_any.pcap",
    "2-web_any.pcap",
  ]);
  t.is(await place.ok("view", `${saved}.trace`, "--json"), stdout);
});

test.serial(
  "pcapng flows into a pipe while the trace runs, and tshark reads hops, ids, directions and comments",
  async (t) => {
    if (!has(t, "tshark")) return;
    const fields = ["frame.interface_name", "frame.packet_id", "frame.packet_flags_direction", "frame.comment"];
    const script = `"$@" | tshark -l -r - -Y tcp -T fields ${fields.map((field) => `-e ${field}`).join(" ")}`;
    const saved = path.join(place.folder, "piped");
    const trace = [executable, "trace", "--lab", bridge, "--port", "80", "-o", "pcapng=-", "--save", saved];
    const shell = spawn("sh", ["-c", script, "sh", process.execPath, ...trace], {
      env: { ...process.env, XDG_RUNTIME_DIR: place.folder },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    let lines = "";
    shell.stdout.on("data", (chunk: Buffer) => (lines += chunk.toString()));
    const ended = new Promise((resolve) => shell.once("close", resolve));
    let over = false;
    void ended.then(() => (over = true));
    t.teardown(() => over || process.kill(-(shell.pid ?? 0), "SIGKILL"));
    const get = () => place.run("exec", `${bridge}/client`, "--", "curl", "-sm2", "http://203.0.113.1:8080/");
    // Else the first packet may pass some hops before anyone watches there.
    t.true(await until(() => hasBegun(saved)), "every tap has begun");
    t.true(
      await until(async () => (await get()).code === 0 && lines.includes("\t2\t")),
      "packets are shown while it runs",
    );
    process.kill(-(shell.pid ?? 0), "SIGINT");
    await ended;
    const first = lines.split("\n").filter((line) => line.split("\t")[1] === "1");
    t.deepEqual(
    first.map((line) => line.split("\t").slice(0, 3).join(" ")),
    // Out of the client, into the machine, out of its bridge and port, into web.
    ["client:eth0 1 0x00000002", "host:eth0 1 0x00000001", "host:yapc0 1 0x00000002", "host:vethweb 1 0x00000002", "web:eth0 1 0x00000001"],
  ); // prettier-ignore
    t.regex(first[2] ?? "", /dnat 203\.0\.113\.1:8080 -> 10\.0\.0\.10:80/);
    t.regex(first[4] ?? "", /delivered$/);
  },
);

test.serial(
  "what the container writes to its log stands behind the packets that made it write, and in a replay",
  async (t) => {
    const saved = path.join(place.folder, "logged");
    const own = place.lab("logging");
    const file = path.join(place.folder, "logging.json");
    writeFileSync(
    file,
    JSON.stringify({
      machine: "host",
      nodes: { host: {}, web: { container: { command: ["busybox", "httpd", "-f", "-vv", "-p", "80", "-h", "/"] }, ready: "tcp/80" } },
      networks: { lan: { bridge: "host:yapc0", subnets: ["10.0.0.0/24"], members: { web: "10.0.0.10" } } },
    }),
  ); // prettier-ignore
    await place.ok("up", file, "--name", own);
    const { code, stdout, stderr } = await place.run(
      ...["trace", "--from", `${own}/host`, "--port", "80", "--save", saved, "--json"],
      ...["--", "curl", "-s", "http://10.0.0.10/nothing-here"],
    );
    t.is(code, 0, stderr);
    const events = parseEvents(stdout);
    const lines = events.filter((event) => event.type === "log");
    t.true(
      lines.some(({ node, text }) => node === "web" && text.includes("url:/nothing-here")),
      stdout,
    );
    const [syn] = packetsOf(events);
    t.true(lines.every(({ time }) => time > (syn?.time ?? Infinity)));
    t.is(await place.ok("view", `${saved}.trace`, "--json"), stdout);
    const text = await place.ok("view", `${saved}.trace`, "-o", "text");
    t.regex(text, /web stderr .*url:\/nothing-here/);
  },
);

/** In a mount namespace where the kernel's trace events can be reached, whether or not they can outside. */
const inView = [
  ...["unshare", "-m", "--propagation", "private", "sh", "-c"],
  ...['[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || exit 99; exec "$@"', "sh"],
];

function seeing(...command: readonly string[]): ReturnType<typeof program> {
  const [file = "", ...args] = [...inView, ...command];
  return program(file, ...args);
}

/** Trace instances of a process. */
async function instancesOf(pid: number): Promise<string[]> {
  const { stdout } = await seeing("ls", "/sys/kernel/tracing/instances");
  return stdout.split("\n").filter((name) => name.startsWith(`yapc-net-${pid}-`));
}

test.serial("the kernel's own packet buffers agree with the joins: TCP, ping, datagrams in fragments", async (t) => {
  if (!isRoot) {
    const refused = await place.run("trace", "--lab", bridge, "--self-check", "-o", "text");
    t.is(refused.code, 3);
    t.regex(refused.stderr, /error: trace events of the kernel are open to root only.*\nhint: .*sudo/);
    return;
  }
  if ((await seeing("true")).code !== 0) {
    skip(t, "needs tracefs");
    return;
  }
  for (const [least, ...command] of [
    [24, "--port", "80", "--", "curl", "-s", "http://203.0.113.1:8080/"],
    [20, "--proto", "icmp", "--", "ping", "-q", "-c", "20", "-i", "0.01", "203.0.113.1"],
    [20, "--proto", "icmp", "--", "ping", "-q", "-c", "10", "-i", "0.01", "-s", "4000", "203.0.113.1"],
  ] as const) {
    const flags = ["trace", "--from", `${bridge}/client`, "--self-check", "-o", "jsonl=/dev/null"];
    const running = place.start([...flags, ...command.map(String)], { under: inView });
    const { code, stderr } = await running.ended;
    t.is(code, 0, stderr);
    const [, agree, total] = /^self-check: exact or strong (\d+) of (\d+) joins agree/m.exec(stderr) ?? [];
    t.is(agree, total, stderr);
    t.true(Number(total) >= least, stderr);
    t.deepEqual(await instancesOf(running.pid), []);
  }
});

test.serial("a self-check that is killed leaves its trace instance to the next one", async (t) => {
  if (!isRoot) {
    skip(t, "needs root");
    return;
  }
  if ((await seeing("true")).code !== 0) {
    skip(t, "needs tracefs");
    return;
  }
  const flags = ["trace", "--lab", pair, "--self-check", "--port", "9", "-o", "jsonl=/dev/null"];
  // unshare and sh become the program: it has their PID.
  const running = place.start(flags, { under: inView });
  t.true(await until(async () => (await instancesOf(running.pid)).length === 1), running.output());
  running.child.kill("SIGKILL");
  await running.ended;
  t.is((await instancesOf(running.pid)).length, 1, "the kernel keeps it");
  const next = await place.start([...flags, "--duration", "100ms"], { under: inView }).ended;
  t.is(next.code, 0, next.stderr);
  t.deepEqual(await instancesOf(running.pid), []);
});
