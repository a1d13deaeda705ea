import test from "ava";
import type { ExchangeEvent, HopEvent, PacketEvent, TraceEvent } from "../../src/model/trace.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import { hops } from "../../src/path/hops.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { createReplay } from "../../src/trace/replay.js";
import { createTrace, type Trace, type TraceTap } from "../../src/trace/trace.js";
import { type CoreOptions, noFilter } from "../../src/trace/core.js";
import type { LogEntry } from "../../src/trace/log.js";
import { longestDelay } from "../../src/trace/patience.js";
import { GapTimes, type GapTime } from "../../src/view/gap-times.js";
import { dockerBridge, macs } from "../path/docker-bridge.js";
import { arp, echo, flag, icmpError, ip, tcp, type TcpOptions, udp } from "./frames.js";

const epoch = 1_700_000_000_000_000_000n;
const names = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];

/** A trace of docker-bridge whose taps are written to by hand. */
class Bench {
  readonly events: TraceEvent[] = [];
  readonly log: LogEntry[] = [];
  readonly captures: Uint8Array[][] = names.map(() => [pcapHeader(1)]);
  readonly trace: Trace;
  readonly taps: TraceTap[];

  readonly options: Omit<CoreOptions, "emit">;

  constructor(filter = noFilter, more: Partial<CoreOptions> = {}) {
    const list = hops(dockerBridge, { from: "client", to: "web" });
    this.options = { snapshot: dockerBridge, hops: list, filter, epoch, ...more };
    this.trace = createTrace({
      ...this.options,
      emit: (event) => this.events.push(event),
      log: (entry) => this.log.push(entry),
    });
    this.taps = list.map((_, hop) => this.trace.tap({ hop }));
    for (const tap of this.taps) tap.push(pcapHeader(1));
  }

  /** @param time nanoseconds */
  see(hop: string, time: number, frame: Uint8Array): void {
    const number = names.indexOf(hop);
    const record = pcapRecord(epoch + BigInt(time), frame);
    this.captures[number]!.push(record);
    this.taps[number]!.push(record);
  }

  end(): void {
    for (const tap of this.taps) tap.end();
    this.trace.end();
  }

  get packets(): PacketEvent[] {
    return this.events.filter((event): event is PacketEvent => event.type === "packet").sort((a, b) => a.id - b.id);
  }

  get exchanges(): ExchangeEvent[] {
    return this.events.filter((event): event is ExchangeEvent => event.type === "exchange");
  }
}

/** The events of its captures and its log, read anew. */
function replay(bench: Bench): TraceEvent[] {
  const events: TraceEvent[] = [];
  const again = createReplay({ ...bench.options, emit: (event) => events.push(event) }, bench.log);
  const unread = bench.captures.map((chunks) => [...chunks]);
  for (const hop of unread.keys()) again.tap({ hop });
  for (let hungry = again.hungry(); hungry.length > 0; hungry = again.hungry()) {
    for (const tap of hungry) {
      const chunk = unread[tap.number]!.shift();
      if (chunk) tap.push(chunk);
      else tap.end();
    }
  }
  return events;
}

type Segment = Pick<TcpOptions, "sequence" | "acknowledgement" | "flags" | "payload" | "id">;

/** A segment of the client to the published port, at each of its five hops. */
function request(bench: Bench, start: number, segment: Segment, upTo = 5, published = 8080, inside = 80): void {
  const outer = { source: "203.0.113.2", sourcePort: 40000, destination: "203.0.113.1", destinationPort: published };
  const inner = { source: "203.0.113.2", sourcePort: 40000, destination: "10.0.0.10", destinationPort: inside };
  const wire = { sourceMac: macs.client, destinationMac: macs.host };
  const lan = { sourceMac: macs.bridge, destinationMac: macs.web };
  const frames = [
    tcp({ ...outer, ...wire, ...segment }),
    tcp({ ...outer, ...wire, ...segment }),
    tcp({ ...inner, ...lan, ...segment, ttl: 63 }),
    tcp({ ...inner, ...lan, ...segment, ttl: 63 }),
    tcp({ ...inner, ...lan, ...segment, ttl: 63 }),
  ];
  for (const [index, frame] of frames.slice(0, upTo).entries()) bench.see(names[index]!, start + index * 2000, frame);
}

/** A segment of the server back to the client. The bridge shows it with the stamp of its port. */
function answer(bench: Bench, start: number, segment: Segment, port = 80, published = 8080): void {
  const inner = { source: "10.0.0.10", sourcePort: port, destination: "203.0.113.2", destinationPort: 40000 };
  const outer = { source: "203.0.113.1", sourcePort: published, destination: "203.0.113.2", destinationPort: 40000 };
  const lan = { sourceMac: macs.web, destinationMac: macs.bridge };
  const wire = { sourceMac: macs.host, destinationMac: macs.client };
  bench.see("web:eth0", start, tcp({ ...inner, ...lan, ...segment }));
  bench.see("host:yapc0", start + 2000, tcp({ ...inner, ...lan, ...segment }));
  bench.see("host:vethweb", start + 2000, tcp({ ...inner, ...lan, ...segment }));
  bench.see("host:eth0", start + 4000, tcp({ ...outer, ...wire, ...segment, ttl: 63 }));
  bench.see("client:eth0", start + 6000, tcp({ ...outer, ...wire, ...segment, ttl: 63 }));
}

/** Handshake, request, answer, and the end of the connection from both sides. */
function connection(bench: Bench): void {
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn });
  answer(bench, 1.1e6, { id: 0, sequence: 9000, acknowledgement: 1001, flags: flag.syn | flag.ack });
  request(bench, 1.2e6, { id: 101, sequence: 1001, acknowledgement: 9001, flags: flag.ack });
  request(bench, 1.3e6, { id: 102, sequence: 1001, acknowledgement: 9001, flags: flag.psh | flag.ack, payload: 73 });
  answer(bench, 1.4e6, { id: 7, sequence: 9001, acknowledgement: 1074, flags: flag.psh | flag.ack, payload: 200 });
  request(bench, 1.5e6, { id: 103, sequence: 1074, acknowledgement: 9201, flags: flag.fin | flag.ack });
  answer(bench, 1.6e6, { id: 8, sequence: 9201, acknowledgement: 1075, flags: flag.fin | flag.ack });
  request(bench, 1.7e6, { id: 104, sequence: 1075, acknowledgement: 9202, flags: flag.ack });
}

test("a connection through DNAT is one packet a segment, in path order, with its rewrites", (t) => {
  const bench = new Bench();
  connection(bench);
  bench.end();
  const { packets, exchanges } = bench;
  t.is(packets.length, 8);
  t.deepEqual(
    packets.map((packet) => packet.sightings.map((one) => one.hop)),
    packets.map((packet) => (packet.direction === "request" ? names : [...names].reverse())),
  );
  t.true(packets.every((packet) => packet.verdict.kind === "delivered"));
  t.is(packets[3]!.summary, "PSH ACK 73 B");
  t.deepEqual(packets[0]!.rewrites, [
    { kind: "dnat", between: ["host:eth0", "host:yapc0"], from: "203.0.113.1:8080", to: "10.0.0.10:80" },
    { kind: "ttl", between: ["host:eth0", "host:yapc0"], from: "64", to: "63" },
    {
      kind: "mac",
      between: ["host:eth0", "host:yapc0"],
      from: `${macs.client} > ${macs.host}`,
      to: `${macs.bridge} > ${macs.web}`,
    },
  ]);
  t.deepEqual(
    packets[1]!.rewrites.filter((one) => one.kind === "snat"),
    [{ kind: "snat", between: ["host:yapc0", "host:eth0"], from: "10.0.0.10:80", to: "203.0.113.1:8080" }],
  );
  // Without conntrack's word the first join is `strong`; what it taught makes the next ones `exact`.
  t.deepEqual(
    packets.map((packet) => packet.match),
    ["strong", "strong", "exact", "exact", "exact", "exact", "exact", "exact"],
  );
  t.deepEqual(
    exchanges.map(({ client, server, translated, packets: count, verdict }) => ({
      client,
      server,
      translated,
      count,
      verdict,
    })),
    [
      {
        client: "203.0.113.2:40000",
        server: "203.0.113.1:8080",
        translated: { client: "203.0.113.2:40000", server: "10.0.0.10:80" },
        count: 8,
        verdict: "answered",
      },
    ],
  );
});

test("--port 80 keeps a packet whose port is 80 at one hop only", (t) => {
  const bench = new Bench({ ports: [80], hosts: [], protocols: [] });
  connection(bench);
  request(bench, 5e6, { id: 300, sequence: 1, flags: flag.syn }, 5, 8081, 81);
  bench.end();
  t.is(bench.packets.length, 8);
  t.is(bench.exchanges.length, 1);
});

test("a segment that a rule drops ends between two hops, by that rule", (t) => {
  const bench = new Bench();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn }, 2, 8081, 81);
  bench.end();
  const text = "nft rule 'no 81' (inet yapc_filter, forward, handle 7)";
  t.deepEqual(bench.packets[0]!.verdict, {
    kind: "dropped",
    after: "host:eth0",
    before: "host:yapc0",
    cause: { code: "nft-drop", text, evidence: [{ source: "configuration", strength: "sign", text }] },
  });
  t.is(bench.exchanges[0]!.verdict, "unanswered");
  t.is(bench.exchanges[0]!.reason, `the request was dropped between host:eth0 and host:yapc0 by ${text}`);
});

test("a closed port: the SYN is refused by the node that sent the RST", (t) => {
  const bench = new Bench();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn });
  answer(bench, 1.1e6, { id: 0, sequence: 0, acknowledgement: 1001, flags: flag.rst | flag.ack });
  bench.end();
  t.deepEqual(bench.packets[0]!.verdict, { kind: "refused", by: "web", reason: "RST" });
  t.is(bench.packets[1]!.verdict.kind, "delivered");
  t.is(bench.exchanges[0]!.verdict, "refused");
  t.is(bench.exchanges[0]!.reason, "web: RST");
});

test("an ICMP error refuses the datagram it quotes, across NAT", (t) => {
  const bench = new Bench();
  const inner = { source: "10.0.0.10", sourcePort: 5000, destination: "203.0.113.2", destinationPort: 53 };
  const outer = { source: "203.0.113.1", sourcePort: 5000, destination: "203.0.113.2", destinationPort: 53 };
  const lan = { sourceMac: macs.web, destinationMac: macs.bridge };
  const wire = { sourceMac: macs.host, destinationMac: macs.client };
  const payload = Uint8Array.from([1, 2, 3, 4]);
  for (const hop of ["web:eth0", "host:vethweb", "host:yapc0"]) {
    bench.see(hop, 1000 * (5 - names.indexOf(hop)), udp({ ...inner, ...lan, id: 9, payload }));
  }
  bench.see("host:eth0", 6000, udp({ ...outer, ...wire, id: 9, ttl: 63, payload }));
  bench.see("client:eth0", 7000, udp({ ...outer, ...wire, id: 9, ttl: 63, payload }));
  const quote = (ends: typeof outer) => ip({ ...ends, id: 9 }, 17, udp({ ...ends, payload }).slice(34));
  const back = { source: "203.0.113.2", sourceMac: macs.client, destinationMac: macs.host };
  const home = { source: "203.0.113.2", sourceMac: macs.bridge, destinationMac: macs.web, ttl: 63 };
  bench.see("client:eth0", 10000, icmpError({ ...back, destination: "203.0.113.1", id: 50 }, 3, 3, quote(outer)));
  bench.see("host:eth0", 11000, icmpError({ ...back, destination: "203.0.113.1", id: 50 }, 3, 3, quote(outer)));
  for (const [index, hop] of ["host:yapc0", "host:vethweb", "web:eth0"].entries()) {
    bench.see(hop, 12000 + index * 1000, icmpError({ ...home, destination: "10.0.0.10", id: 50 }, 3, 3, quote(inner)));
  }
  bench.end();
  t.is(bench.packets.length, 2);
  t.deepEqual(bench.packets[0]!.verdict, { kind: "refused", by: "client", reason: "ICMP port unreachable" });
  t.is(bench.packets[1]!.sightings.length, 5);
  t.is(bench.packets[1]!.verdict.kind, "delivered");
  t.is(bench.exchanges.length, 1);
  t.is(bench.exchanges[0]!.verdict, "refused");
});

test("ping of the bridge address; the port and the bridge carry one stamp", (t) => {
  const bench = new Bench();
  const lan = { sourceMac: macs.web, destinationMac: macs.bridge };
  const frame = echo({ source: "10.0.0.10", destination: "10.0.0.1", ...lan, id: 77, identifier: 3 });
  bench.see("web:eth0", 1000, frame);
  bench.see("host:yapc0", 3000, frame);
  bench.see("host:vethweb", 3000, frame);
  const back = echo({
    source: "10.0.0.1",
    destination: "10.0.0.10",
    sourceMac: macs.bridge,
    destinationMac: macs.web,
    id: 78,
    identifier: 3,
    reply: true,
  });
  bench.see("host:yapc0", 5000, back);
  bench.see("host:vethweb", 6000, back);
  bench.see("web:eth0", 7000, back);
  bench.end();
  t.deepEqual(
    bench.packets.map((packet) => packet.sightings.map((one) => one.hop)),
    [
      ["web:eth0", "host:vethweb", "host:yapc0"],
      ["host:yapc0", "host:vethweb", "web:eth0"],
    ],
  );
  t.deepEqual(
    bench.packets.map((packet) => [packet.summary, packet.verdict.kind, packet.match]),
    [
      ["echo request 1", "delivered", "exact"],
      ["echo reply 1", "delivered", "exact"],
    ],
  );
  t.is(bench.exchanges[0]!.verdict, "answered");
});

test("an ARP question and its answer", (t) => {
  const bench = new Bench();
  const host = { mac: macs.bridge, address: "10.0.0.1" };
  const web = { mac: macs.web, address: "10.0.0.10" };
  for (const [index, hop] of ["host:yapc0", "host:vethweb", "web:eth0"].entries()) {
    bench.see(hop, 1000 + index * 1000, arp(1, host, { address: web.address }));
  }
  for (const [index, hop] of ["web:eth0", "host:vethweb", "host:yapc0"].entries()) {
    bench.see(hop, 5000 + index * 1000, arp(2, web, host));
  }
  bench.end();
  t.deepEqual(
    bench.packets.map((packet) => [packet.summary, packet.sightings.length, packet.verdict.kind]),
    [
      ["who-has 10.0.0.10", 3, "delivered"],
      ["10.0.0.10 is-at", 3, "delivered"],
    ],
  );
  t.deepEqual(
    bench.exchanges.map((one) => [one.protocol, one.client, one.server, one.verdict]),
    [["arp", "10.0.0.1", "10.0.0.10", "answered"]],
  );
});

test("conntrack that speaks after the packet was seen on both sides makes the next joins exact", (t) => {
  const bench = new Bench();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn });
  bench.trace.conntrack({
    kind: "new",
    node: "host",
    flow: {
      id: 1,
      zone: 0,
      family: 4,
      original: {
        source: "203.0.113.2",
        destination: "203.0.113.1",
        protocol: 6,
        sourcePort: 40000,
        destinationPort: 8080,
      },
      reply: { source: "10.0.0.10", destination: "203.0.113.2", protocol: 6, sourcePort: 80, destinationPort: 40000 },
      status: 0x20,
    },
  });
  request(bench, 1.2e6, { id: 101, sequence: 1001, acknowledgement: 9001, flags: flag.ack });
  bench.end();
  t.is(bench.packets[1]!.match, "exact");
  t.is(bench.exchanges.length, 1);
});

test("a tap that lost records makes the loss unknown", (t) => {
  const bench = new Bench();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn }, 2);
  bench.taps[2]!.lost(3);
  bench.end();
  t.deepEqual(bench.packets[0]!.verdict, { kind: "unknown", reason: "the tap of host:yapc0 lost 3 records" });
});

test("equal packets that order alone tells apart are not told as dropped where any tap lost records", (t) => {
  const verdicts = (lost: number): string[] => {
    const bench = new Bench();
    const same = { id: 0, sequence: 1000, flags: flag.ack };
    for (const start of [1e6, 1.01e6]) request(bench, start, same, 2, 8081, 81);
    bench.taps[0]!.lost(lost);
    bench.end();
    t.deepEqual(replay(bench), bench.events);
    t.deepEqual(
      bench.packets.map(({ match }) => match),
      ["ordered", "ordered"],
    );
    return bench.packets.map(({ verdict }) => (verdict.kind === "unknown" ? verdict.reason : verdict.kind));
  };
  t.deepEqual(verdicts(0), ["dropped", "dropped"]);
  const reason = "equal packets were about, and taps missed records";
  t.deepEqual(verdicts(1), [reason, reason]);
});

test("where taps lost the middle of a way, the frame tells which way it went: no rule is blamed for what was not seen", (t) => {
  const bench = new Bench();
  for (const tap of bench.taps) tap.lost(1);
  const see = bench.see.bind(bench);
  const only = (...seen: readonly string[]): void => {
    bench.see = (hop, time, frame) => {
      if (seen.includes(hop)) see(hop, time, frame);
    };
  };
  only("client:eth0", "host:vethweb");
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.ack, payload: 10 });
  only("web:eth0", "host:eth0");
  answer(bench, 2e6, { id: 7, sequence: 9000, acknowledgement: 1010, flags: flag.ack });
  bench.end();
  t.deepEqual(
    bench.packets.map(({ verdict }) => verdict),
    ["web:eth0", "client:eth0"].map((hop) => ({ kind: "unknown", reason: `the tap of ${hop} lost 1 records` })),
  );
});

test("a tap that died makes the loss unknown, and says so at its hop; others join over it", (t) => {
  const bench = new Bench();
  bench.taps[2]!.died();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn }, 2);
  const dark = names.indexOf("host:yapc0");
  bench.taps[dark]!.end();
  bench.end();
  t.deepEqual(bench.packets[0]!.verdict, { kind: "unknown", reason: "the tap of host:yapc0 ended before the trace" });
  const hop = bench.events.find((event) => event.type === "hop" && event.hop === "host:yapc0");
  t.deepEqual(hop, { type: "hop", hop: "host:yapc0", seen: 0, dropped: 0, missing: 0, next: [], died: true });
  t.deepEqual(replay(bench), bench.events);
});

test("a hop tells how long packets took to the next ones, and how many were lost in front of it; counting alone tells the same", (t) => {
  const told = (more: Partial<CoreOptions>): HopEvent[] => {
    const bench = new Bench(noFilter, more);
    connection(bench);
    request(bench, 4e6, { id: 200, sequence: 5, flags: flag.syn }, 2, 8081, 81);
    request(bench, 5e6, { id: 201, sequence: 5, flags: flag.syn }, 2, 8081, 81);
    bench.end();
    t.deepEqual(replay(bench), bench.events);
    if (more.tell === undefined) t.deepEqual(fromPackets(bench.packets), gapsOf(bench.events));
    return bench.events.filter((event) => event.type === "hop");
  };
  const hopEvents = told({});
  t.deepEqual(
    hopEvents.map(({ missing }) => missing),
    [0, 0, 2, 0, 0],
  );
  // One way for requests, the other for answers; what a bridge passes up carries the stamp of its port, which is no duration.
  t.deepEqual(
    hopEvents.map(({ next }) => next.map(({ hop }) => hop)),
    [["host:eth0"], ["client:eth0", "host:yapc0"], ["host:eth0", "host:vethweb"], ["web:eth0"], ["host:vethweb"]],
  );
  t.deepEqual(told({ tell: "none" }), hopEvents);
  t.deepEqual(told({ tell: "undelivered" }), hopEvents);
});

/** What a reader of the packets alone makes of them: what the hops tell must be the same. */
function fromPackets(packets: readonly PacketEvent[]): readonly GapTime[] {
  const times = new GapTimes();
  for (const packet of packets) times.push(packet);
  return times.list(names);
}

function gapsOf(events: readonly TraceEvent[]): readonly GapTime[] {
  const times = new GapTimes();
  for (const event of events) if (event.type === "hop") times.push(event);
  return times.list(names);
}

test("a tap that does not answer holds nothing up; what it brings later is late, and nobody is said to have lost it", (t) => {
  const bench = new Bench();
  const silent = bench.taps[names.indexOf("host:yapc0")]!;
  const others = bench.taps.filter((tap) => tap !== silent);
  const pass = (time: number): void => {
    for (const tap of others) tap.quiet(Number(epoch / 1_000_000n) + time / 1e6);
    bench.trace.settle();
  };
  /** What the stopped tap sees stays in its ring. */
  const frames: (() => void)[] = [];
  const see = bench.see.bind(bench);
  bench.see = (hop, time, frame) => {
    if (hop === "host:yapc0" && time >= 1e9 && time < 9e9) frames.push(() => see(hop, time, frame));
    else see(hop, time, frame);
  };
  request(bench, 1e6, { id: 99, sequence: 999, flags: flag.psh | flag.ack, payload: 1 });
  request(bench, 1e9, { id: 100, sequence: 1000, flags: flag.psh | flag.ack, payload: 10 });
  request(bench, 2e9, { id: 101, sequence: 1010, flags: flag.psh | flag.ack, payload: 10 }, 2);
  pass(3e9);
  t.is(bench.packets.length, 0, "others wait for it");
  silent.silent();
  pass(7e9);
  t.deepEqual(
    bench.packets.map(({ sightings, verdict }) => [sightings.length, verdict]),
    [
      [5, { kind: "delivered" }],
      [4, { kind: "delivered" }],
      [2, { kind: "unknown", reason: "the tap of host:yapc0 did not answer then" }],
    ],
  );
  for (const late of frames) late();
  silent.quiet(Number(epoch / 1_000_000n) + 8000);
  silent.answers();
  request(bench, 12e9, { id: 102, sequence: 1020, flags: flag.psh | flag.ack, payload: 10 }, 2);
  pass(20e9);
  silent.quiet(Number(epoch / 1_000_000n) + 20_000);
  bench.end();
  t.deepEqual(
    bench.packets.slice(3).map(({ sightings, verdict }) => [sightings.map(({ hop }) => hop).join(" "), verdict.kind]),
    [
      ["host:yapc0", "unknown"],
      ["client:eth0 host:eth0", "dropped"],
    ],
    "late ones by themselves; afterwards a loss is a loss again",
  );
  const [hop] = bench.events.filter((event) => event.type === "hop" && event.hop === "host:yapc0");
  t.like(hop, { seen: 2, missing: 1, silent: 8e9 - (1e6 + 4000) });
  t.true(bench.log.some((entry) => "late" in entry));
  t.deepEqual(replay(bench), bench.events);
});

test("a saved trace replays to the same events", (t) => {
  const bench = new Bench();
  connection(bench);
  // An idle tap is moved on by the clock; then it brings an older record after all.
  bench.see("client:eth0", 2.9e6, echo({ source: "203.0.113.2", destination: "203.0.113.1", id: 5 }));
  bench.trace.tick(3e6);
  bench.see(
    "host:eth0",
    2.5e6,
    tcp({ source: "203.0.113.2", destination: "203.0.113.1", sourcePort: 1, destinationPort: 2 }),
  );
  request(bench, 4e6, { id: 200, sequence: 5, flags: flag.syn }, 2, 8081, 81);
  bench.trace.tick(3e9);
  bench.end();
  const replayed = replay(bench);
  t.deepEqual(replayed, bench.events);
  t.true(bench.log.some((entry) => "late" in entry));
});

test("count: so many packets as they come to their end, then the end, and nothing of what is open", (t) => {
  const all = new Bench();
  connection(all);
  all.end();
  const closing = all.events.filter((event) => event.type === "packet").map(({ id }) => id);
  for (const count of [1, 3, 8]) {
    const bench = new Bench(noFilter, { count });
    connection(bench);
    // Another one that is open when the count is reached.
    request(bench, 1.75e6, { id: 200, sequence: 5, flags: flag.syn }, 2, 8081, 81);
    bench.trace.tick(1e8);
    bench.end();
    const told = bench.events.filter((event) => event.type === "packet").map(({ id }) => id);
    t.deepEqual(told, closing.slice(0, count));
    t.deepEqual(
      bench.events.slice(1 + count).map(({ type }) => type),
      ["exchange", ...names.map(() => "hop"), "end"],
    );
    t.like(bench.events.at(-1), { packets: count, exchanges: 1 });
    t.is(bench.exchanges[0]!.packets, count);
    t.is(bench.exchanges[0]!.verdict, count === 1 ? "unknown" : "answered");
    t.deepEqual(replay(bench), bench.events);
  }
});

test("the clock is logged only where something comes to its end", (t) => {
  const bench = new Bench();
  const tick = (time: number): number => {
    const before = bench.log.length;
    bench.trace.tick(time);
    return bench.log.length - before;
  };
  t.is(tick(1e5), 0);
  connection(bench);
  t.is(tick(1.9e6), 1, "the last packet leaves");
  for (let time = 2e6; time < 2e9; time += 5e7) t.is(tick(time), 0);
  t.is(tick(3e9), 1, "the connection has been closed for two seconds: its exchange is told");
  t.is(bench.exchanges.length, 1);
  for (let time = 3e9; time < 6e9; time += 5e7) t.is(tick(time), 0);
  request(bench, 7e9, { id: 200, sequence: 5, flags: flag.syn }, 2, 8081, 81);
  for (let time = 7.1e9; time < 11e9; time += 5e7) t.is(tick(time), 0);
  t.is(tick(11.1e9), 1, "a packet is given up");
  bench.end();
  t.deepEqual(replay(bench), bench.events);
});

/** The bridge with a link that holds back what goes to the web, and what comes from it. */
function slow(delay: number): Snapshot {
  const held = { kind: "netem", handle: "10000", parent: "ffffffff", drops: 0, backlog: 0, delay, jitter: delay / 10 };
  return {
    ...dockerBridge,
    nodes: dockerBridge.nodes.map((node) => ({
      ...node,
      interfaces: node.interfaces.map((each) =>
        each.name === "vethweb" || (node.name === "web" && each.name === "eth0") ? { ...each, qdiscs: [held] } : each,
      ),
    })),
  };
}

test("links that hold packets back widen the window: what is late is neither lost nor split, and can be refused", (t) => {
  const bench = new Bench(noFilter, { snapshot: slow(6e9) });
  const syn = { id: 100, sequence: 1000, flags: flag.syn };
  const ends = { source: "203.0.113.2", sourcePort: 40000, ttl: 64 };
  const outer = { ...ends, destination: "203.0.113.1", destinationPort: 8080, ...syn };
  const inner = { ...ends, destination: "10.0.0.10", destinationPort: 80, ...syn, ttl: 63 };
  bench.see("client:eth0", 1e6, tcp({ ...outer, sourceMac: macs.client, destinationMac: macs.host }));
  bench.see("host:eth0", 1.1e6, tcp({ ...outer, sourceMac: macs.client, destinationMac: macs.host }));
  bench.see("host:yapc0", 1.2e6, tcp({ ...inner, sourceMac: macs.bridge, destinationMac: macs.web }));
  bench.trace.tick(6e9);
  bench.see("host:vethweb", 6.3e9, tcp({ ...inner, sourceMac: macs.bridge, destinationMac: macs.web }));
  bench.see("web:eth0", 6.3e9 + 5000, tcp({ ...inner, sourceMac: macs.bridge, destinationMac: macs.web }));
  bench.trace.tick(12e9);
  answer(bench, 12.4e9, { id: 0, sequence: 0, acknowledgement: 1001, flags: flag.rst | flag.ack });
  bench.end();
  t.deepEqual(
    bench.packets.map(({ sightings, verdict }) => [sightings.length, verdict.kind]),
    [
      [5, "refused"],
      [5, "delivered"],
    ],
  );
});

test("the longest delay is that of one tapped interface, and of all without a tap", (t) => {
  const list = hops(dockerBridge);
  t.is(longestDelay(dockerBridge, list), 0);
  t.is(longestDelay(slow(100), list), 110);
  t.is(
    longestDelay(
      slow(100),
      list.filter(({ node }) => node === "client"),
    ),
    220,
  );
});

/** A datagram of web's to the client, as one frame where it is still one, else as the kernel cuts it (udp(7), UDP_SEGMENT). */
function datagram(bench: Bench, start: number, id: number, sizes: readonly number[]): void {
  const payload = Uint8Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, at) => (at * 7) & 255);
  const inner = { source: "10.0.0.10", sourcePort: 5000, destination: "203.0.113.2", destinationPort: 53 };
  const lan = { sourceMac: macs.web, destinationMac: macs.bridge };
  const wire = { source: "203.0.113.1", sourceMac: macs.host, destinationMac: macs.client, ttl: 63 };
  for (const [index, hop] of ["web:eth0", "host:vethweb", "host:yapc0"].entries())
    bench.see(hop, start + index * 2000, udp({ ...inner, ...lan, id, payload }));
  for (const [index, hop] of ["host:eth0", "client:eth0"].entries()) {
    let at = 0;
    for (const [number, size] of sizes.entries()) {
      const part = payload.subarray(at, (at += size));
      bench.see(
        hop,
        start + 6000 + index * 2000 + number * 100,
        udp({ ...inner, ...wire, id: id + number, payload: part }),
      );
    }
  }
}

test("bytes that are sent twice: segments are of the packet that was last seen nearest, and each has all of its own", (t) => {
  const bench = new Bench();
  request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn });
  answer(bench, 1.1e6, { id: 0, sequence: 9000, acknowledgement: 1001, flags: flag.syn | flag.ack });
  request(bench, 1.2e6, { id: 101, sequence: 1001, acknowledgement: 9001, flags: flag.ack });
  const ends = { sourcePort: 80, destination: "203.0.113.2", destinationPort: 40000, id: 0, acknowledgement: 1001 };
  const lan = { ...ends, source: "10.0.0.10", sourceMac: macs.web, destinationMac: macs.bridge, flags: flag.ack };
  const wire = { ...ends, source: "203.0.113.1", sourcePort: 8080, sourceMac: macs.host, destinationMac: macs.client };
  const large = (start: number, inside: readonly string[]): void => {
    for (const [index, hop] of inside.entries())
      bench.see(hop, start + index * 1000, tcp({ ...lan, sequence: 9001, payload: 2000 }));
  };
  const divided = (hop: string, start: number): void => {
    for (const part of [0, 1])
      bench.see(hop, start + part * 1000, tcp({ ...wire, sequence: 9001 + part * 1000, payload: 1000, ttl: 63 }));
  };
  large(2e6, ["web:eth0", "host:vethweb", "host:yapc0"]);
  divided("host:eth0", 2.003e6);
  large(2.0055e6, ["web:eth0"]);
  divided("client:eth0", 2.006e6); // of the first: the second is at web
  large(2.0085e6, ["host:vethweb", "host:yapc0"]);
  divided("host:eth0", 2.011e6);
  divided("client:eth0", 2.014e6);
  bench.end();
  const sent = bench.packets.filter((packet) => packet.sightings[0]?.length === 2054);
  const way = ["web:eth0", "host:vethweb", "host:yapc0", "host:eth0", "host:eth0", "client:eth0", "client:eth0"];
  t.deepEqual(
    sent.map((packet) => packet.sightings.map((one) => one.hop)),
    [way, way],
  );
  t.deepEqual(
    sent.map((packet) => packet.sightings.at(-1)?.time),
    [2.007e6, 2.015e6],
  );
  t.deepEqual(
    bench.packets.map(({ match }) => match),
    ["strong", "strong", "exact", "ordered", "ordered"],
  );
});

test("segments find their packet however many others of the connection are open, and one that lacks some was dropped", (t) => {
  for (const missing of [0, 3]) {
    const bench = new Bench();
    request(bench, 1e6, { id: 100, sequence: 1000, flags: flag.syn });
    answer(bench, 1.1e6, { id: 0, sequence: 9000, acknowledgement: 1001, flags: flag.syn | flag.ack });
    request(bench, 1.2e6, { id: 101, sequence: 1001, acknowledgement: 9001, flags: flag.ack });
    const ends = { sourcePort: 80, destination: "203.0.113.2", destinationPort: 40000, id: 0, acknowledgement: 1001 };
    const lan = { ...ends, source: "10.0.0.10", sourceMac: macs.web, destinationMac: macs.bridge };
    const wire = {
      ...ends,
      source: "203.0.113.1",
      sourcePort: 8080,
      sourceMac: macs.host,
      destinationMac: macs.client,
    };
    for (const [index, hop] of ["web:eth0", "host:vethweb", "host:yapc0"].entries())
      bench.see(hop, 2e6 + index * 1000, tcp({ ...lan, sequence: 9001, payload: 10_000 }));
    const divided = (hop: string, start: number, parts: number): void => {
      for (let part = 0; part < parts; part++) {
        const frame = tcp({ ...wire, sequence: 9001 + part * 1000, payload: 1000, ttl: 63 });
        bench.see(hop, start + part * 1000, frame);
      }
    };
    divided("host:eth0", 2.01e6, 10);
    // The client is slow: a thousand acknowledgements wait before the rest is seen there.
    for (let ack = 0; ack < 1000; ack++) {
      const segment = { id: 102 + ack, sequence: 1001, acknowledgement: 9001 - ack, flags: flag.ack };
      bench.see(
        "client:eth0",
        2.1e6 + ack * 100,
        tcp({
          ...wire,
          ...segment,
          source: "203.0.113.2",
          sourcePort: 40000,
          destination: "203.0.113.1",
          destinationPort: 8080,
          ttl: 64,
        }),
      );
    }
    divided("client:eth0", 2.3e6, 10 - missing);
    bench.end();
    const sent = bench.packets.filter((packet) => packet.summary === "ACK 10000 B");
    t.is(sent.length, 1);
    t.is(sent[0]!.sightings.length, 23 - missing);
    t.deepEqual(
      sent[0]!.verdict,
      missing === 0 ? { kind: "delivered" } : { kind: "dropped", after: "host:eth0", before: "client:eth0" },
    );
  }
});

test("a large datagram that is cut by UDP segmentation offload stays one packet", (t) => {
  for (const sizes of [
    [1400, 1400, 1200],
    [1400, 1400, 1400],
    [1472, 100],
    [40, ...Array<number>(60).fill(40)],
  ]) {
    const bench = new Bench();
    datagram(bench, 0.9e6, 49, [20]); // a small one first: it teaches what the masquerade makes of the tuple
    datagram(bench, 1e6, 50, sizes);
    datagram(bench, 1.1e6, 50 + sizes.length, sizes);
    bench.end();
    t.deepEqual(
      bench.packets.map(({ sightings, verdict, match }) => [sightings.length, verdict.kind, match]),
      [
        [5, "delivered", "strong"],
        [3 + 2 * sizes.length, "delivered", "strong"],
        [3 + 2 * sizes.length, "delivered", "strong"],
      ],
      sizes.join(),
    );
    const whole = sizes.reduce((sum, size) => sum + size, 0);
    t.deepEqual(
      bench.packets[1]!.rewrites.filter(({ kind }) => kind === "segmentation"),
      [
        {
          kind: "segmentation",
          between: ["host:yapc0", "host:eth0"],
          from: `${whole} B`,
          to: `${sizes.length} × ${sizes[0]} B`,
        },
      ],
    );
    t.deepEqual(replay(bench), bench.events);
  }
});

test("datagrams that are merged on the way (GRO) are each whole at the end", (t) => {
  const bench = new Bench();
  const ends = { source: "10.0.0.10", sourcePort: 5000, destination: "10.0.0.1", destinationPort: 53 };
  const lan = { sourceMac: macs.web, destinationMac: macs.bridge };
  const sizes = [1472, 1472, 100];
  for (const [index, hop] of ["web:eth0", "host:vethweb", "host:yapc0"].entries())
    bench.see(hop, 9e5 + index * 1000, udp({ ...ends, ...lan, id: 49, payload: new Uint8Array(20) }));
  for (const start of [0, 1]) {
    const payload = Uint8Array.from({ length: 3044 }, (_, at) => (at * 7 + start) & 255);
    const time = 1e6 + start * 5e4;
    for (const [number, size] of sizes.entries()) {
      const part = payload.subarray(number * 1472, number * 1472 + size);
      bench.see("web:eth0", time + number * 100, udp({ ...ends, ...lan, id: 50 + start * 3 + number, payload: part }));
    }
    for (const [index, hop] of ["host:vethweb", "host:yapc0"].entries())
      bench.see(hop, time + 2000 + index * 1000, udp({ ...ends, ...lan, id: 50 + start * 3, payload }));
  }
  bench.end();
  t.deepEqual(
    bench.packets.map(({ sightings, verdict }) => [sightings.map(({ hop }) => hop), verdict.kind]),
    Array.from({ length: 7 }, () => [["web:eth0", "host:vethweb", "host:yapc0"], "delivered"]),
  );
});

test("neighbouring datagrams that a frame has room for are no segments of each other", (t) => {
  const bench = new Bench();
  const ends = { source: "203.0.113.2", sourcePort: 5000, destination: "203.0.113.1", destinationPort: 53 };
  const wire = { sourceMac: macs.client, destinationMac: macs.host };
  const datagrams = [1400, 700].map((size, index) =>
    udp({ ...ends, ...wire, id: 50 + index, payload: new Uint8Array(size).fill(index) }),
  );
  bench.see("client:eth0", 1e6, datagrams[0]!);
  // The tap at the client missed the second one.
  bench.see("host:eth0", 1.1e6, datagrams[1]!);
  bench.end();
  t.is(bench.packets.length, 2);
});
