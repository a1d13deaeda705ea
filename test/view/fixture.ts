/**
 * A trace of the docker-bridge lab, made by hand: a request through DNAT from SYN to FIN, a SYN that the firewall
 * drops with its retransmits, an ARP, a packet nobody can say anything about.
 *
 *   client:eth0 ── host:eth0 [DNAT 8080 -> 10.0.0.10:80] host:yapc0 ── host:vethweb ── web:eth0
 */
import type {
  LogEvent,
  PacketEvent,
  Rewrite,
  Sighting,
  TraceEvent,
  TraceStarted,
  Verdict,
} from "../../src/model/trace.js";
import { GapTimes } from "../../src/view/gap-times.js";

const hops = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"] as const;
const macs = ["02:00:00:00:00:02", "02:00:00:00:00:01", "02:00:00:00:0a:01", "02:00:00:00:0a:ff", "02:00:00:00:0a:0a"];

export const started: TraceStarted = {
  type: "trace",
  version: 1,
  lab: "docker-bridge",
  epoch: "1764380335000000000",
  hops: hops.map((name, index) => {
    const [node = "", iface = ""] = name.split(":");
    return {
      node,
      interface: iface,
      index: index + 2,
      kind: name === "host:yapc0" ? "bridge" : "veth",
      mac: macs[index] ?? "",
    };
  }),
  filter: { ports: [80], hosts: [], protocols: [] },
};

const records = new Map<string, number>();
function sighting(hop: string, time: number, length: number, outside: boolean, reply: boolean, port: number): Sighting {
  const record = records.get(hop) ?? 0;
  records.set(hop, record + 1);
  const client = { address: "203.0.113.2", port: port === 8080 ? 43210 : 43214 };
  const server = outside ? { address: "203.0.113.1", port } : { address: "10.0.0.10", port: port === 8080 ? 80 : 81 };
  const [source, destination] = reply ? [server, client] : [client, server];
  return {
    hop,
    time,
    record,
    length,
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: destination.port,
    ttl: outside === reply ? 63 : 64,
  };
}

let next = 1;

/** A packet of the exchange on port 8080 over all five hops. @param gaps nanoseconds between them */
function walk(
  time: number,
  direction: PacketEvent["direction"],
  summary: string,
  length: number,
  gaps: readonly [number, number, number, number],
): PacketEvent {
  const reply = direction === "reply";
  const way = reply ? [...hops].reverse() : hops;
  let at = time;
  const sightings = way.map((hop, index) => {
    at += index === 0 ? 0 : (gaps[index - 1] ?? 0);
    return sighting(hop, at, length, hop === "client:eth0" || hop === "host:eth0", reply, 8080);
  });
  const between: [string, string] = reply ? ["host:yapc0", "host:eth0"] : ["host:eth0", "host:yapc0"];
  const rewrites: Rewrite[] = [
    reply
      ? { kind: "snat", between, from: "10.0.0.10:80", to: "203.0.113.1:8080" }
      : { kind: "dnat", between, from: "203.0.113.1:8080", to: "10.0.0.10:80" },
    { kind: "ttl", between, from: "64", to: "63" },
    { kind: "mac", between, from: macs[0] ?? "", to: macs[2] ?? "" },
  ];
  return {
    type: "packet",
    id: next++,
    exchange: 1,
    direction,
    time,
    protocol: "tcp",
    summary,
    sightings,
    rewrites,
    implied: [],
    match: "exact",
    verdict: { kind: "delivered" },
  };
}

const nftDrop: Verdict = {
  kind: "dropped",
  after: "host:eth0",
  before: "host:yapc0",
  cause: {
    code: "nft-drop",
    text: "nft rule 'no 81' (inet yapc_filter, forward, handle 7)",
    evidence: [
      { source: "nft-trace", strength: "proof", text: "rule handle 7 of inet yapc_filter forward: drop" },
      { source: "kfree-skb", strength: "sign", text: "NETFILTER_DROP in nft_do_chain" },
    ],
  },
};

function dropped(time: number): PacketEvent {
  return {
    type: "packet",
    id: next++,
    exchange: 2,
    direction: "request",
    time,
    protocol: "tcp",
    summary: "SYN",
    sightings: [
      sighting("client:eth0", time, 74, true, false, 8081),
      sighting("host:eth0", time + 3_300, 74, true, false, 8081),
    ],
    rewrites: [],
    implied: [],
    match: "strong",
    verdict: nftDrop,
  };
}

export const arp: PacketEvent = {
  type: "packet",
  id: next++,
  exchange: 3,
  direction: "request",
  time: 0,
  protocol: "arp",
  summary: "who-has 10.0.0.10",
  sightings: [
    {
      hop: "host:vethweb",
      time: 0,
      record: records.get("host:vethweb") ?? 0,
      length: 42,
      source: "10.0.0.1",
      destination: "10.0.0.10",
    },
    {
      hop: "web:eth0",
      time: 1_700,
      record: records.get("web:eth0") ?? 0,
      length: 42,
      source: "10.0.0.1",
      destination: "10.0.0.10",
    },
  ],
  rewrites: [],
  implied: [],
  match: "exact",
  verdict: { kind: "delivered" },
};
records.set("host:vethweb", 1);
records.set("web:eth0", 1);

export const exchangeOne: PacketEvent[] = [
  walk(52_000, "request", "SYN", 74, [3_000, 4_100, 1_900, 1_800]),
  walk(71_400, "reply", "SYN ACK", 74, [2_100, 1_700, 3_600, 2_900]),
  walk(93_900, "request", "ACK", 66, [2_200, 3_300, 1_500, 1_400]),
  walk(131_000, "request", "PSH ACK 81 B", 147, [2_600, 3_500, 1_600, 1_500]),
  walk(148_200, "reply", "ACK", 66, [1_900, 1_500, 2_800, 2_400]),
  walk(1_912_000, "reply", "PSH ACK 241 B", 307, [2_300, 1_900, 3_700, 3_100]),
  walk(1_915_300, "reply", "FIN ACK", 66, [2_000, 0, 2_900, 2_500]),
  walk(1_961_800, "request", "FIN ACK", 66, [2_400, 3_400, 1_700, 1_500]),
  walk(1_979_600, "reply", "ACK", 66, [1_800, 1_500, 2_700, 2_300]),
];

export const exchangeTwo: PacketEvent[] = [dropped(12_400_000), dropped(1_020_700_000), dropped(3_036_900_000)];

export const lost: PacketEvent = {
  type: "packet",
  id: next++,
  exchange: 4,
  direction: "request",
  time: 3_100_000_000,
  protocol: "udp",
  summary: "12 B",
  sightings: [
    {
      hop: "client:eth0",
      time: 3_100_000_000,
      record: records.get("client:eth0") ?? 0,
      length: 54,
      source: "203.0.113.2",
      destination: "203.0.113.1",
      sourcePort: 40000,
      destinationPort: 80,
      ttl: 64,
    },
  ],
  rewrites: [],
  implied: [],
  match: "single",
  verdict: { kind: "unknown", reason: "the tap at host:eth0 lost 3 records at that time" },
};

/** Two containers on one bridge: the bridge passes the frame on unseen. Not part of `events`. */
export const bridged: PacketEvent = {
  type: "packet",
  id: 1,
  exchange: 1,
  direction: "request",
  time: 0,
  protocol: "icmp",
  summary: "echo request 1",
  sightings: [
    { hop: "a:eth0", time: 0, record: 0, length: 98, source: "10.0.0.10", destination: "10.0.0.11", ttl: 64 },
    { hop: "host:vetha", time: 1_800, record: 0, length: 98, source: "10.0.0.10", destination: "10.0.0.11", ttl: 64 },
    { hop: "host:vethb", time: 5_200, record: 0, length: 98, source: "10.0.0.10", destination: "10.0.0.11", ttl: 64 },
    { hop: "b:eth0", time: 6_900, record: 0, length: 98, source: "10.0.0.10", destination: "10.0.0.11", ttl: 64 },
  ],
  rewrites: [],
  implied: [{ hop: "host:yapc0", after: "host:vetha" }],
  match: "ambiguous",
  verdict: { kind: "delivered" },
};

const packets = [arp, ...exchangeOne, ...exchangeTwo, lost];

const gapTimes = new GapTimes();
for (const packet of packets) gapTimes.push(packet);
const times = gapTimes.list(hops);

/** In the order of a live run: the provisional form of a packet comes before its closed one. */
export const events: TraceEvent[] = [
  started,
  ...packets.flatMap((packet): TraceEvent[] =>
    packet.id === 2
      ? [{ ...packet, provisional: true, sightings: packet.sightings.slice(0, 2), rewrites: [] }, packet]
      : [packet],
  ),
  {
    type: "exchange",
    id: 1,
    protocol: "tcp",
    client: "203.0.113.2:43210",
    server: "203.0.113.1:8080",
    translated: { client: "203.0.113.2:43210", server: "10.0.0.10:80" },
    packets: 9,
    verdict: "answered",
    start: 52_000,
    end: 1_987_900,
  },
  {
    type: "exchange",
    id: 2,
    protocol: "tcp",
    client: "203.0.113.2:43214",
    server: "203.0.113.1:8081",
    packets: 3,
    verdict: "unanswered",
    reason: "its request was dropped between host:eth0 and host:yapc0",
    start: 12_400_000,
    end: 3_036_903_300,
  },
  {
    type: "exchange",
    id: 3,
    protocol: "arp",
    client: "10.0.0.1",
    server: "10.0.0.10",
    packets: 1,
    verdict: "unanswered",
    start: 0,
    end: 1_700,
  },
  {
    type: "exchange",
    id: 4,
    protocol: "udp",
    client: "203.0.113.2:40000",
    server: "203.0.113.1:80",
    packets: 1,
    verdict: "unknown",
    start: 3_100_000_000,
    end: 3_100_000_000,
  },
  ...hops.map((hop): TraceEvent => ({
    type: "hop",
    hop,
    seen: records.get(hop) ?? 0,
    dropped: hop === "host:eth0" ? 3 : 0,
    missing: packets.filter(({ verdict }) => verdict.kind === "dropped" && verdict.before === hop).length,
    next: times.flatMap(({ from, to, ...durations }) => (from === hop ? [{ hop: to, ...durations }] : [])),
  })),
  {
    type: "end",
    time: 3_200_000_000,
    packets: packets.length,
    exchanges: 4,
    matches: { exact: 10, strong: 3, ordered: 0, ambiguous: 0, single: 1 },
    verdicts: { delivered: 10, refused: 0, dropped: 3, unknown: 1 },
    evicted: 0,
  },
];

export const logged: LogEvent = {
  type: "log",
  node: "web",
  time: 1_905_000,
  stream: "stdout",
  text: '203.0.113.2 "GET /<index>.html" 200',
};

/** The same trace, with what the container wrote to its log between two packets. */
export const withLog: readonly TraceEvent[] = events.flatMap((event) =>
  event.type === "packet" && event.id === 7 ? [logged, event] : [event],
);
