import test from "ava";
import { icmpTypes } from "../../src/model/icmp.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import type { Header } from "../../src/path/header.js";
import { predict } from "../../src/path/predict.js";
import type { Prediction } from "../../src/path/prediction.js";
import { formatAddress, parseAddress } from "../../src/model/address.js";
import { changed } from "./changed.js";
import { at, bridge, dockerBridge, iface, node, port, route } from "./docker-bridge.js";

function header(source: string, destination: string, more: Partial<Header> = {}): Header {
  const from = parseAddress(source)!;
  const to = parseAddress(destination)!;
  return {
    family: from.family,
    protocol: 6,
    source: from,
    destination: to,
    sourcePort: 40000,
    destinationPort: 80,
    ttl: 64,
    ...more,
  };
}

function steps(prediction: Prediction): string[] {
  return prediction.steps.map((step) => (step.implied ? `(${step.hop})` : step.hop));
}

/** What decided in a node, but for links. */
function decisions(prediction: Prediction, node: string): string[] {
  return prediction.trail.flatMap((one) =>
    one.kind === "decision" && one.node === node && one.stage !== "link" ? [`${one.stage} ${one.by}: ${one.text}`] : [],
  );
}

const published = header("203.0.113.2", "203.0.113.1", { destinationPort: 8080 });

test("a published port: DNAT, bridge, delivery in the container", (t) => {
  const prediction = predict(dockerBridge, { node: "client", header: published });
  t.deepEqual(steps(prediction), ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"]);
  t.like(prediction.end, { kind: "delivered", node: "web" });
  const last = prediction.steps.at(-1)!.header;
  t.is(`${formatAddress(last.destination)}:${last.destinationPort}, ttl ${last.ttl}`, "10.0.0.10:80, ttl 63");
  t.deepEqual(decisions(prediction, "host"), [
    "prerouting dnat: destination 203.0.113.1:8080 becomes 10.0.0.10:80: nft rule 'fib daddr type local l4proto 6 " +
      "th dport 8080 dnat to 10.0.0.10:80' (inet yapc_nat, prerouting, handle 2)",
    "routing route: route 10.0.0.0/24 dev yapc0",
    "forward nft-policy: nft policy accept (inet yapc_filter, forward)",
    "neighbour neighbour: neighbour 10.0.0.10 by ARP: web:eth0 answers (02:00:00:00:02:03)",
    "bridge fdb: no FDB entry of yapc0 for 02:00:00:00:02:03: flooded, port vethweb leads to it",
  ]);
});

test("out through masquerade: the source becomes the machine's", (t) => {
  const prediction = predict(dockerBridge, { node: "web", header: header("10.0.0.10", "203.0.113.2") });
  t.deepEqual(steps(prediction), ["web:eth0", "host:vethweb", "host:yapc0", "host:eth0", "client:eth0"]);
  t.is(formatAddress(prediction.steps.at(-1)!.header.source), "203.0.113.1");
});

test("an answer goes back by conntrack, which undoes DNAT", (t) => {
  const tuple = {
    protocol: 6,
    source: "203.0.113.2",
    sourcePort: 40000,
    destination: "203.0.113.1",
    destinationPort: 8080,
  };
  const reply = {
    protocol: 6,
    source: "10.0.0.10",
    sourcePort: 80,
    destination: "203.0.113.2",
    destinationPort: 40000,
  };
  const snapshot = changed(dockerBridge, "host", () => ({
    conntrack: [{ id: 1, zone: 0, family: 4, original: tuple, reply, status: 2 }],
  }));
  const answer = header("10.0.0.10", "203.0.113.2", { sourcePort: 80, destinationPort: 40000 });
  const last = predict(snapshot, { node: "web", header: answer }).steps.at(-1)!;
  t.is(last.hop, "client:eth0");
  t.is(`${formatAddress(last.header.source)}:${last.header.sourcePort}`, "203.0.113.1:8080");
});

test("a rule that drops is quoted; past it the way goes on", (t) => {
  const start = { node: "client", header: { ...published, destinationPort: 8081 } };
  const prediction = predict(dockerBridge, start);
  t.deepEqual(steps(prediction), ["client:eth0", "host:eth0"]);
  t.is(
    prediction.end.kind === "dropped" && prediction.end.cause.text,
    "nft rule 'no 81' (inet yapc_filter, forward, handle 7)",
  );
  t.is(steps(predict(dockerBridge, { ...start, pastRules: true })).at(-1), "web:eth0");
});

test("a rule by an ICMP type is judged by every word that nft has for one", (t) => {
  const ping = header("203.0.113.2", "10.0.0.10", { protocol: 1 });
  const filtered = (word: string): Snapshot =>
    changed(dockerBridge, "host", () => ({
      nftables: [
        {
          family: "inet",
          name: "filter",
          chains: [
            {
              name: "forward",
              hook: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
              rules: [
                {
                  handle: 3,
                  statements: [{ kind: "match", field: "icmp type", op: "==", value: word }, { kind: "drop" }],
                },
              ],
            },
          ],
        },
      ],
    }));
  for (const [word, icmpType] of Object.entries(icmpTypes)) {
    const start = { node: "client", header: { ...ping, icmpType } };
    t.is(predict(filtered(word), start).end.kind, "dropped", word);
  }
  t.is(predict(filtered("redirect"), { node: "client", header: { ...ping, icmpType: 8 } }).end.kind, "delivered");
});

const causes: readonly [string, string, Snapshot, Header][] = [
  [
    "forwarding-off",
    "net.ipv4.ip_forward is 0 in host",
    changed(dockerBridge, "host", () => ({ sysctls: { "net.ipv4.ip_forward": "0" } })),
    published,
  ],
  ["no-route", "host has no route to 198.51.100.7", dockerBridge, header("203.0.113.2", "198.51.100.7")],
  ["no-neighbour", "nobody on host:yapc0 answers for 10.0.0.99", dockerBridge, header("203.0.113.2", "10.0.0.99")],
  ["ttl-expired", "the TTL is used up in host", dockerBridge, { ...published, ttl: 1 }],
  [
    "link-down",
    "port host:vethweb is down",
    changed(dockerBridge, "host", (host) => ({
      interfaces: host.interfaces.map((one) => (one.name === "vethweb" ? { ...one, up: false } : one)),
    })),
    published,
  ],
  [
    "port-state",
    "port host:vethweb is blocking",
    changed(dockerBridge, "host", (host) => ({
      interfaces: host.interfaces.map((one) =>
        one.name === "vethweb" ? { ...one, port: { ...port(), state: "blocking" as const } } : one,
      ),
    })),
    published,
  ],
  [
    "route-blackhole",
    "route blackhole 10.0.0.0/24 in host",
    changed(dockerBridge, "host", () => ({
      routes: [route("10.0.0.0/24", "yapc0", undefined, { type: "blackhole", nexthops: [] })],
    })),
    published,
  ],
  [
    "rp-filter",
    "rp_filter is 1 in host and the route back to 192.0.2.9 does not exist",
    changed(dockerBridge, "host", (host) => ({ sysctls: { ...host.sysctls, "net.ipv4.conf.all.rp_filter": "1" } })),
    { ...published, source: parseAddress("192.0.2.9")! },
  ],
  [
    "nft-policy",
    "nft policy drop (inet yapc_filter, forward)",
    changed(dockerBridge, "host", (host) => ({
      nftables: host.nftables.map((table) => ({
        ...table,
        chains: table.chains.map((chain) =>
          chain.hook?.hook === "forward"
            ? { ...chain, rules: [], hook: { ...chain.hook, policy: "drop" as const } }
            : chain,
        ),
      })),
    })),
    published,
  ],
];

for (const [code, text, snapshot, packet] of causes) {
  test(`where the way ends: ${code}`, (t) => {
    const { end } = predict(snapshot, { node: "client", header: packet });
    t.is(end.kind, "dropped");
    if (end.kind !== "dropped") return;
    t.deepEqual(end.cause, { code, text, evidence: [{ source: "configuration", strength: "sign", text }] });
    t.is(end.node, "host");
  });
}

test("a node without a route sends nothing", (t) => {
  const snapshot = changed(dockerBridge, "web", () => ({ routes: [route("10.0.0.0/24", "eth0")] }));
  const prediction = predict(snapshot, { node: "web", header: header("10.0.0.10", "203.0.113.2") });
  t.deepEqual(prediction.steps, []);
  t.is(prediction.end.kind === "dropped" && prediction.end.cause.text, "web has no route to 203.0.113.2");
});

/** Two containers on one bridge; the published port is used from inside (hairpin NAT). */
const twoContainers = changed(
  {
    ...dockerBridge,
    nodes: [
      ...dockerBridge.nodes,
      node(
        "db",
        [
          iface("eth0", 2, "veth", {
            mac: "02:00:00:00:03:01",
            peer: { node: "host", interface: "vethdb" },
            addresses: [at("10.0.0.11", 24)],
          }),
        ],
        { routes: [route("10.0.0.0/24", "eth0"), route("0.0.0.0/0", "eth0", "10.0.0.1")] },
      ),
    ],
  },
  "host",
  (host) => ({
    interfaces: [
      ...host.interfaces,
      iface("vethdb", 5, "veth", {
        mac: "02:00:00:00:03:02",
        peer: { node: "db", interface: "eth0" },
        master: "yapc0",
        port: port(),
      }),
    ],
  }),
);

test("between two ports the bridge is implied; by the published port it is seen", (t) => {
  t.deepEqual(steps(predict(twoContainers, { node: "db", header: header("10.0.0.11", "10.0.0.10") })), [
    "db:eth0",
    "host:vethdb",
    "(host:yapc0)",
    "host:vethweb",
    "web:eth0",
  ]);
  t.deepEqual(
    steps(predict(twoContainers, { node: "db", header: header("10.0.0.11", "10.0.0.1", { destinationPort: 8080 }) })),
    ["db:eth0", "host:vethdb", "host:yapc0", "host:yapc0", "host:vethweb", "web:eth0"],
  );
  // The container that publishes the port, to itself: out of the port that it came in by.
  const own = header("10.0.0.10", "10.0.0.1", { destinationPort: 8080 });
  t.deepEqual(steps(predict(twoContainers, { node: "web", header: own })), [
    "web:eth0",
    "host:vethweb",
    "host:yapc0",
    "host:yapc0",
    "host:vethweb",
    "web:eth0",
  ]);
});

test("isolated ports do not talk", (t) => {
  const snapshot = changed(twoContainers, "host", (host) => ({
    interfaces: host.interfaces.map((one) => (one.master ? { ...one, port: { ...port(), isolated: true } } : one)),
  }));
  const { end } = predict(snapshot, { node: "db", header: header("10.0.0.11", "10.0.0.10") });
  t.is(end.kind === "dropped" && end.cause.code, "port-isolated");
});

test("with br_netfilter the rules for forwarded packets are asked for bridged frames, as Docker's icc=false has it", (t) => {
  const onBridge = (field: "iifname" | "oifname") => ({ kind: "match", field, op: "==", value: "yapc0" }) as const;
  const filtered = (on: string): Snapshot =>
    changed(twoContainers, "host", (host) => ({
      sysctls: { ...host.sysctls, "net.bridge.bridge-nf-call-iptables": on },
      nftables: [
        {
          family: "ip",
          name: "filter",
          chains: [
            {
              name: "FORWARD",
              hook: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
              rules: [{ handle: 30, statements: [onBridge("iifname"), onBridge("oifname"), { kind: "drop" }] }],
            },
          ],
        },
      ],
    }));
  const start = { node: "db", header: header("10.0.0.11", "10.0.0.10") };
  t.like(predict(filtered("0"), start).end, { kind: "delivered", node: "web" });
  const { end } = predict(filtered("1"), start);
  t.is(
    end.kind === "dropped" && end.cause.text,
    "nft rule 'iifname yapc0 oifname yapc0 drop' (ip filter, FORWARD, handle 30), " +
      "asked for bridged frames because net.bridge.bridge-nf-call-iptables is 1",
  );
  t.deepEqual(steps(predict(filtered("1"), { ...start, pastRules: true })).at(-1), "web:eth0");
});

/** client ── r1 ── r2 [br-a ═ x ═ br-b] server, IPv6: routers in a chain, then two bridges one behind the other. */
const chain: Snapshot = {
  version: 1,
  takenAt: "2026-11-23T00:00:00.000Z",
  nodes: [
    node(
      "client",
      [
        iface("eth0", 2, "veth", {
          mac: "02:00:00:00:00:01",
          peer: { node: "r1", interface: "in" },
          addresses: [at("fd00:1::2", 64)],
        }),
      ],
      {
        routes: [route("fd00:1::/64", "eth0"), route("::/0", "eth0", "fd00:1::1")],
      },
    ),
    node(
      "r1",
      [
        iface("in", 2, "veth", {
          mac: "02:00:00:00:00:02",
          peer: { node: "client", interface: "eth0" },
          addresses: [at("fd00:1::1", 64)],
        }),
        iface("out", 3, "veth", {
          mac: "02:00:00:00:00:03",
          peer: { node: "r2", interface: "in" },
          addresses: [at("fd00:2::1", 64)],
        }),
      ],
      {
        routes: [route("fd00:3::/64", "out", "fd00:2::2"), route("fd00:2::/64", "out")],
        sysctls: { "net.ipv6.conf.all.forwarding": "1" },
      },
    ),
    node(
      "r2",
      [
        iface("in", 2, "veth", {
          mac: "02:00:00:00:00:04",
          peer: { node: "r1", interface: "out" },
          addresses: [at("fd00:2::2", 64)],
        }),
        iface("br-a", 3, "bridge", { mac: "02:00:00:00:00:05", bridge: bridge(), addresses: [at("fd00:3::1", 64)] }),
        iface("to-b", 4, "veth", {
          mac: "02:00:00:00:00:06",
          master: "br-a",
          port: port(),
          peer: { node: "switch", interface: "to-a" },
        }),
      ],
      {
        routes: [route("fd00:3::/64", "br-a"), route("fd00:1::/64", "in", "fd00:2::1")],
        sysctls: { "net.ipv6.conf.all.forwarding": "1" },
      },
    ),
    node("switch", [
      iface("br-b", 2, "bridge", { mac: "02:00:00:00:00:07", bridge: bridge() }),
      iface("to-a", 3, "veth", {
        mac: "02:00:00:00:00:08",
        master: "br-b",
        port: port(),
        peer: { node: "r2", interface: "to-b" },
      }),
      iface("to-s", 4, "veth", {
        mac: "02:00:00:00:00:09",
        master: "br-b",
        port: port(),
        peer: { node: "server", interface: "eth0" },
      }),
    ]),
    node("server", [
      iface("eth0", 2, "veth", {
        mac: "02:00:00:00:00:0a",
        peer: { node: "switch", interface: "to-s" },
        addresses: [at("fd00:3::9", 64)],
      }),
    ]),
  ],
};

test("routers in a chain and two bridges, IPv6", (t) => {
  const prediction = predict(chain, { node: "client", header: header("fd00:1::2", "fd00:3::9") });
  t.deepEqual(steps(prediction), [
    "client:eth0",
    "r1:in",
    "r1:out",
    "r2:in",
    "r2:br-a",
    "r2:to-b",
    "switch:to-a",
    "(switch:br-b)",
    "switch:to-s",
    "server:eth0",
  ]);
  t.is(prediction.steps.at(-1)!.header.ttl, 62);
  t.like(prediction.end, { kind: "delivered", node: "server" });
});

test("a routing loop ends when the TTL does", (t) => {
  const snapshot = changed(chain, "r2", (r2) => ({ routes: [...r2.routes, route("fd00:9::/64", "in", "fd00:2::1")] }));
  const looped = changed(snapshot, "r1", (r1) => ({
    routes: [...r1.routes, route("fd00:9::/64", "out", "fd00:2::2")],
  }));
  const { end } = predict(looped, { node: "client", header: header("fd00:1::2", "fd00:9::1") });
  t.is(end.kind === "dropped" && end.cause.code, "ttl-expired");
});

test("the way of a sighting: from a hop inwards or outwards", (t) => {
  const start = { hop: { node: "host", interface: "eth0", direction: "in" as const }, header: published };
  t.deepEqual(steps(predict(dockerBridge, start)), ["host:eth0", "host:yapc0", "host:vethweb", "web:eth0"]);
  const wrong = predict(dockerBridge, { ...start, destinationMac: "02:00:00:00:01:01" });
  t.is(wrong.end.kind === "dropped" && wrong.end.cause.code, "wrong-mac");

  // A tap on the whole node does not see whom a frame that goes out is for: routes and neighbours say it.
  const out = (node: string, device: string, header: Header): Prediction =>
    predict(dockerBridge, { hop: { node, interface: device, direction: "out" }, header });
  const inside = header("203.0.113.2", "10.0.0.10", { ttl: 63 });
  t.deepEqual(steps(out("host", "yapc0", inside)), ["host:yapc0", "host:vethweb", "web:eth0"]);
  t.is(out("host", "yapc0", inside).end.kind, "delivered");
  const nobody = out("host", "yapc0", header("203.0.113.2", "10.0.0.99", { ttl: 63 })).end;
  t.is(nobody.kind === "dropped" && nobody.cause.code, "no-neighbour");
  const answer = header("10.0.0.10", "203.0.113.2", { sourcePort: 80, destinationPort: 40000 });
  t.deepEqual(steps(out("web", "eth0", answer)).slice(0, 3), ["web:eth0", "host:vethweb", "host:yapc0"]);
});
