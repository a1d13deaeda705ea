/**
 * Both directions of an exchange, on the snapshot of docker-bridge.ts and on what can go wrong with it.
 *
 *   client 203.0.113.2 ── host 203.0.113.1, :8080 -> web:80 ── yapc0 10.0.0.1 ── web 10.0.0.10 (tcp 80)
 */
import test from "ava";
import { parseAddress } from "../../src/model/address.js";
import type { NftChain, NftRule, NftStatement, NftTable } from "../../src/model/nft.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import { type ExchangeStart, type PredictedExchange, predictExchange } from "../../src/path/exchange.js";
import { narrate } from "../../src/path/narrate.js";
import { changed } from "./changed.js";
import { at, dockerBridge, filter, iface, macs, nat, node, port, route } from "./docker-bridge.js";

function start(from: string, to: string, number?: number, more: Partial<ExchangeStart> = {}): ExchangeStart {
  const destination = parseAddress(to)!;
  const to_ = number === undefined ? { protocol: "icmp" as const } : { protocol: "tcp" as const, port: number };
  return { node: from, destination, ...to_, ...more };
}

/** `answered`, or the verdict with its reason. */
function verdict({ verdict: word, reason }: PredictedExchange): string {
  return reason === undefined ? word : `${word}: ${reason}`;
}

const asked = (snapshot: Snapshot, ...rest: Parameters<typeof start>): string =>
  verdict(predictExchange(snapshot, start(...rest)));

const match = (field: Extract<NftStatement, { kind: "match" }>["field"], value: string | number): NftStatement => ({
  kind: "match",
  field,
  op: "==",
  value,
});

function chain(
  hook: "prerouting" | "input" | "forward" | "output" | "postrouting",
  rules: readonly (readonly NftStatement[])[],
  more: Partial<NonNullable<NftChain["hook"]>> = {},
): NftChain {
  return {
    name: hook,
    hook: { type: "filter", hook, priority: 0, policy: "accept", ...more },
    rules: rules.map((statements, index): NftRule => ({ handle: index + 1, statements })),
  };
}

const table = (...chains: readonly NftChain[]): NftTable => ({ family: "inet", name: "t", chains });
const withTables = (name: string, ...tables: readonly NftTable[]): Snapshot =>
  changed(dockerBridge, name, ({ nftables }) => ({ nftables: [...nftables, ...tables] }));

test("a published port is answered, and conntrack changes the answer back", (t) => {
  const predicted = predictExchange(dockerBridge, start("client", "203.0.113.1", 8080));
  t.is(verdict(predicted), "answered");
  t.deepEqual(predicted.doubts, []);
  const { ways } = narrate(dockerBridge, start("client", "203.0.113.1", 8080), predicted);
  const last = ways[1]?.trail.findLast((step) => step.type === "hop");
  t.like(last, { hop: "client:eth0", source: "203.0.113.1", sourcePort: 8080, destination: "203.0.113.2" });
});

test("the container's own network asks by the public address: only with a masquerade does the answer come from there", (t) => {
  const inner = node("db", [
    iface("eth0", 2, "veth", {
      mac: "02:00:00:00:03:01",
      peer: { node: "host", interface: "vethdb" },
      addresses: [at("10.0.0.11", 24)],
    }),
  ]);
  const snapshot = changed(
    {
      ...dockerBridge,
      nodes: [
        ...dockerBridge.nodes,
        { ...inner, routes: [route("10.0.0.0/24", "eth0"), route("0.0.0.0/0", "eth0", "10.0.0.1")] },
      ],
    },
    "host",
    ({ interfaces }) => ({
      interfaces: [
        ...interfaces,
        iface("vethdb", 5, "veth", {
          mac: "02:00:00:00:03:02",
          peer: { node: "db", interface: "eth0" },
          master: "yapc0",
          port: port(),
        }),
      ],
    }),
  );
  t.is(
    asked(snapshot, "db", "203.0.113.1", 8080),
    "unanswered: the answer comes from 10.0.0.10:80, and 203.0.113.1:8080 was asked: db does not take it",
  );
  const hairpin = chain("postrouting", [[match("ct status", "dnat"), { kind: "masquerade" }]], {
    type: "nat",
    priority: 100,
  });
  const mended = changed(snapshot, "host", ({ nftables }) => ({ nftables: [...nftables, table(hairpin)] }));
  t.is(asked(mended, "db", "203.0.113.1", 8080), "answered");
});

test("who does not listen refuses; where the request cannot come, the router says why", (t) => {
  t.is(
    asked(dockerBridge, "client", "10.0.0.10", 443),
    "refused: by web: RST, because nobody listens on tcp port 443 in web",
  );
  t.is(
    asked(dockerBridge, "client", "198.51.100.7", 80),
    "refused: by host: ICMP network unreachable, because host has no route to 198.51.100.7",
  );
  t.is(
    asked(dockerBridge, "client", "10.0.0.99"),
    "refused: by host: ICMP host unreachable, because nobody on host:yapc0 answers for 10.0.0.99",
  );
  const only = changed(dockerBridge, "web", () => ({
    listeners: [{ protocol: "tcp", family: 4, address: "127.0.0.1", port: 80 }],
  }));
  t.is(
    asked(only, "client", "203.0.113.1", 8080),
    "refused: by web: RST, because tcp port 80 is served in web on 127.0.0.1 only, not on this address",
  );
});

test("a container without a default route takes the request, and its answer has no way back", (t) => {
  const lonely = changed(dockerBridge, "web", () => ({ routes: [route("10.0.0.0/24", "eth0")] }));
  t.is(
    asked(lonely, "client", "203.0.113.1", 8080),
    "unanswered: the answer is dropped in web: web has no route to 203.0.113.2",
  );
  t.is(asked(lonely, "web", "203.0.113.2", 80), "unsent: web has no route to 203.0.113.2");
});

test("what leaves the snapshot is followed to its edge, with the address that it leaves with", (t) => {
  const alone = { ...dockerBridge, nodes: dockerBridge.nodes.filter(({ name }) => name !== "client") };
  const host = changed(alone, "host", ({ interfaces, routes }) => ({
    interfaces: interfaces.map((one) =>
      one.name === "eth0" ? iface("eth0", 2, "physical", { addresses: one.addresses }) : one,
    ),
    routes: [...routes, route("0.0.0.0/0", "eth0", "203.0.113.254")],
  }));
  const predicted = predictExchange(host, start("web", "192.0.2.1", 443));
  t.is(verdict(predicted), "unknown: it leaves the snapshot at host:eth0, and what is behind that is not known");
  const { ways } = narrate(host, start("web", "192.0.2.1", 443), predicted);
  t.like(ways[0]?.trail.at(-1), { hop: "host:eth0", source: "203.0.113.1", destination: "192.0.2.1" });
  // And the other way: a packet from outside, whose answer leaves where it came in.
  const outside = { interface: "eth0", source: parseAddress("198.51.100.7")! };
  t.is(asked(host, "host", "203.0.113.1", 8080, outside), "answered");
});

test("a way back that leads elsewhere: strict reverse path filtering drops the request", (t) => {
  const strict = changed(dockerBridge, "host", ({ sysctls, routes }) => ({
    sysctls: { ...sysctls, "net.ipv4.conf.all.rp_filter": "1" },
    routes: [...routes, route("203.0.113.2/32", "yapc0")],
  }));
  t.is(
    asked(strict, "client", "203.0.113.1", 8080),
    "dropped: rp_filter is 1 in host and the route back to 203.0.113.2 leads out of yapc0",
  );
});

test("hooks by priority: raw sees the port before DNAT, filter the one behind it; before conntrack all is invalid", (t) => {
  const raw = { priority: -300 };
  const drop = (value: number): NftStatement[] => [match("th dport", value), { kind: "drop" }];
  t.regex(
    asked(withTables("host", table(chain("prerouting", [drop(8080)], raw))), "client", "203.0.113.1", 8080),
    /^dropped: /,
  );
  t.is(
    asked(withTables("host", table(chain("prerouting", [drop(80)], raw))), "client", "203.0.113.1", 8080),
    "answered",
  );
  t.regex(
    asked(withTables("host", table(chain("prerouting", [drop(80)]))), "client", "203.0.113.1", 8080),
    /^dropped: /,
  );
  const invalid = [[match("ct state", "invalid"), { kind: "drop" } as const]];
  t.regex(
    asked(withTables("host", table(chain("prerouting", invalid, raw))), "client", "203.0.113.1", 8080),
    /^dropped: /,
  );
  t.is(asked(withTables("host", table(chain("prerouting", invalid))), "client", "203.0.113.1", 8080), "answered");
});

test("a stateful firewall lets answers through, and only those", (t) => {
  const stateful = (...rules: NftStatement[][]): Snapshot =>
    withTables(
      "web",
      table(
        chain("input", rules, { policy: "drop" }),
        chain("output", [[match("ct state", "established"), { kind: "accept" }]], { policy: "drop" }),
      ),
    );
  const open = [match("ct state", "new"), match("th dport", 80), { kind: "accept" } as const];
  t.is(asked(stateful(open), "client", "203.0.113.1", 8080), "answered");
  t.is(asked(stateful(), "client", "203.0.113.1", 8080), "dropped: nft policy drop (inet t, input)");
  t.is(asked(stateful(open), "web", "203.0.113.2", 80), "unsent: nft policy drop (inet t, output)");
});

test("jump, goto and return: a chain that is gone to does not come back", (t) => {
  const other: NftChain = {
    name: "other",
    rules: [{ handle: 9, statements: [match("th dport", 9999), { kind: "drop" }] }],
  };
  const by = (kind: "jump" | "goto"): Snapshot =>
    withTables("host", {
      ...table(chain("forward", [[{ kind, chain: "other" }], [{ kind: "drop" }]])),
      chains: [...table(chain("forward", [[{ kind, chain: "other" }], [{ kind: "drop" }]])).chains, other],
    });
  t.regex(asked(by("jump"), "client", "203.0.113.1", 8080), /^dropped: nft rule 'drop' /);
  t.is(asked(by("goto"), "client", "203.0.113.1", 8080), "answered");
});

test("a rule that cannot be judged leaves the verdict open, unless it changes nothing; a rate limit is an assumption", (t) => {
  const unread: NftStatement = { kind: "unknown", name: "match", text: 'xt match "recent"' };
  const explained = (...rules: NftStatement[][]) => {
    const snapshot = withTables("host", table(chain("forward", rules)));
    const request = start("client", "203.0.113.1", 8080);
    return narrate(snapshot, request, predictExchange(snapshot, request));
  };
  const open = explained([unread, { kind: "drop" }]);
  t.like(open, { verdict: "unknown", otherwise: "answered" });
  t.deepEqual(open.unknowns, [
    `host: nft rule 'xt match "recent" drop' (inet t, forward, handle 1): 'xt match "recent"' cannot be judged`,
  ]);
  t.like(explained([unread, { kind: "accept" }]), { verdict: "answered", unknowns: [] });
  t.like(explained([match("th dport", 9), unread, { kind: "drop" }]), { verdict: "answered", unknowns: [] });
  const limited = explained([{ kind: "limit", rate: 5, per: "second" }, { kind: "accept" }], [{ kind: "drop" }]);
  t.like(limited, { verdict: "answered", unknowns: [] });
  t.deepEqual(limited.assumptions, [
    "host: limit rate 5/second of nft rule 'limit rate 5/second accept' (inet t, forward, handle 1) is not exceeded",
  ]);
  const logged = explained([{ kind: "limit", rate: 5, per: "second" }, { kind: "log" }]);
  t.like(logged, { verdict: "answered", assumptions: [] });
});

test("a refusal must find its way back, too", (t) => {
  const silent = withTables("web", table(chain("output", [[match("tcp flags", "rst"), { kind: "drop" }]])));
  t.regex(asked(silent, "client", "10.0.0.10", 443), /^unanswered: the refusal \(RST\) is dropped in web: nft rule /);
  const rejecting = withTables("host", table(chain("forward", [[{ kind: "reject", with: "icmpx" }]])));
  t.regex(
    asked(rejecting, "client", "203.0.113.1", 8080),
    /^refused: by host: ICMP port unreachable, because nft rule /,
  );
});

test("marks and policy rules: a table of its own for what a rule has marked", (t) => {
  const marked = changed(
    withTables(
      "host",
      table(
        chain("prerouting", [[match("iifname", "yapc0"), { kind: "meta set", key: "mark", value: 7 }]], {
          priority: -150,
        }),
      ),
    ),
    "host",
    ({ routes }) => ({
      rules: [
        { family: 4, priority: 0, action: "lookup", table: 255 },
        { family: 4, priority: 100, mark: 7, action: "lookup", table: 100 },
        { family: 4, priority: 32766, action: "lookup", table: 254 },
      ],
      routes: [...routes, route("0.0.0.0/0", "eth0", undefined, { table: 100, type: "prohibit", nexthops: [] })],
    }),
  );
  t.is(
    asked(marked, "web", "203.0.113.2", 80),
    "refused: by host: ICMP administratively prohibited, because route prohibit 0.0.0.0/0 in host",
  );
});

test("IPv6: a firewall that forgets neighbour discovery cuts the node off", (t) => {
  const filtered = withTables(
    "web",
    table(chain("input", [[match("l4proto", 6), { kind: "accept" }]], { policy: "drop" })),
  );
  t.regex(
    asked(filtered, "client", "fd00:10::10", 80),
    /nobody on host:yapc0 answers for fd00:10::10: nft policy drop \(inet t, input\) of web stops neighbour discovery$/,
  );
  t.is(macs.web, "02:00:00:00:02:03");
  const entry = (address: string, mac: string, name: string) =>
    ({ family: 6, address, mac, interface: name, state: "reachable" }) as const;
  const half = changed(filtered, "host", () => ({ neighbours: [entry("fd00:10::10", macs.web, "yapc0")] }));
  t.regex(
    asked(half, "client", "fd00:10::10", 80),
    /^unanswered: the refusal \(RST\) is dropped in web: nobody on web:eth0/,
  );
  const known = changed(half, "web", () => ({ neighbours: [entry("fd00:10::1", macs.bridge, "eth0")] }));
  t.regex(asked(known, "client", "fd00:10::10", 80), /^refused: by web: RST/);
});

test("a permanent neighbour with the wrong address, and two that answer for one", (t) => {
  const wrong = changed(dockerBridge, "host", () => ({
    neighbours: [{ family: 4, address: "10.0.0.10", mac: "02:00:00:00:00:99", interface: "yapc0", state: "permanent" }],
  }));
  t.is(
    asked(wrong, "client", "203.0.113.1", 8080),
    "dropped: the permanent neighbour 10.0.0.10 of host:yapc0 is 02:00:00:00:00:99, which nobody has",
  );
});

test("the same tables in another order of priority decide otherwise: nat chains keep their own place", (t) => {
  const late = {
    ...nat,
    chains: nat.chains.map((one) => ({ ...one, hook: { ...one.hook!, priority: one.hook!.priority + 500 } })),
  };
  const snapshot = changed(dockerBridge, "host", () => ({
    nftables: [late, filter, table(chain("prerouting", [[match("th dport", 8080), { kind: "drop" }]]))],
  }));
  // NAT is done at -100 whatever the chain says, so the filter at 0 sees port 80.
  t.is(asked(snapshot, "client", "203.0.113.1", 8080), "answered");
});

test("over a macvlan, a vlan or a vxlan no way is followed, and it says so", (t) => {
  const explained = (snapshot: Snapshot, from: string, to: string) => {
    const request = start(from, to, 80);
    return narrate(snapshot, request, predictExchange(snapshot, request));
  };
  const parent = { node: "host", interface: "eth1" };
  const macvlan = changed(dockerBridge, "client", () => ({
    interfaces: [
      iface("eth0", 2, "macvlan", {
        ...{ addresses: [at("203.0.113.2", 24)], mac: macs.client, parent },
        device: { kind: "macvlan", mode: "bridge" },
      }),
    ],
  }));
  const lost = explained(macvlan, "client", "203.0.113.9");
  t.is(lost.verdict, "unknown");
  t.is(lost.ways[0]?.end.kind, "unknown");
  t.deepEqual(lost.unknowns, [
    "client: client:eth0 is a macvlan (mode bridge) on host:eth1, and the way over it is not followed",
  ]);

  const overlay = (...others: readonly ReturnType<typeof iface>[]): Snapshot =>
    changed(dockerBridge, "host", ({ interfaces }) => ({
      interfaces: [
        ...interfaces,
        iface("vx0", 90, "vxlan", {
          ...{ master: "yapc0", port: port(), beyond: 0 },
          device: { kind: "vxlan", id: 42, port: 4789, remote: "192.0.2.7" },
        }),
        ...others,
      ],
    }));
  const words =
    "host:vx0 is a vxlan (id 42, UDP port 4789, to 192.0.2.7) on an interface of a namespace that is not in the snapshot, " +
    "and the way over it is not followed";
  const behind = explained(overlay(), "web", "10.0.0.99");
  t.is(behind.ways[0]?.end.kind, "unknown");
  t.deepEqual(behind.unknowns, [`web: ${words}`]);
  const either = explained(
    overlay(iface("eth1", 91, "physical", { master: "yapc0", port: port() })),
    "web",
    "10.0.0.99",
  );
  t.is(either.ways[0]?.end.kind, "outside", "it may be behind the cable, too");
  t.deepEqual(either.unknowns, [`web: ${words}`]);
  t.is(explained(overlay(), "client", "10.0.0.10").verdict, "answered", "who is in the snapshot is found in it");
});

test("rules that the snapshot does not have leave open what becomes of a packet that meets them", (t) => {
  const text = "tables of iptables-legacy (filter), which are not read";
  const explained = (node: string) => {
    const snapshot: Snapshot = { ...dockerBridge, unread: [{ what: "rules", node, text }] };
    const request = start("web", "10.0.0.1");
    return narrate(snapshot, request, predictExchange(snapshot, request));
  };
  t.like(explained("host"), { verdict: "unknown", otherwise: "answered", unknowns: [`host: ${text}`] });
  t.like(explained("client"), { verdict: "answered", unknowns: [] });
});
