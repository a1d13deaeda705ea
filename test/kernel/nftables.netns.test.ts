/**
 * nf_tables against nft(8), both ways. Each rule is written by us and by nft; nft lists both alike, and we read both as
 * the statements that we wrote.
 */
import test from "ava";
import type { NftRule, NftStatement, NftTable } from "../../src/model/nft.js";
import { NETLINK_NETFILTER, links, nftables } from "../../src/kernel/index.js";
import type { TraceEvent } from "../../src/kernel/nftables/index.js";
import { NamespaceHost, type TestNamespace, disposeAfter, until } from "./namespaces.js";
import { testWith } from "../tools.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

type Match = Extract<NftStatement, { kind: "match" }>;
const match = (field: Match["field"], value: Match["value"], op: Match["op"] = "=="): Match => ({
  kind: "match",
  field,
  op,
  value,
});
const tcp = match("l4proto", 6);
const udp = match("l4proto", 17);
const counter: NftStatement = { kind: "counter", packets: 0, bytes: 0 };

/** nft's line, and the same in our words. */
type Line = readonly [nft: string, ...statements: NftStatement[]];

const filterLines: Line[] = [
  ["ct state established,related accept", match("ct state", ["established", "related"]), { kind: "accept" }],
  ["ct state invalid drop", match("ct state", "invalid"), { kind: "drop" }],
  ["ct status dnat", match("ct status", "dnat")],
  ["ct direction reply", match("ct direction", "reply")],
  ["ct mark 5", match("ct mark", 5)],
  ["meta mark 5", match("mark", 5)],
  ["meta mark != 5", match("mark", 5, "!=")],
  ["iifname lo", match("iifname", "lo")],
  ['iifname "veth*"', match("iifname", "veth*")],
  ['oifname != "eth0"', match("oifname", "eth0", "!=")],
  ["oifname { a, b }", match("oifname", ["a", "b"])],
  ["meta pkttype broadcast", match("pkttype", "broadcast")],
  ["meta nfproto ipv6", match("nfproto", 10)],
  ["meta l4proto { tcp, udp }", match("l4proto", [6, 17])],
  ["fib daddr type local", match("fib daddr type", "local")],
  ["ip saddr 10.0.0.1", match("ip saddr", "10.0.0.1")],
  ["ip saddr 10.0.0.0/8", match("ip saddr", "10.0.0.0/8")],
  ["ip saddr != 10.0.0.0/12", match("ip saddr", "10.0.0.0/12", "!=")],
  ["ip daddr 10.0.0.1-10.0.0.5", match("ip daddr", { from: "10.0.0.1", to: "10.0.0.5" })],
  ["ip daddr { 10.0.0.0/8, 192.168.0.1 }", match("ip daddr", ["10.0.0.0/8", "192.168.0.1"])],
  ["ip daddr != { 10.0.0.1, 192.168.0.1 }", match("ip daddr", ["10.0.0.1", "192.168.0.1"], "!=")],
  ["ip6 saddr fd00::/64", match("ip6 saddr", "fd00::/64")],
  ["ip6 daddr { fd00::1, fd01::/16 }", match("ip6 daddr", ["fd00::1", "fd01::/16"])],
  ["tcp dport 80 accept", tcp, match("th dport", 80), { kind: "accept" }],
  ["tcp sport != 80", tcp, match("th sport", 80, "!=")],
  ["tcp dport 1000-2000", tcp, match("th dport", { from: 1000, to: 2000 })],
  ["tcp dport != 1000-2000", tcp, match("th dport", { from: 1000, to: 2000 }, "!=")],
  ["udp sport >= 1024", udp, match("th sport", 1024, ">=")],
  [
    "udp dport { 53, 1000-2000, 65000-65535 } counter return",
    udp,
    match("th dport", [53, { from: 1000, to: 2000 }, { from: 65000, to: 65535 }]),
    counter,
    { kind: "return" },
  ],
  ["tcp flags syn", match("tcp flags", "syn")],
  ["icmp type echo-request", match("icmp type", 8)],
  ["icmpv6 type echo-request", match("icmpv6 type", 128)],
  ["counter jump other", counter, { kind: "jump", chain: "other" }],
  ["goto other", { kind: "goto", chain: "other" }],
  ['log prefix "seen: "', { kind: "log", prefix: "seen: " }],
  ['log prefix "x" group 3', { kind: "log", prefix: "x", group: 3 }],
  ['log prefix "x" level info', { kind: "log", prefix: "x", level: 6 }],
  ["limit rate 10/second", { kind: "limit", rate: 10, per: "second" }],
  ["limit rate 5/minute burst 9 packets", { kind: "limit", rate: 5, per: "minute", burst: 9 }],
  ["reject", { kind: "reject", with: "icmpx" }],
  ["reject with icmpx admin-prohibited", { kind: "reject", with: "icmpx", code: 3 }],
  ["meta l4proto tcp reject with tcp reset", { kind: "reject", with: "tcp reset" }],
  ["reject with icmp host-prohibited", { kind: "reject", with: "icmp", code: 10 }],
  ["reject with icmpv6 admin-prohibited", { kind: "reject", with: "icmpv6", code: 1 }],
  ["meta mark set 7", { kind: "meta set", key: "mark", value: 7 }],
  ["meta nftrace set 1", { kind: "meta set", key: "nftrace", value: 1 }],
];

const destinationLines: Line[] = [
  [
    "tcp dport 8080 dnat ip to 10.0.0.10:80",
    tcp,
    match("th dport", 8080),
    { kind: "dnat", family: 4, address: "10.0.0.10", port: 80 },
  ],
  ["dnat ip to 10.0.0.10", { kind: "dnat", family: 4, address: "10.0.0.10" }],
  [
    "tcp dport 8080 dnat ip6 to [fd00::10]:80",
    tcp,
    match("th dport", 8080),
    { kind: "dnat", family: 6, address: "fd00::10", port: 80 },
  ],
  [
    "meta l4proto tcp dnat ip to 10.0.0.10:80-90",
    tcp,
    { kind: "dnat", family: 4, address: "10.0.0.10", port: 80, toPort: 90 },
  ],
  ["tcp dport 80 redirect to :8080", tcp, match("th dport", 80), { kind: "redirect", port: 8080 }],
  ["redirect", { kind: "redirect" }],
];

const sourceLines: Line[] = [
  [
    "ip saddr 10.0.0.0/24 oifname eth0 masquerade",
    match("ip saddr", "10.0.0.0/24"),
    match("oifname", "eth0"),
    { kind: "masquerade" },
  ],
  ["masquerade random", { kind: "masquerade", random: true }],
  ["snat ip to 203.0.113.1", { kind: "snat", family: 4, address: "203.0.113.1" }],
];

const ruleOf = ([, ...statements]: Line): NftRule => ({ statements });

const table: NftTable = {
  family: "inet",
  name: "lab",
  chains: [
    {
      name: "forward",
      hook: { type: "filter", hook: "forward", priority: 0, policy: "drop" },
      rules: [...filterLines.map(ruleOf), { statements: [counter, { kind: "drop" }], comment: "no 81" }],
    },
    { name: "other", rules: [] },
    {
      name: "pre",
      hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
      rules: destinationLines.map(ruleOf),
    },
    {
      name: "post",
      hook: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
      rules: sourceLines.map(ruleOf),
    },
  ],
};

const lines = (all: readonly Line[]) => all.map(([line]) => line).join("\n");
const script = `table inet lab {
chain other { }
chain forward { type filter hook forward priority 0; policy drop;
${lines(filterLines)}
counter drop comment "no 81"
}
chain pre { type nat hook prerouting priority -100; policy accept;
${lines(destinationLines)}
}
chain post { type nat hook postrouting priority 100; policy accept;
${lines(sourceLines)}
}
}
`;

const withoutHandles = (tables: readonly NftTable[]) =>
  tables.map((each) => ({
    ...each,
    chains: each.chains.map((chain) => ({
      ...chain,
      rules: chain.rules.map(({ statements, comment }) => ({
        statements,
        ...(comment === undefined ? {} : { comment }),
      })),
    })),
  }));

const chainText = (ns: TestNamespace, chain: string) => ns.run(`nft list chain inet lab ${chain}`);

testWith("nft")("rules: written by us or by nft, listed by nft or by us", (t) => {
  const [mine, yours] = [host.create(), host.create()];
  using mineClient = mine.netfilter();
  using yoursClient = yours.netfilter();
  nftables.replaceTables(mineClient, [table]);
  yours.run("nft -f -", script);

  for (const chain of ["forward", "other", "pre", "post"]) {
    t.is(chainText(mine, chain), chainText(yours, chain), `${chain}: nft lists what we wrote as what it wrote`);
  }
  const ours = withoutHandles(nftables.readTables(mineClient));
  t.deepEqual(ours, [table], "we read what we wrote");
  const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);
  const theirs = withoutHandles(nftables.readTables(yoursClient));
  t.deepEqual(
    theirs.flatMap(({ chains }) => [...chains].sort(byName)),
    [...table.chains].sort(byName),
    "we read what nft wrote as what we would have written",
  );

  t.log("nft lists what we wrote | we read what nft wrote");
  for (const { name, rules } of theirs[0]!.chains) {
    const listed = chainText(mine, name).split("\n").slice(2, -3);
    const [head] = listed[0]?.trim().startsWith("type ") === true ? listed.splice(0, 1) : [];
    t.log(`chain ${name}: ${head?.trim() ?? "a regular one"}`);
    t.is(listed.length, rules.length);
    for (const [i, line] of listed.entries()) t.log(`${line.trim()} | ${JSON.stringify(rules[i])}`);
  }
});

testWith("nft")("elements of a set that overlap are merged, as nft merges them", (t) => {
  const [mine, yours] = [host.create(), host.create()];
  using client = mine.netfilter();
  const overlapping: Line[] = [
    ["tcp dport { 1-5, 20, 3-8 } accept", tcp, match("th dport", [{ from: 1, to: 5 }, 20, { from: 3, to: 8 }])],
    ["ip saddr { 10.1.0.0/16, 10.0.0.0/8 } accept", match("ip saddr", ["10.1.0.0/16", "10.0.0.0/8"])],
    ["tcp dport { 7, 9, 7 } accept", tcp, match("th dport", [7, 9, 7])],
    ["ip6 daddr { fd00::/64, fd00::1 } accept", match("ip6 daddr", ["fd00::/64", "fd00::1"])],
  ];
  const rules = overlapping.map(([, ...matches]) => ({ statements: [...matches, { kind: "accept" } as const] }));
  nftables.replaceTables(client, [{ family: "inet", name: "lab", chains: [{ name: "c", rules }] }]);
  yours.run("nft -f -", `table inet lab {\nchain c {\n${lines(overlapping)}\n}\n}\n`);
  t.is(chainText(mine, "c"), chainText(yours, "c"));
  t.log(chainText(mine, "c").trim());
});

testWith("nft")("what we cannot read is shown, and not lost", (t) => {
  const ns = host.create();
  using client = ns.netfilter();
  ns.run("nft -f -", "table ip x {\nchain c {\nip ttl 64 accept\n}\n}\n");
  const rules = nftables.readTables(client)[0]!.chains[0]!.rules;
  t.deepEqual(
    rules[0]!.statements.map(({ kind }) => kind),
    ["unknown", "unknown", "accept"],
  );
  t.like(rules[0]!.statements[0], {
    kind: "unknown",
    name: "payload",
    text: "payload dreg=1 base=1 offset=8 length=1",
  });
  t.throws(() => nftables.replaceTables(client, [{ family: "ip", name: "y", chains: [{ name: "c", rules }] }]), {
    instanceOf: RangeError,
    message: /can be shown, but not written/,
  });
});

testWith("nft")("a batch is a transaction: one refused rule, and nothing has changed", (t) => {
  const ns = host.create();
  using client = ns.netfilter({ node: "web" });
  const before: NftTable = { family: "ip", name: "t", chains: [{ name: "a", rules: [{ statements: [counter] }] }] };
  nftables.replaceTables(client, [before]);
  const generation = client.execute(nftables.generation());
  const broken: NftTable = {
    family: "ip",
    name: "t",
    chains: [{ name: "a", rules: [{ statements: [{ kind: "jump", chain: "nowhere" }], comment: "into the void" }] }],
  };
  const error = t.throws(() => nftables.replaceTables(client, [broken]), { name: "NetlinkError", code: "ENOENT" });
  t.is(error.message, 'rule.add ip t a "into the void" in web: no such file or directory (ENOENT, at expressions.0)');
  t.is(client.execute(nftables.generation()), generation);
  t.deepEqual(withoutHandles(nftables.readTables(client)), [before]);

  nftables.replaceTables(client, [], { absent: [before, { family: "ip6", name: "never there" }] });
  t.is(ns.run("nft list ruleset"), "");
});

testWith("nft")("a large ruleset goes in one transaction", (t) => {
  const ns = host.create();
  using client = ns.netfilter();
  const rules = Array.from({ length: 2000 }, (_, i) => ({
    statements: [tcp, match("th dport", 1 + i), counter, { kind: "accept" } as const],
    comment: `port ${1 + i}`,
  }));
  if (host.rootless) rules.length = 700; // the send buffer of an ordinary user cannot be made larger
  nftables.replaceTables(client, [{ family: "ip", name: "big", chains: [{ name: "c", rules }] }]);
  t.is(ns.run("nft list ruleset").split("accept comment").length - 1, rules.length);
});

testWith("nft")("an owned table goes with its socket", (t) => {
  const ns = host.create();
  const client = ns.netfilter();
  nftables.replaceTables(client, [{ family: "inet", name: "mine", chains: [] }], { owned: true });
  t.regex(ns.run("nft list tables"), /inet mine/);
  t.throws(() => ns.run("nft delete table inet mine"), undefined, "nobody else can change it");
  client[Symbol.dispose]();
  t.is(ns.run("nft list tables"), "");
});

/*
 *   ping 127.0.0.1 -> output: rule 1 traces, rule 2 counts, the policy accepts
 */
test("a traced packet tells the rules that it met, with its conntrack entry", async (t) => {
  const ns = host.create();
  using route = ns.route();
  route.execute(links.set("lo", { up: true }));
  using client = ns.netfilter();
  nftables.replaceTables(client, [
    {
      family: "ip",
      name: "t",
      chains: [
        {
          name: "out",
          hook: { type: "filter", hook: "output", priority: 0, policy: "accept" },
          rules: [
            { statements: [match("icmp type", 8), { kind: "meta set", key: "nftrace", value: 1 }] },
            { statements: [match("ct state", "new"), counter], comment: "counted" },
          ],
        },
      ],
    },
  ]);
  const events: TraceEvent[] = [];
  disposeAfter(
    t,
    nftables.listenTrace(ns.events(NETLINK_NETFILTER), {
      onEvent: (event) => events.push(event),
      onResync: () => t.fail("nothing should be lost"),
    }),
  );
  ns.run("ping -c 1 -W 1 127.0.0.1");
  const policy = await until(
    () => events.find(({ kind, chain }) => kind === "policy" && chain === "out"),
    "the policy",
  );
  const handles = nftables.readTables(client)[0]!.chains[0]!.rules.map(({ handle }) => handle);
  const met = events.filter(({ id, ruleHandle }) => id === policy.id && ruleHandle !== undefined);
  t.deepEqual(
    met.map(({ ruleHandle, verdict }) => [ruleHandle, verdict?.kind]),
    [
      [handles[0], "continue"],
      [handles[1], "continue"],
    ],
  );
  t.deepEqual(policy.verdict, { kind: "accept" });
  t.is(met[0]!.networkHeader?.[9], 1, "the IP header of an ICMP packet");
  if (met[0]!.conntrack === undefined) t.log("SKIP this kernel's traces have no conntrack attributes (6.16 and later)");
  else t.is(met[0]!.conntrack.direction, 0);
});

testWith("nft")("a change of the ruleset is told, with who made it", async (t) => {
  const ns = host.create();
  using client = ns.netfilter();
  const events: nftables.RulesetEvent[] = [];
  disposeAfter(
    t,
    nftables.listenRuleset(ns.events(NETLINK_NETFILTER), {
      onEvent: (event) => events.push(event),
      onResync: () => t.fail("nothing should be lost"),
    }),
  );
  ns.run("nft add table ip x");
  const event = await until(() => events[0], "the event");
  t.is(event.processName, "nft");
  t.is(event.generation, client.execute(nftables.generation()));
});
