/** Ladder corners, network pictures, and what CI and browsers read. */
import test from "ava";
import type { PacketEvent, Sighting } from "../../src/model/trace.js";
import {
  drawGraph,
  graphFormats,
  graphOfSnapshot,
  junit,
  openPrinter,
  pingLines,
  type GraphData,
  type PacketSource,
} from "../../src/view/index.js";
import { explainPacket } from "../../src/view/explain-packet.js";
import { GapTimes } from "../../src/view/gap-times.js";
import { noInk } from "../../src/view/ink.js";
import { ladderLayout, ladderRow } from "../../src/view/ladder.js";
import { pathOf } from "../../src/view/path.js";
import { PathLine } from "../../src/view/path-line.js";
import { bridged, events, exchangeOne, started } from "./fixture.js";
import { golden } from "./golden.js";
import { snapshot } from "./snapshot-fixture.js";

for (const format of graphFormats) {
  test(`graph of a snapshot: ${format}`, (t) => {
    const graph = graphOfSnapshot(snapshot);
    const links = graph.links.map((link, index) => (index === 1 ? { ...link, label: "5 ms" } : link));
    golden(t, `graph-${format}`, drawGraph({ ...graph, links }, format));
  });
}

/** r1 ── r2 ── r3 ── r4 ── r1, and r1 ── r3 across. */
const ring: GraphData = {
  name: "ring",
  nodes: ["r1", "r2", "r3", "r4"].map((name) => ({
    name,
    role: "namespace",
    interfaces: ["eth0", "eth1", "eth2"].map((one) => ({ name: one, addresses: [] })),
  })),
  bridges: [],
  links: (
    [
      ["r1:eth0", "r2:eth0"],
      ["r2:eth1", "r3:eth0"],
      ["r3:eth1", "r4:eth0"],
      ["r4:eth1", "r1:eth1"],
      ["r1:eth2", "r3:eth2"],
    ] as const
  ).map(([a, b]) => ({ ends: [end(a), end(b)] })),
};

function end(hop: string): { node: string; interface: string } {
  const [node = "", name = ""] = hop.split(":");
  return { node, interface: name };
}

test("links that would touch have tracks of their own; a link that passes another crosses it", (t) => {
  golden(t, "graph-ring", drawGraph(ring, "ascii"));
});

test("with too many links for lines each row names the other end", (t) => {
  const members = Array.from({ length: 20 }, (_, index) => `web${index + 1}`);
  const text = drawGraph(
    {
      name: "wide",
      nodes: [
        { name: "host", role: "machine", interfaces: members.map((name) => ({ name: `veth${name}`, addresses: [] })) },
        ...members.map((name) => ({ name, role: "container" as const, interfaces: [{ name: "eth0", addresses: [] }] })),
      ],
      bridges: [],
      links: members.map((name) => ({ ends: [end(`host:veth${name}`), end(`${name}:eth0`)] })),
    },
    "ascii",
  );
  t.regex(text, /│ vethweb20 +─▶ web20:eth0/);
  t.true(text.split("\n").every((line) => line.length < 60));
});

test("the ladder: a dropped packet, an unseen bridge, a way that doubles back", (t) => {
  const hops = ["a:eth0", "host:vetha", "host:yapc0", "host:vethb", "b:eth0"];
  const layout = ladderLayout(hops);
  const [sighting] = bridged.sightings;
  const hairpin: PacketEvent = {
    ...bridged,
    implied: [],
    sightings: ["a:eth0", "host:vetha", "host:yapc0", "host:vetha", "a:eth0"].map((hop, index) => ({
      ...sighting!,
      hop,
      time: index * 2_000,
    })),
  };
  const lost: PacketEvent = { ...bridged, verdict: { kind: "dropped", after: "b:eth0" } };
  golden(
    t,
    "ladder-corners",
    [bridged, hairpin, lost].flatMap((packet) => [...ladderRow(packet, layout, noInk), ""]).join("\n"),
  );
});

test("Mermaid: what its grammar would read is escaped", async (t) => {
  const printer = await openPrinter("mermaid", { colours: false, columns: 100 });
  const packet = { ...exchangeOne[0]!, summary: 'end; <b> #1 "x"' };
  const text = [started, packet, events.at(-1)!].map(printer).join("");
  t.regex(text, /h0->>h1: 2 tcp #101;nd#59; #60;b#62; #35;1 #34;x#34; at 0\.052 ms: \+3\.0 µs\n/);
});

test("HTML: one file, nothing from outside, text from packets is text", async (t) => {
  const source: PacketSource = {
    bytes: () => undefined,
    describe: () => [{ label: "<script>alert(1)</script>", value: "\u001b[2J" }],
  };
  const printer = await openPrinter("html", { colours: false, columns: 100, title: "<b>title", source });
  const html = events.map(printer).join("");
  t.notRegex(html, /<b>title|<script>alert/);
  t.regex(
    html,
    /&#60;script&#62;alert\(1\)&#60;\/script&#62;<\/b>|&#60;script&#62;alert\(1\)&#60;\/script&#62;: \\x1b\[2J/,
  );
  t.notRegex(html, /\b(?:src|href)=|url\(|@import/);
  t.is([...html.matchAll(/<details class="packet">/g)].length, 14, "provisional rows are left out");
  t.regex(html, /default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'/);
});

test("JUnit", (t) => {
  const xml = junit([
    {
      name: "docker-bridge",
      startedAt: "2026-11-23T01:38:55Z",
      cases: [
        { name: "client -> tcp://203.0.113.1:8080 answered", duration: 1_200_000, outcome: { kind: "passed" } },
        {
          name: "client -> tcp://203.0.113.1:8081 dropped",
          duration: 3_000_000_000,
          outcome: {
            kind: "failed",
            message: 'expected "dropped", was answered',
            text: "client:eth0\n  │ +3.0 µs\u0001 <&>",
          },
        },
        { name: "client -> udp", duration: 0, outcome: { kind: "error", message: "no such node", text: "" } },
        { name: "vlan", duration: 0, outcome: { kind: "skipped", message: "the kernel has no 8021q" } },
      ],
    },
  ]);
  golden(t, "junit", xml);
});

test("the ping matrix", (t) => {
  const answered = { kind: "answered", roundTrip: 43_000 } as const;
  const lines = pingLines({
    nodes: ["client", "host", "web"],
    cells: [
      [answered, answered, { kind: "lost", reason: "no route to 10.0.0.10 in client" }],
      [answered, answered, answered],
      [{ kind: "answered", roundTrip: 1_043_000 }, answered, { kind: "no-address" }],
    ],
  });
  golden(t, "ping-matrix", `${lines.join("\n")}\n`);
  const many = Array.from({ length: 20 }, (_, index) => `n${index}`);
  const wide = pingLines({ nodes: many, cells: many.map(() => many.map(() => answered)) });
  t.deepEqual(wide, ["All 380 pairs answered."]);
});

test("time on a gap: quantiles to a per cent, equal stamps are no duration", (t) => {
  const times = new GapTimes();
  const template = exchangeOne[0]!;
  const [a, b] = template.sightings;
  const push = (nanoseconds: number, provisional = false): void =>
    times.push({
      ...template,
      sightings: [a!, { ...b!, time: a!.time + nanoseconds }],
      ...(provisional && { provisional: true }),
    });
  for (let index = 1; index <= 1000; index += 1) push(index * 1_000);
  push(0);
  push(5, true);
  const [gap] = times.list(["client:eth0", "host:eth0"]);
  t.like(gap, { from: "client:eth0", to: "host:eth0", packets: 1000, least: 1_000, most: 1_000_000 });
  t.true(Math.abs(gap!.p50 / 500_000 - 1) < 0.008, String(gap!.p50));
  t.true(Math.abs(gap!.p99 / 990_000 - 1) < 0.008, String(gap!.p99));
});

test("a packet that was cut on its way stands once at each hop, with the number of its parts", (t) => {
  const template = exchangeOne[3]!;
  const at = (hop: string, time: number): Sighting => ({ ...template.sightings[0]!, hop, time });
  const packet: PacketEvent = {
    ...template,
    time: 0,
    sightings: [
      at("web:eth0", 0),
      ...[5000, 5100, 5200].map((time) => at("host:eth0", time)),
      ...[7000, 7100, 7200].map((time) => at("client:eth0", time)),
    ],
    implied: [],
    rewrites: [{ kind: "segmentation", between: ["web:eth0", "host:eth0"], from: "4000 B", to: "3 × 1400 B" }],
    verdict: { kind: "delivered" },
  };
  t.is(new PathLine(packet, noInk).text(packet), "web:eth0 +5.0 segmentation host:eth0 ×3 +2.0 client:eth0 ×3");
  t.is(pathOf(packet).total, 7200);
  t.true(explainPacket(packet).some((line) => /^ {2}host:eth0 ×3/.test(line)));
  const times = new GapTimes();
  times.push(packet);
  t.deepEqual(
    times.list(["web:eth0", "host:eth0", "client:eth0"]).map(({ from, to, packets }) => [from, to, packets]),
    [
      ["web:eth0", "host:eth0", 1],
      ["host:eth0", "client:eth0", 1],
    ],
  );
  // Without segmentation two sightings of one hop are two visits.
  t.is(pathOf({ ...packet, rewrites: [] }).stations.length, 7);
});
