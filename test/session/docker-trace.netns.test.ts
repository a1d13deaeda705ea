/**
 * Traces of a real Docker, as people ask for them: what goes out from behind masquerade, IPv6, an own network, what the
 * container wrote to its log, taps on whole namespaces, and a container that is restarted meanwhile.
 *
 *     client eth0 ──── eth0 host docker0 ──── veth… eth0 web      (-p 8080:80, writes what it is asked for to its log)
 *     203.0.113.2      203.0.113.1  br-… ├─── veth… eth0 db       (IPv4 and IPv6, -p 8084:80)
 *                                        └─── veth… eth0 app
 */
import path from "node:path";
import test from "ava";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import { Cli, packetsOf, parseEvents, until } from "../e2e/cli.js";
import { skip } from "../tools.js";
import { DockerHost, engine, missing, processesIn } from "./docker-host.js";

const reason = await missing();
const run = reason === undefined ? test.serial : test.serial.skip;
const place = new Cli();
let started: DockerHost | undefined;
let db6 = "";

if (reason !== undefined) test("traces of a real Docker", (t) => skip(t, reason));

test.before(async () => {
  if (reason !== undefined) return;
  const host = await DockerHost.start();
  started = host;
  const httpd = ["/bin/httpd", "-f", "-vv", "-p", "80", "-h", "/www"];
  await host.container("web", ["-p", "8080:80"], ...httpd);
  await host.docker("network", "create", "--ipv6", "--subnet", "fd00:dead::/64", "inner");
  await host.container("db", ["--network", "inner", "-p", "8084:80"], ...httpd);
  await host.container("app", ["--network", "inner"], "/bin/sleep", "1000");
  db6 = await host.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}", "db");
});

test.after.always(async () => {
  await started?.stop();
  await place.end();
});

function host(): DockerHost {
  if (started === undefined) throw new Error("the engine did not start");
  return started;
}

function yapcNet(args: readonly string[]) {
  return place.start(args, { under: host().under, environment: { DOCKER_HOST: engine } });
}

interface Traced {
  readonly events: readonly TraceEvent[];
  readonly packets: readonly PacketEvent[];
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

async function trace(flags: readonly string[], ...command: readonly string[]): Promise<Traced> {
  const { code, stdout, stderr } = await yapcNet(["trace", "--machine", "--json", ...flags, "--", ...command]).ended;
  const events = parseEvents(stdout);
  return { events, packets: packetsOf(events), stdout, stderr, code };
}

const hopsOf = (packet: PacketEvent | undefined): string[] => packet?.sightings.map(({ hop }) => hop) ?? [];

run("what a container sends outside is masqueraded, and its answer finds the way back", async (t) => {
  const port = await host().portOf("web");
  const out = ["web:eth0", `host:${port}`, "host:docker0", "host:eth0", "client:eth0"];
  const { packets, code, stderr } = await trace(
    ["--proto", "icmp", "--from", "web", "--node", "client"],
    ...["ping", "-c", "1", "203.0.113.2"],
  );
  t.is(code, 0, stderr);
  const [request, reply] = packets;
  t.deepEqual(hopsOf(request), out);
  t.deepEqual(hopsOf(reply), out.toReversed());
  const snat = request?.rewrites.find(({ kind }) => kind === "snat");
  t.deepEqual(snat?.between, ["host:docker0", "host:eth0"]);
  t.regex(snat?.to ?? "", /^203\.0\.113\.1/);
  const back = reply?.rewrites.find(({ kind }) => kind === "dnat");
  t.deepEqual(back?.between, ["host:eth0", "host:docker0"]);
  t.true(packets.every(({ verdict }) => verdict.kind === "delivered"));
});

run("in a network of their own, containers talk IPv6 over its bridge", async (t) => {
  const [app, db] = [await host().portOf("app"), await host().portOf("db")];
  const { packets, code, stderr } = await trace(
    ["--port", "80", "--proto", "tcp", "--from", "app", "--node", "db"],
    ...["curl", "-s", `http://[${db6}]/`],
  );
  t.is(code, 0, stderr);
  t.true(stderr.includes("hello"));
  t.true(packets.length >= 7);
  const way = ["app:eth0", `host:${app}`, `host:${db}`, "db:eth0"];
  for (const packet of packets) {
    t.deepEqual(hopsOf(packet), packet.direction === "request" ? way : way.toReversed(), packet.summary);
    t.is(packet.verdict.kind, "delivered");
    t.is(packet.implied.length, 1, "the bridge passes it on unseen");
  }
  t.is(packets[0]?.sightings[0]?.destination, db6);
});

run("a port that a container of such a network publishes: the same way through its own bridge", async (t) => {
  const port = await host().portOf("db");
  const { packets, code, stderr } = await trace(
    ["--port", "8084", "--from", "client", "--node", "db"],
    ...["curl", "-s", "http://203.0.113.1:8084/"],
  );
  t.is(code, 0, stderr);
  const [syn] = packets;
  t.deepEqual(
    hopsOf(syn).map((hop) => hop.replace(/^host:br-.*/, "host:br-…")),
    ["client:eth0", "host:eth0", "host:br-…", `host:${port}`, "db:eth0"],
  );
  t.regex(syn?.rewrites.find(({ kind }) => kind === "dnat")?.to ?? "", /:80$/);
});

run(
  "the engine's log of the container stands in the time line, also in a replay; namespace taps see the same",
  async (t) => {
    const saved = path.join(place.folder, "logged");
    for (const mode of ["interface", "namespace"]) {
      const { events, packets, stdout, code, stderr } = await trace(
        ["--port", "80", "--from", "client", "--node", "web", "--tap", mode, "--save", saved],
        ...["curl", "-s", `http://203.0.113.1:8080/?${mode}`],
      );
      t.is(code, 0, stderr);
      t.true(packets.every((packet) => packet.sightings.length === 5 && packet.verdict.kind === "delivered"));
      const lines = events.filter((event) => event.type === "log");
      const [asked] = lines;
      t.is(asked?.node, "web");
      t.true(
        lines.some(({ text }) => text.includes("url:/")),
        stdout,
      );
      t.false(
        lines.some(({ text }) => mode === "namespace" && text.includes("interface")),
        "what it wrote before is no news",
      );
      const request = packets.find(({ summary }) => summary.startsWith("PSH"));
      t.true((asked?.time ?? 0) > (request?.sightings.at(-1)?.time ?? Infinity), "it was asked before it wrote");
      t.is((await yapcNet(["view", `${saved}.trace`, "--json"]).ended).stdout, stdout);
    }
  },
);

run("a container that is restarted gets another interface: its taps end, and both are told", async (t) => {
  const running = yapcNet(["trace", "--machine", "--port", "80", "--node", "web", "--json"]);
  const taps = async (): Promise<number> => {
    const found = await host().run("sh", "-c", "ps -eo comm,args | grep -c '^tcpdump .*port 80'");
    return Number(found.stdout);
  };
  t.true(await until(async () => (await taps()) >= 3), running.output());
  const get = (): Promise<{ code: number }> =>
    host().run("ip", "netns", "exec", "client", "curl", "-sm1", "http://203.0.113.1:8080/");
  t.true(await until(async () => (await get()).code === 0 && running.output().includes('"packet"')));
  await host().docker("restart", "-t", "0", "web");
  t.true(await until(async () => (await get()).code === 0));
  t.true(await until(() => running.output().includes("came up after the trace had begun")), running.output());
  running.child.kill("SIGTERM");
  const { code, stdout, stderr } = await running.ended;
  t.is(code, 0, stderr);
  t.regex(stderr, /the tap at web:eth0 ended/);
  const events = parseEvents(stdout);
  t.is(events.at(-1)?.type, "end");
  t.true(events.some((event) => event.type === "hop" && event.hop === "web:eth0" && event.died === true));
  t.true(await until(async () => (await taps()) === 0));
  t.true(processesIn(host().netns).length > 0, "the engine lives on");
});
