/**
 * rtnetlink against ip(8), bridge(8) and tc(8), both ways: each object is made once by us and once by the tool, in two
 * namespaces, and each is read by us and by the tool. The four readings have to say the same.
 */
import test from "ava";
import {
  type NetlinkClient,
  type Request,
  TruncatedError,
  UnsupportedError,
  addresses,
  links,
  neighbours,
  qdiscs,
  routes,
  rules,
} from "../../src/kernel/index.js";
import { NamespaceHost, type TestNamespace } from "./namespaces.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

interface Case {
  readonly object: string;
  /** What both namespaces begin with. */
  readonly given?: string;
  /** Made by the tool: a shell line. */
  readonly command: string;
  readonly requests: (index: (name: string) => number) => readonly Request<unknown>[];
  readonly expected: unknown;
  /** What the tool says, in the words of `expected`. */
  readonly theirs: (ns: TestNamespace) => unknown;
  readonly ours: (client: NetlinkClient, index: (name: string) => number) => unknown;
}

type Json = Record<string, unknown> & {
  linkinfo: { info_kind: string; info_data: Record<string, unknown>; info_slave_data: Record<string, unknown> };
  options: Record<string, unknown>;
};
const first = (ns: TestNamespace, command: string) => (ns.json(command) as Json[])[0]!;
const pick = (object: object, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, (object as Record<string, unknown>)[name]]));

const bridge = "ip link add br0 type bridge && ip link set br0 up";
const pair = "ip link add v0 type veth peer name v1";
const addressed = `${pair} && ip address add 10.0.0.1/24 dev v0 && ip address add fd00::1/64 dev v0 nodad && ip link set v0 up && ip link set v1 up`;

const cases: Case[] = [
  {
    object: "bridge",
    command:
      "ip link add br0 address 02:00:00:00:00:01 mtu 1400 type bridge ageing_time 3000 forward_delay 200 stp_state 1",
    requests: () => [
      links.add({
        kind: "bridge",
        name: "br0",
        mac: "02:00:00:00:00:01",
        mtu: 1400,
        bridge: { ageingTime: 30, forwardDelay: 2, stp: true },
      }),
    ],
    expected: { kind: "bridge", mac: "02:00:00:00:00:01", mtu: 1400, ageing: 3000, delay: 200, stp: 1 },
    theirs(ns) {
      const { address, mtu, linkinfo } = first(ns, "ip -d -j link show br0");
      const { ageing_time, forward_delay, stp_state } = linkinfo.info_data;
      return { kind: linkinfo.info_kind, mac: address, mtu, ageing: ageing_time, delay: forward_delay, stp: stp_state };
    },
    ours(client) {
      const { kind, mac, mtu, settings } = client.execute(links.get("br0"));
      const { ageingTime: ageing, forwardDelay: delay, stpState: stp } = settings!.bridge!;
      return { kind, mac, mtu, ageing, delay, stp };
    },
  },
  {
    object: "veth pair",
    command:
      "ip link add v0 address 02:00:00:00:00:02 mtu 1300 type veth peer name v1 address 02:00:00:00:00:03 mtu 1200 && ip link set v0 up",
    requests: () => [
      links.add({
        kind: "veth",
        name: "v0",
        mac: "02:00:00:00:00:02",
        mtu: 1300,
        up: true,
        peer: { name: "v1", mac: "02:00:00:00:00:03", mtu: 1200 },
      }),
    ],
    expected: [
      ["v0", "veth", "02:00:00:00:00:02", 1300, true, "v1"],
      ["v1", "veth", "02:00:00:00:00:03", 1200, false, "v0"],
    ],
    theirs: (ns) =>
      (ns.json("ip -d -j link") as Json[])
        .filter(({ linkinfo }) => (linkinfo as unknown) !== undefined)
        .map(({ ifname, linkinfo, address, mtu, flags, link }) => [
          ifname,
          linkinfo.info_kind,
          address,
          mtu,
          (flags as string[]).includes("UP"),
          link,
        ])
        .sort(),
    ours(client) {
      const all = client.execute(links.list());
      return all
        .filter(({ kind }) => kind === "veth")
        .map(({ name, kind, mac, mtu, up, link }) => [
          name,
          kind,
          mac,
          mtu,
          up,
          all.find(({ index }) => index === link)?.name,
        ])
        .sort();
    },
  },
  {
    object: "alias, altname, group, queue",
    given: pair,
    command:
      'ip link set v0 alias "of the lab" && ip link property add dev v0 altname a-name-of-more-than-15-bytes && ip link set v0 group 77 && ip link set v0 txqueuelen 50',
    requests: () => [
      links.set("v0", { alias: "of the lab", group: 77, txQueueLength: 50 }),
      links.addAltname("v0", "a-name-of-more-than-15-bytes"),
    ],
    expected: { alias: "of the lab", altnames: ["a-name-of-more-than-15-bytes"], group: "77", queue: 50 },
    theirs(ns) {
      const { ifalias: alias, altnames, group, txqlen: queue } = first(ns, "ip -j link show v0");
      return { alias, altnames, group, queue };
    },
    ours(client) {
      const {
        alias,
        altnames,
        group,
        txQueueLength: queue,
      } = client.execute(links.get("a-name-of-more-than-15-bytes"));
      return { alias, altnames: [...altnames], group: String(group), queue };
    },
  },
  {
    object: "bridge port",
    given: `${bridge} && ${pair}`,
    command:
      "ip link set v0 master br0 && ip link set v0 type bridge_slave hairpin on isolated on learning off flood off",
    requests: (index) => [
      links.set("v0", { master: index("br0") }),
      links.setPort("v0", { hairpin: true, isolated: true, learning: false, unicastFlood: false }),
    ],
    expected: { master: "br0", hairpin: true, isolated: true, learning: false, flood: false },
    theirs(ns) {
      const { master, linkinfo } = first(ns, "ip -d -j link show v0");
      const { hairpin, isolated, learning, flood } = linkinfo.info_slave_data;
      return { master, hairpin, isolated, learning, flood };
    },
    ours(client) {
      const { master, port } = client.execute(links.get("v0"));
      return {
        master: client.execute(links.get(master!)).name,
        hairpin: port!.hairpin,
        isolated: port!.isolated,
        learning: port!.learning,
        flood: port!.unicastFlood,
      };
    },
  },
  {
    object: "macvlan",
    given: pair,
    command: "ip link add m0 link v0 type macvlan mode bridge",
    requests: (index) => [links.add({ kind: "macvlan", name: "m0", parent: index("v0"), mode: "bridge" })],
    expected: { kind: "macvlan", mode: "bridge", parent: "v0" },
    theirs(ns) {
      const { link: parent, linkinfo } = first(ns, "ip -d -j link show m0");
      return { kind: linkinfo.info_kind, mode: linkinfo.info_data.mode, parent };
    },
    ours(client) {
      const { kind, link, settings } = client.execute(links.get("m0"));
      return {
        kind,
        mode: settings!.macvlan!.mode === 4 ? "bridge" : "",
        parent: client.execute(links.get(link!)).name,
      };
    },
  },
  {
    object: "vxlan",
    given: addressed,
    command: "ip link add x0 type vxlan id 42 local 10.0.0.1 remote 10.0.0.2 dstport 4790 dev v0 nolearning ttl 9",
    requests: (index) => [
      links.add({
        kind: "vxlan",
        name: "x0",
        vxlan: {
          id: 42,
          local: "10.0.0.1",
          group: "10.0.0.2",
          port: 4790,
          underlay: index("v0"),
          learning: false,
          ttl: 9,
        },
      }),
    ],
    expected: { id: 42, local: "10.0.0.1", remote: "10.0.0.2", port: 4790, link: "v0", learning: false, ttl: 9 },
    theirs(ns) {
      const { id, local, remote, port, link, learning, ttl } = first(ns, "ip -d -j link show x0").linkinfo.info_data;
      return { id, local, remote, port, link, learning, ttl };
    },
    ours(client) {
      const { id, local, group: remote, port, link, learning, ttl } = client.execute(links.get("x0")).settings!.vxlan!;
      return { id, local, remote, port, link: client.execute(links.get(link!)).name, learning, ttl };
    },
  },
  {
    object: "addresses",
    given: `${pair} && ip link set v0 up`,
    command: "ip address add 10.0.0.1/24 broadcast 10.0.0.255 dev v0 && ip address add fd00::1/64 dev v0 nodad",
    requests: (index) => [
      addresses.add({ index: index("v0"), address: "10.0.0.1", prefixLength: 24, broadcast: "10.0.0.255" }),
      addresses.add({ index: index("v0"), address: "fd00::1", prefixLength: 64, skipDuplicateDetection: true }),
    ],
    expected: [
      ["10.0.0.1", 24, "10.0.0.255", "global"],
      ["fd00::1", 64, undefined, "global"],
    ],
    theirs: (ns) =>
      (first(ns, "ip -j address show v0").addr_info as Json[])
        .filter(({ scope }) => scope === "global")
        .map(({ local, prefixlen, broadcast, scope }) => [local, prefixlen, broadcast, scope]),
    ours: (client, index) =>
      client
        .execute(addresses.list({ index: index("v0") }))
        .filter(({ scope }) => scope === 0)
        .map(({ address, prefixLength, broadcast }) => [address, prefixLength, broadcast, "global"]),
  },
  {
    object: "routes",
    given: addressed,
    command: [
      "ip route add default via 10.0.0.2 metric 5",
      "ip route add 10.1.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3 dev v0",
      "ip route add blackhole 10.2.0.0/16",
      "ip route add 10.3.0.0/16 dev v0 mtu 1300 table 1000 src 10.0.0.1",
      "ip route add 10.4.0.0/16 via 192.168.9.9 dev v0 onlink",
      "ip -6 route add fd01::/64 via fd00::2",
    ].join(" && "),
    requests: (index) => [
      routes.add({ destination: "0.0.0.0/0", gateway: "10.0.0.2", metric: 5, protocol: 3 }),
      routes.add({
        destination: "10.1.0.0/16",
        protocol: 3,
        nexthops: [
          { gateway: "10.0.0.2", weight: 2 },
          { gateway: "10.0.0.3", index: index("v0") },
        ],
      }),
      routes.add({ destination: "10.2.0.0/16", type: "blackhole", protocol: 3 }),
      routes.add({
        destination: "10.3.0.0/16",
        index: index("v0"),
        metrics: { mtu: 1300 },
        table: 1000,
        preferredSource: "10.0.0.1",
        protocol: 3,
      }),
      routes.add({ destination: "10.4.0.0/16", gateway: "192.168.9.9", index: index("v0"), onlink: true, protocol: 3 }),
      routes.add({ destination: "fd01::/64", gateway: "fd00::2", protocol: 3 }),
    ],
    expected: [
      ["0.0.0.0/0", "unicast", "10.0.0.2 v0 1", 5, "main", undefined, undefined],
      ["10.1.0.0/16", "unicast", "10.0.0.2 v0 2, 10.0.0.3 v0 1", 0, "main", undefined, undefined],
      ["10.2.0.0/16", "blackhole", "", 0, "main", undefined, undefined],
      ["10.3.0.0/16", "unicast", "- v0 1", 0, "1000", 1300, "10.0.0.1"],
      ["10.4.0.0/16", "unicast", "192.168.9.9 v0 1 onlink", 0, "main", undefined, undefined],
      ["fd01::/64", "unicast", "fd00::2 v0 1", 1024, "main", undefined, undefined],
    ],
    theirs: (ns) =>
      (ns.json("ip -d -j route show table all") as Json[])
        .filter(({ protocol }) => protocol === "boot")
        .map((route) => {
          const { dst, type, metric, table, metrics, prefsrc, nexthops } = route;
          const hops = (nexthops as Json[] | undefined) ?? (route.dev === undefined ? [] : [route]);
          return [
            dst === "default" ? "0.0.0.0/0" : dst,
            type,
            hops
              .map((hop) =>
                [
                  hop.gateway ?? "-",
                  hop.dev,
                  hop.weight ?? 1,
                  ...((hop.flags as string[]).includes("onlink") ? ["onlink"] : []),
                ].join(" "),
              )
              .join(", "),
            metric ?? 0,
            table ?? "main",
            (metrics as { mtu: number }[] | undefined)?.[0]?.mtu,
            prefsrc,
          ];
        })
        .sort(),
    ours(client) {
      const names = new Map(client.execute(links.list()).map(({ index, name }) => [index, name]));
      return client
        .execute(routes.list())
        .filter(({ protocol }) => protocol === 3)
        .map(({ destination, type, nexthops, metric, table, metrics, preferredSource }) => [
          destination,
          type,
          // The kernel names lo as the link of a blackhole of IPv6 only.
          nexthops
            .map(({ gateway = "-", index, weight, flags = 0 }) =>
              [gateway, names.get(index!), weight, ...((flags & 4) === 0 ? [] : ["onlink"])].join(" "),
            )
            .join(", "),
          metric,
          table === 254 ? "main" : String(table),
          metrics?.mtu,
          preferredSource,
        ])
        .sort();
    },
  },
  {
    object: "neighbour",
    given: addressed,
    command: "ip neighbour add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent",
    requests: (index) => [neighbours.add({ index: index("v0"), address: "10.0.0.9", mac: "02:00:00:00:00:09" })],
    expected: [["10.0.0.9", "02:00:00:00:00:09", "permanent"]],
    theirs: (ns) =>
      (ns.json("ip -j neighbour show dev v0 nud permanent") as Json[]).map(({ dst, lladdr, state }) => [
        dst,
        lladdr,
        (state as string[])[0]!.toLowerCase(),
      ]),
    ours: (client, index) =>
      client
        .execute(neighbours.list({ index: index("v0"), family: 4 }))
        .map(({ address, mac, state }) => [address, mac, state]),
  },
  {
    object: "fdb",
    given: `${bridge} && ${pair} && ip link set v0 master br0`,
    command: "bridge fdb add 02:00:00:00:00:11 dev v0 master static",
    requests: (index) => [neighbours.addFdb({ index: index("v0"), mac: "02:00:00:00:00:11" })],
    expected: [["02:00:00:00:00:11", "v0", "br0", "static"]],
    theirs: (ns) =>
      (ns.json("bridge -j fdb show br br0") as Json[])
        .filter(({ mac }) => mac === "02:00:00:00:00:11")
        .map(({ mac, ifname, master, state }) => [mac, ifname, master, state]),
    ours: (client, index) =>
      client
        .execute(neighbours.listFdb(index("br0")))
        .filter(({ mac }) => mac === "02:00:00:00:00:11")
        .map(({ mac, index: port, master, permanent, local }) => [
          mac,
          client.execute(links.get(port)).name,
          client.execute(links.get(master!)).name,
          permanent && !local ? "static" : "",
        ]),
  },
  {
    object: "rule",
    command: "ip rule add from 10.0.0.0/24 iif lo fwmark 7 lookup 1000 priority 100",
    requests: () => [
      rules.add({
        family: 4,
        priority: 100,
        source: "10.0.0.0/24",
        inputInterface: "lo",
        mark: 7,
        action: "lookup",
        table: 1000,
      }),
    ],
    expected: { source: "10.0.0.0/24", input: "lo", mark: 7, table: "1000" },
    theirs(ns) {
      const rule = (ns.json("ip -j rule") as Json[]).find(({ priority }) => priority === 100)!;
      return {
        source: `${String(rule.src)}/${String(rule.srclen)}`,
        input: rule.iif,
        mark: Number(rule.fwmark),
        table: rule.table,
      };
    },
    ours(client) {
      const rule = client.execute(rules.list(4)).find(({ priority }) => priority === 100)!;
      return { source: rule.source, input: rule.inputInterface, mark: rule.mark, table: String(rule.table) };
    },
  },
  {
    object: "tbf",
    given: pair,
    command: "tc qdisc add dev v0 root tbf rate 10mbit burst 4096 limit 66592",
    requests: (index) => [qdiscs.set(index("v0"), { kind: "tbf", rate: 1_250_000, burst: 4096, limit: 66_592 })],
    expected: { kind: "tbf", rate: 1_250_000, burst: 4096, limit: 66_592 },
    theirs(ns) {
      const { kind, options } = first(ns, "tc -j qdisc show dev v0");
      const { rate, burst, lat } = options;
      // The kernel keeps the burst as a time, and tc cuts it off (4,095); of the limit it shows the latency that follows.
      const near = (bytes: number) => 8 * Math.round(bytes / 8);
      return {
        kind,
        rate,
        burst: near(Number(burst)),
        limit: near((Number(lat) / 1e6) * Number(rate) + Number(burst)),
      };
    },
    ours: (client, index) => ({ ...client.execute(qdiscs.list(index("v0")))[0]!.settings }),
  },
  {
    object: "htb with a class",
    given: pair,
    command:
      "tc qdisc add dev v0 root handle 1: htb default 10 && tc class add dev v0 parent 1: classid 1:10 htb rate 8mbit ceil 16mbit burst 11600",
    requests: (index) => [
      qdiscs.set(index("v0"), { kind: "htb", defaultClass: 0x10 }, { handle: 0x10000 }),
      qdiscs.setHtbClass(index("v0"), { rate: 1e6, ceil: 2e6, burst: 11_600 }, { parent: 0x10000, handle: 0x10010 }),
    ],
    expected: { kind: "htb", handle: "1:", defaultClass: 0x10 },
    theirs(ns) {
      const { kind, handle, options } = first(ns, "tc -j qdisc show dev v0");
      const text = ns.run("tc class show dev v0");
      if (!text.includes("class htb 1:10 root prio 0 rate 8Mbit ceil 16Mbit burst 11600b")) return text;
      return { kind, handle, defaultClass: Number(options.default) };
    },
    ours(client, index) {
      const { handle, settings } = client.execute(qdiscs.list(index("v0")))[0]!;
      return { ...settings, handle };
    },
  },
];

for (const { object, given, command, requests, expected, theirs, ours } of cases) {
  test(`${object}: made by us or by the tool, read by us or by the tool`, (t) => {
    const [mine, yours] = [host.create(), host.create()];
    using mineClient = mine.route();
    using yoursClient = yours.route();
    const indexIn = (client: NetlinkClient) => (name: string) => client.execute(links.get(name)).index;
    for (const ns of [mine, yours]) if (given !== undefined) ns.run(given);

    for (const request of requests(indexIn(mineClient))) mineClient.execute(request);
    yours.run(command);

    const table = [
      ["made by us,       read by the tool", theirs(mine)],
      ["made by us,       read by us      ", ours(mineClient, indexIn(mineClient))],
      ["made by the tool, read by the tool", theirs(yours)],
      ["made by the tool, read by us      ", ours(yoursClient, indexIn(yoursClient))],
    ] as const;
    t.log(command);
    for (const [way, reading] of table) t.log(`${way}  ${JSON.stringify(reading)}`);
    for (const [way, reading] of table) t.deepEqual(reading, expected, way);
    mine.drop();
    yours.drop();
  });
}

/*
 *   web [eth0]----------[vethweb] yapc0, host
 */
test("one request makes a veth pair with each end in a namespace of its own", (t) => {
  const [from, web, host_] = [host.create(), host.create(), host.create()];
  using client = from.route();
  host_.run("ip link add yapc0 index 50 type bridge");
  client.execute(
    links.add({
      kind: "veth",
      name: "vethweb",
      index: 60,
      netnsFd: host_.fd,
      mac: "02:00:00:00:00:02",
      mtu: 1400,
      master: 50,
      up: true,
      peer: { name: "eth0", index: 70, netnsFd: web.fd, mac: "02:00:00:00:00:01", mtu: 1400 },
    }),
  );
  const eth0 = first(web, "ip -j link show eth0");
  const veth = first(host_, "ip -j link show vethweb");
  t.deepEqual(pick(eth0, "ifname", "ifindex", "address", "mtu"), {
    ifname: "eth0",
    ifindex: 70,
    address: "02:00:00:00:00:01",
    mtu: 1400,
  });
  t.true((veth.flags as string[]).includes("UP"));
  t.deepEqual(pick(veth, "ifindex", "address", "mtu", "master"), {
    ifindex: 60,
    address: "02:00:00:00:00:02",
    mtu: 1400,
    master: "yapc0",
  });
  t.is((from.json("ip -j link") as unknown[]).length, 1, "nothing is left where the request was made");
});

test("route lookup says what a packet would meet", (t) => {
  const ns = host.create();
  using client = ns.route();
  ns.run(`${addressed} && ip route add default via 10.0.0.2 && ip route add prohibit 10.9.0.0/16`);
  const { nexthops, preferredSource } = client.execute(routes.lookup("203.0.113.9"));
  t.is(nexthops[0]!.gateway, "10.0.0.2");
  t.is(preferredSource, "10.0.0.1");
  t.throws(() => client.execute(routes.lookup("10.9.1.1")), { code: "EACCES" });
  t.throws(() => client.execute(routes.lookup("2001:db8::1")), { code: "ENETUNREACH" });
});

test("an echoed link tells its index and its name in the same round trip", (t) => {
  const ns = host.create();
  using client = ns.route();
  const link = client.execute(links.addEchoed({ kind: "bridge", name: "lan%d" }));
  if (link === undefined) {
    t.log("SKIP this kernel echoes no links (6.1 and later do)");
    t.is(client.execute(links.get("lan0")).name, "lan0");
    return;
  }
  t.is(link.name, "lan0");
  t.is(first(ns, "ip -j link show lan0").ifindex, link.index);
});

test("netem: probed, and refused with the name of what the kernel lacks", (t) => {
  const ns = host.create();
  ns.run(pair);
  using client = ns.route({ node: "web" });
  const index = client.execute(links.get("v0")).index;
  const [outcome] = client.pipeline([
    qdiscs.set(index, { kind: "netem", delay: 5_000_000, loss: 0.01, jitter: 1_000_000 }),
  ]);
  if (outcome.ok) {
    const { options } = first(ns, "tc -j qdisc show dev v0");
    t.deepEqual(options.delay, { delay: 0.005, jitter: 0.001, correlation: 0 });
    return;
  }
  t.log("SKIP this kernel has no netem: its bytes are checked in golden.test only");
  t.true(outcome.error instanceof UnsupportedError);
  t.is(outcome.error.message, "qdisc.set netem in web: this kernel has no netem qdisc (CONFIG_NET_SCH_NETEM): ENOENT");
});

test("errors name the operation, the object, the node, the attribute and its bounds", (t) => {
  const ns = host.create();
  using client = ns.route({ node: "web" });
  const outcomes = client.pipeline([
    links.add({ kind: "bridge", name: "br0" }),
    links.add({ kind: "bridge", name: "br0" }),
    links.add({ kind: "bridge", name: "a-name-that-is-too-long" }),
    addresses.add({ index: 4711, address: "10.0.0.1", prefixLength: 24 }),
    routes.add({ destination: "10.0.0.0/8", gateway: "192.0.2.1" }),
    links.set("nowhere", { up: true }),
    links.set("br0", { mtu: 4 }),
  ]);
  t.deepEqual(
    outcomes.map((outcome) => (outcome.ok ? "done" : outcome.error.message)),
    [
      "done",
      "link.add br0 in web: file exists (EEXIST)",
      "link.add a-name-that-is-too-long in web: Attribute failed policy validation (ERANGE, at name, at most 15 bytes)",
      "address.add 10.0.0.1/24 in web: ipv4: Device not found (ENODEV)",
      "route.add 10.0.0.0/8 in web: Nexthop has invalid gateway (ENETUNREACH)",
      "link.set nowhere in web: no such device (ENODEV)",
      "link.set br0 in web: mtu less than device minimum (EINVAL)",
    ],
  );
});

test("hundreds of requests go out together, and each failure is known", (t) => {
  const ns = host.create();
  using client = ns.route();
  client.execute(links.add({ kind: "bridge", name: "br0", index: 10, up: true }));
  const requests = Array.from({ length: 1500 }, (_, i) =>
    addresses.add({ index: i % 100 === 99 ? 11 : 10, address: `10.0.${i >> 8}.${i & 255}`, prefixLength: 16 }),
  );
  const failed = client.pipeline(requests).flatMap((outcome, i) => (outcome.ok ? [] : [i]));
  t.deepEqual(
    failed,
    Array.from({ length: 15 }, (_, i) => 100 * i + 99),
  );
  t.is(client.execute(addresses.list({ index: 10, family: 4 })).length, 1485);
});

/** What not every kernel is built with: how it is asked for, and what ip then shows. */
const optional = [
  {
    symbol: "CONFIG_BRIDGE_VLAN_FILTERING",
    request: links.add({ kind: "bridge", name: "x0", bridge: { vlanFiltering: true } }),
    shown: { info_kind: "bridge", info_data: { vlan_filtering: 1 } },
  },
  {
    symbol: "CONFIG_VLAN_8021Q",
    request: links.add({ kind: "vlan", name: "x0", parent: 10, id: 7 }),
    shown: { info_kind: "vlan", info_data: { id: 7 } },
  },
  {
    symbol: "CONFIG_NET_VRF",
    request: links.add({ kind: "vrf", name: "x0", table: 10 }),
    shown: { info_kind: "vrf", info_data: { table: 10 } },
  },
  {
    symbol: "CONFIG_DUMMY",
    request: links.add({ kind: "dummy", name: "x0" }),
    shown: { info_kind: "dummy" },
  },
] as const;

for (const { symbol, request, shown } of optional) {
  test(`${symbol}: made as ip shows it, or refused by its name`, (t) => {
    const ns = host.create();
    using client = ns.route({ node: "web" });
    client.execute(links.add({ kind: "bridge", name: "br0", index: 10 }));
    const [outcome] = client.pipeline([request]);
    if (outcome.ok) {
      t.like(first(ns, "ip -d -j link show x0").linkinfo, shown);
      return;
    }
    t.log(`SKIP this kernel has no ${symbol}: the bytes are checked in golden.test only`);
    const { error } = outcome;
    if (!(error instanceof UnsupportedError)) return t.fail(String(error));
    t.is(error.feature.symbol, symbol);
    t.regex(error.message, new RegExp(`^link.add x0 in web: this kernel has no .*\\(${symbol}\\): EOPNOTSUPP$`));
  });
}

test("vrf: a link that joins one has its routes in its table", (t) => {
  const ns = host.create();
  using client = ns.route();
  ns.run(pair);
  const [made] = client.pipeline([links.add({ kind: "vrf", name: "red", table: 10, up: true })]);
  if (!made.ok) {
    t.log("SKIP this kernel has no CONFIG_NET_VRF");
    t.true(made.error instanceof UnsupportedError);
    return;
  }
  const red = client.execute(links.get("red"));
  const { index } = client.execute(links.get("v0"));
  client.executeAll([
    links.set(index, { master: red.index, up: true }),
    links.set("v1", { up: true }),
    addresses.add({ index, address: "10.0.0.1", prefixLength: 24 }),
    routes.add({ destination: "10.9.0.0/16", gateway: "10.0.0.2", table: 10 }),
  ]);
  t.like(red, { kind: "vrf", settings: { vrf: { table: 10 } } });
  t.is(client.execute(links.get(index)).master, red.index);
  const destinations = client.execute(routes.list({ family: 4, table: 10 })).map(({ destination }) => destination);
  t.true(destinations.includes("10.0.0.0/24") && destinations.includes("10.9.0.0/16"));
  t.true(client.execute(rules.list(4)).some(({ l3mdev }) => l3mdev === true));
  t.is(first(ns, "ip -j link show v0").master, "red");
});

test("what was made is changed, moved and removed, and the tools see it", (t) => {
  const [here, there] = [host.create(), host.create()];
  using client = here.route();
  here.run(`${bridge} && ${addressed}`);
  const index = (name: string) => client.execute(links.get(name)).index;
  const [v0, br0] = [index("v0"), index("br0")];
  const rule = { family: 4, priority: 100, action: "lookup", table: 1000 } as const;
  client.executeAll([
    links.setKind(br0, { kind: "bridge", name: "br0", bridge: { ageingTime: 30 } }),
    links.set(v0, { promiscuous: true, master: br0 }),
    links.addAltname(v0, "a-name-of-more-than-15-bytes"),
    neighbours.add({ index: v0, address: "10.0.0.9", mac: "02:00:00:00:00:09" }),
    neighbours.addFdb({ index: v0, mac: "02:00:00:00:00:11" }),
    routes.add({ destination: "10.9.0.0/16", gateway: "10.0.0.2" }),
    rules.add(rule),
    qdiscs.set(v0, { kind: "tbf", rate: 1_250_000, burst: 4096, limit: 66_592 }),
  ]);
  const fdb = () => here.run("bridge fdb show dev v0").includes("02:00:00:00:00:11");
  t.is(first(here, "ip -d -j link show br0").linkinfo.info_data.ageing_time, 3000);
  t.true((first(here, "ip -d -j link show v0").flags as string[]).includes("PROMISC"));
  t.true(fdb());

  client.executeAll([
    links.set(v0, { promiscuous: false, master: 0 }),
    links.removeAltname(v0, "a-name-of-more-than-15-bytes"),
    neighbours.remove({ index: v0, address: "10.0.0.9" }),
    routes.remove({ destination: "10.9.0.0/16" }),
    rules.remove(rule),
    qdiscs.remove(v0),
    addresses.remove({ index: v0, address: "10.0.0.1", prefixLength: 24 }),
  ]);
  const shown = first(here, "ip -d -j link show v0");
  t.false((shown.flags as string[]).includes("PROMISC"));
  t.deepEqual([shown.master, shown.altnames], [undefined, undefined]);
  t.false(fdb());
  t.is(here.run("ip neighbour show nud permanent"), "");
  t.is(
    here.run(
      "ip route show 10.9.0.0/16; ip rule show priority 100; ip -4 address show dev v0; tc qdisc show dev v0 | grep tbf || :",
    ),
    "",
  );

  // By its descriptor to another namespace, under another name, and gone with its group.
  client.execute(links.set(v0, { netnsFd: there.fd, name: "moved", group: 77 }));
  t.throws(() => client.execute(links.get(v0)), { code: "ENODEV" });
  t.is(first(there, "ip -j link show moved").group, "77");
  using far = there.route();
  far.execute(links.removeGroup(77));
  t.throws(() => far.execute(links.get("moved")), { code: "ENODEV" });
  t.throws(() => client.execute(links.get("v1")), { code: "ENODEV" }, "of a veth both ends go");
});

test("a link tells its statistics, with ip's numbers", (t) => {
  const ns = host.create();
  ns.run(`${addressed} && ip neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent`);
  ns.run("ping -c 3 -i 0.01 -W 0.01 -q 10.0.0.2 || :");
  using client = ns.route();
  interface Counted {
    stats64: Record<"rx" | "tx", { packets: number; bytes: number; dropped: number }>;
  }
  const ours = client.execute(links.get("v1")).statistics!;
  const { rx, tx } = (ns.json("ip -s -j link show v1") as Counted[])[0]!.stats64;
  t.true(ours.rxPackets >= 3);
  t.deepEqual(
    [ours.rxPackets, ours.rxBytes, ours.rxDropped, ours.txPackets, ours.txBytes],
    [rx.packets, rx.bytes, rx.dropped, tx.packets, tx.bytes],
  );
  const [without] = client.execute(links.list({ statistics: false }));
  t.is(without!.statistics, undefined);
});

test("an answer that is longer than the receive buffer is an error, and the next request is answered", (t) => {
  const ns = host.create();
  using client = ns.route();
  ns.run(pair);
  const altnames = Array.from({ length: 300 }, (_, i) => `n${String(i)}-`.padEnd(125, "x"));
  client.executeAll(altnames.map((altname) => links.addAltname("v0", altname)));
  t.throws(() => client.execute(links.get("v0")), { instanceOf: TruncatedError, message: /room for 32768/ });
  t.is(client.execute(links.get("v1")).name, "v1");
});
