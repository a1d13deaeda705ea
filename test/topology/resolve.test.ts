/** What resolving works out: addresses, routes, names. Each test carries the picture of its lab. */
import { ok } from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { graph } from "../../src/topology/graph.js";
import { formatProblems } from "../../src/topology/problem.js";
import { readTopology, type ReadOptions } from "../../src/topology/read.js";
import type { ResolvedNode, ResolvedTopology } from "../../src/topology/resolved.js";

function read(form: unknown, options: Partial<ReadOptions> = {}): ResolvedTopology {
  const text = typeof form === "string" ? form : JSON.stringify(form);
  const result = readTopology(text, { path: "lab.json", ...options });
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.topology;
}

function nodeOf(topology: ResolvedTopology, name: string): ResolvedNode {
  return topology.nodes.find((node) => node.name === name)!;
}

function routesOf(topology: ResolvedTopology, name: string): string[] {
  return nodeOf(topology, name).routes.map(({ destination, gateway }) => `${destination} via ${gateway ?? "-"}`);
}

function addressesOf(topology: ResolvedTopology, name: string): string[] {
  return nodeOf(topology, name).interfaces.flatMap((member) =>
    member.addresses.map(({ address, prefixLength }) => `${member.name} ${address}/${prefixLength}`),
  );
}

function sysctl(topology: ResolvedTopology, node: string, name: string): string | undefined {
  return nodeOf(topology, node).sysctls.find((entry) => entry.name === name)?.value;
}

const cable = (a: string, b: string) => [`${a}:${b}`, `${b}:${a}`];
const at = (addresses: Record<string, string | string[]>, more: object = {}) => ({ interfaces: addresses, ...more });

//      ┌─ r1 ─┐
//   a ─┤      ├─ b     two ways of the same length
//      └─ r2 ─┘
const diamond = {
  nodes: {
    a: at({ r1: "10.1.0.2/24", r2: "10.2.0.2/24" }, { sysctls: { "net.ipv4.ip_forward": 0 } }),
    r2: at({ a: "10.2.0.1/24", b: "10.4.0.1/24" }),
    r1: at({ a: "10.1.0.1/24", b: "10.3.0.1/24" }),
    b: at({ r1: "10.3.0.2/24", r2: "10.4.0.2/24" }, { sysctls: { "net.ipv4.ip_forward": 0 } }),
  },
  links: [cable("a", "r1"), cable("a", "r2"), cable("r1", "b"), cable("r2", "b")],
};

test("with two ways each network is reached by the shortest; of equal ones the router first in the file is taken", (t) => {
  const topology = read(diamond);
  t.deepEqual(routesOf(topology, "a"), ["10.4.0.0/24 via 10.2.0.1", "10.3.0.0/24 via 10.1.0.1"]);
  t.deepEqual(routesOf(topology, "r1"), []);
  const ring = read({
    nodes: Object.fromEntries(
      [0, 1, 2, 3].map((i) => [`r${i}`, at({ right: `10.0.${i}.1/24`, left: `10.0.${(i + 3) % 4}.2/24` })]),
    ),
    links: [0, 1, 2, 3].map((i) => [`r${i}:right`, `r${(i + 1) % 4}:left`]),
  });
  // r0 is in 10.0.0/24 and 10.0.3/24; the two others are one router away on either side, r1 and r3.
  t.deepEqual(routesOf(ring, "r0"), ["10.0.1.0/24 via 10.0.0.2", "10.0.2.0/24 via 10.0.3.1"]);
});

//   outside ═══ nat ═══ inside ═══ deep      nat masquerades 10/8 on its way out
const masqueraded = (masquerade: object) => ({
  nodes: {
    outside: at({ nat: "203.0.113.2/24" }),
    nat: at({ outside: "203.0.113.1/24", inside: "10.1.0.1/24" }, { nat: [{ action: "masquerade", ...masquerade }] }),
    inside: at({ nat: "10.1.0.2/24", deep: "10.2.0.1/24" }),
    deep: at({ inside: "10.2.0.2/24" }),
  },
  links: [cable("outside", "nat"), cable("nat", "inside"), cable("inside", "deep")],
});

/*
 *   pc -- r1 -- r2 -- far      r1 -- r2 is down, r1 -- r3 -- r2 is not
 *         r1 -- r3 -- r2
 */
test("ways lead over links that are up; what those do not lead to keeps its way, and nobody stops to forward", (t) => {
  const ring = (direct: object, round: object = {}) =>
    read({
      nodes: {
        pc: { interfaces: { eth0: "10.1.0.2/24" } },
        r1: { interfaces: { lan: "10.1.0.1/24", east: "10.12.0.1/24", south: "10.13.0.1/24" } },
        r2: { interfaces: { west: "10.12.0.2/24", lan: "10.2.0.1/24", south: "10.23.0.2/24" } },
        r3: { interfaces: { west: "10.13.0.3/24", east: "10.23.0.3/24" } },
        far: { interfaces: { eth0: "10.2.0.2/24" } },
      },
      links: [
        ["pc:eth0", "r1:lan"],
        { ends: ["r1:east", "r2:west"], ...direct },
        { ends: ["r1:south", "r3:west"], ...round },
        ["r3:east", "r2:south"],
        ["r2:lan", "far:eth0"],
      ],
    });
  const up = ring({});
  const wayOf = (topology: ResolvedTopology, node: string, to: string) =>
    routesOf(topology, node).filter((route) => route.startsWith(to));
  t.deepEqual(wayOf(up, "r1", "10.2.0.0/24"), ["10.2.0.0/24 via 10.12.0.2"]);
  t.deepEqual(wayOf(ring({ up: false }), "r1", "10.2.0.0/24"), ["10.2.0.0/24 via 10.13.0.3"]);
  // One end is enough: the other has no carrier then.
  const half = ring({ ends: ["r1:east", { at: "r2:west", up: false }] });
  t.deepEqual(wayOf(half, "r1", "10.2.0.0/24"), ["10.2.0.0/24 via 10.13.0.3"]);
  const none = ring({ up: false }, { up: false });
  t.deepEqual(wayOf(none, "r1", "10.2.0.0/24"), ["10.2.0.0/24 via 10.12.0.2"]);
  for (const node of ["r1", "r3"]) t.is(sysctl(none, node, "net.ipv4.ip_forward"), "1", node);
  for (const topology of [up, none]) t.deepEqual(routesOf(topology, "pc"), ["0.0.0.0/0 via 10.1.0.1"]);
});

test("nothing behind a masquerade is announced outside it, at any depth", (t) => {
  for (const masquerade of [{ from: "10.0.0.0/8", out: "outside" }, { out: "outside" }]) {
    const topology = read(masqueraded(masquerade));
    t.deepEqual(routesOf(topology, "outside"), []);
    t.deepEqual(routesOf(topology, "nat"), ["10.2.0.0/24 via 10.1.0.2"]);
    t.deepEqual(routesOf(topology, "deep"), ["0.0.0.0/0 via 10.2.0.1"]);
    t.deepEqual(routesOf(topology, "inside"), ["203.0.113.0/24 via 10.1.0.1"]);
  }
});

test("what only part of a masquerade covers is announced, and then not by a default route", (t) => {
  const topology = read(masqueraded({ from: "10.1.0.0/24", out: "outside" }));
  t.deepEqual(routesOf(topology, "outside"), ["10.2.0.0/24 via 203.0.113.1"]);
});

test("routing none: no routes are worked out, for the file or for one node", (t) => {
  for (const node of Object.keys(diamond.nodes)) t.deepEqual(routesOf(read({ ...diamond, routing: "none" }), node), []);
  const without = { ...diamond.nodes, r2: { ...diamond.nodes.r2, routing: "none" } };
  const topology = read({ ...diamond, nodes: without });
  t.deepEqual(routesOf(topology, "r2"), []);
  t.deepEqual(routesOf(topology, "a"), ["0.0.0.0/0 via 10.1.0.1"], "no way leads over a node that does not take part");
});

test("a route of the file takes the place of the one worked out", (t) => {
  const nodes = { ...diamond.nodes, a: { ...diamond.nodes.a, routes: [{ to: "10.4.0.0/24", via: "10.1.0.1" }] } };
  t.deepEqual(routesOf(read({ ...diamond, nodes }), "a"), ["10.4.0.0/24 via 10.1.0.1", "10.3.0.0/24 via 10.1.0.1"]);
});

test("with an uplink every router has a default route towards it", (t) => {
  const form = masqueraded({ from: "10.0.0.0/8", out: "outside" });
  const nodes = { ...form.nodes, outside: { ...form.nodes.outside, uplink: true } };
  const topology = read({ ...form, nodes });
  t.deepEqual(routesOf(topology, "inside"), ["203.0.113.0/24 via 10.1.0.1", "0.0.0.0/0 via 10.1.0.1"]);
  t.true(nodeOf(topology, "outside").uplink);
  t.is(sysctl(topology, "outside", "net.ipv4.ip_forward"), "1");
});

test("only nodes between networks forward, and a container never does by itself", (t) => {
  const topology = read({
    nodes: {
      host: {},
      box: { container: { command: ["sh"] } },
      router: { container: { command: ["sh"] }, sysctls: { "net.ipv4.ip_forward": 1 } },
    },
    networks: {
      one: { bridge: "host:one", subnets: "10.1.0.0/24", members: ["box", "router"] },
      two: { bridge: "host:two", subnets: ["10.2.0.0/24", "fd00::/64"], members: ["box", "router"] },
    },
  });
  const forwards = (name: string) => sysctl(topology, name, "net.ipv4.ip_forward");
  t.deepEqual(["host", "box", "router"].map(forwards), ["1", "0", "1"]);
  t.is(sysctl(topology, "host", "net.ipv6.conf.all.forwarding"), "0", "one network of IPv6 only");
});

test("addresses that are not given come from the subnets, in the order of the file, round those that are", (t) => {
  const topology = read({
    nodes: { sw: {}, "h[1-4]": {} },
    networks: {
      lan: {
        bridge: "sw:br0",
        subnets: ["10.0.0.0/29", "fd00::/64"],
        members: { h1: {}, h2: "10.0.0.2", h3: ["10.0.0.1", "fd00::9"], h4: { addresses: "192.0.2.4/30" } },
      },
    },
  });
  t.deepEqual(addressesOf(topology, "sw"), ["br0 10.0.0.3/29", "br0 fd00::1/64"]);
  t.deepEqual(addressesOf(topology, "h1"), ["eth0 10.0.0.4/29", "eth0 fd00::2/64"]);
  t.deepEqual(addressesOf(topology, "h2"), ["eth0 10.0.0.2/29", "eth0 fd00::3/64"]);
  t.deepEqual(addressesOf(topology, "h3"), ["eth0 10.0.0.1/29", "eth0 fd00::9/64"]);
  t.deepEqual(addressesOf(topology, "h4"), ["eth0 192.0.2.4/30", "eth0 10.0.0.5/29", "eth0 fd00::4/64"]);
});

test("a pool gives each link its own subnet and leaves out what the file uses elsewhere", (t) => {
  const topology = read({
    pools: { transit: { from: "10.0.0.0/24", ipv4: 31 } },
    nodes: { a: at({ eth9: "10.0.0.2/31" }), b: at({ eth9: "10.0.0.3/31" }) },
    links: [["a:eth9", "b:eth9"], { ends: ["a:eth[0-2]", "b:eth[0-2]"], pool: "transit" }],
  });
  t.deepEqual(addressesOf(topology, "a"), [
    "eth9 10.0.0.2/31",
    "eth0 10.0.0.0/31",
    "eth1 10.0.0.4/31",
    "eth2 10.0.0.6/31",
  ]);
});

test("defaults merge objects and give way to everything else", (t) => {
  const topology = read({
    defaults: {
      container: { limits: { pids: 9, memory: "1M" }, environment: { A: "1" }, capabilities: { drop: ["net_raw"] } },
      link: { mtu: 1400, rate: "1mbit" },
    },
    nodes: {
      a: { container: { command: ["sh"], limits: { memory: "2M" }, environment: { B: "2" } } },
      b: {},
    },
    links: [["a:eth0", { at: "b:eth0", mtu: 9000 }]],
  });
  const container = nodeOf(topology, "a").container!;
  t.deepEqual(container.limits, { memory: 2 * 2 ** 20, pids: 9 });
  t.deepEqual(container.environment.slice(1), [
    ["A", "1"],
    ["B", "2"],
  ]);
  t.false(container.capabilities.includes("net_raw"));
  t.deepEqual(
    topology.links[0]!.ends.map(({ mtu }) => mtu),
    [1400, 9000],
  );
  t.is(topology.links[0]!.ends[1].shaping?.rate, 1e6);
});

test("variables: a text takes their values in, a text of nothing else takes their type, --set changes them", (t) => {
  const form = {
    variables: { n: 2, name: "web", pids: 8 },
    nodes: {
      "${name}[1-${n}]": {
        container: { command: ["echo", "$${name}", "${name}-${n}"], limits: { pids: "${pids}" } },
      },
    },
  };
  const topology = read(form);
  t.deepEqual(
    topology.nodes.map(({ name }) => name),
    ["web1", "web2"],
  );
  t.deepEqual(nodeOf(topology, "web1").container?.command, ["echo", "${name}", "web-2"]);
  t.is(nodeOf(topology, "web1").container?.limits.pids, 8);
  const set = read(form, { variables: { name: "db", n: "1" } });
  t.deepEqual(
    set.nodes.map(({ name }) => name),
    ["db1"],
  );
  for (const variables of [{ nme: "x" }, { n: "many" }]) {
    const result = readTopology(JSON.stringify(form), { path: "x.json", variables });
    t.false(result.ok);
    t.is(result.problems[0]?.code, "variable");
  }
});

test("names of more than 15 bytes are shortened on the wire and kept beside it", (t) => {
  const topology = read({
    nodes: {
      "loadbalancer-north": {},
      sw: { firewall: { forward: { rules: [{ action: "drop", in: "an-office-bridge" }] } } },
    },
    networks: { lan: { bridge: "sw:an-office-bridge", subnets: "10.0.0.0/24", members: ["loadbalancer-north"] } },
  });
  const { interfaces, bridges, nftables } = nodeOf(topology, "sw");
  t.deepEqual(
    interfaces.map(({ longName }) => longName),
    ["an-office-bridge", "vethloadbalancer-north"],
  );
  t.true(interfaces.every(({ name }) => name.length === 15));
  t.is(bridges[0]?.name, interfaces[0]?.name);
  t.is(topology.links[0]?.ends[1].master, interfaces[0]?.name);
  t.like(nftables[0]?.chains[0]?.rules[0]?.statements[0], { field: "iifname", value: interfaces[0]?.name });
  t.is(graph(topology).nodes[1]?.interfaces[0]?.name, "an-office-bridge");
});

test("link-layer addresses are stable, local, unicast and all different", (t) => {
  const form = {
    nodes: { sw: {}, "h[1-200]": {} },
    networks: { lan: { bridge: "sw:br0", subnets: "10.0.0.0/16", members: ["h[1-200]"] } },
  };
  const macs = (name: string) => read({ name, ...form }).links.flatMap(({ ends }) => ends.map(({ mac }) => mac));
  t.deepEqual(macs("one"), macs("one"));
  t.is(new Set([...macs("one"), ...macs("two")]).size, 800);
  t.true(macs("one").every((mac) => mac.startsWith("02:")));
});

test("a name is known by its nearest address", (t) => {
  const topology = read(masqueraded({ out: "outside" }));
  t.deepEqual(
    topology.hosts.find(([, names]) => names.includes("nat")),
    ["203.0.113.1", ["nat"]],
  );
  t.deepEqual(nodeOf(topology, "inside").hosts, [["10.1.0.1", ["nat"]]]);
  t.deepEqual(nodeOf(topology, "outside").hosts, []);
});

test("bridgeNetfilter is off where a bridge is, and on when it is asked for", (t) => {
  const form = { nodes: { sw: { bridges: { br0: [] } }, a: {} } };
  const name = "net.bridge.bridge-nf-call-iptables";
  const entry = (topology: ResolvedTopology) => nodeOf(topology, "sw").sysctls.find((one) => one.name === name);
  t.deepEqual(entry(read(form)), { name, value: "0", optional: true });
  t.deepEqual(entry(read({ ...form, bridgeNetfilter: true })), { name, value: "1" });
  t.is(sysctl(read(form), "a", name), undefined);
});

test("roots and commands are looked for where there is a machine to ask", (t) => {
  const form = JSON.stringify({
    nodes: { a: { container: { command: ["nginx"] } }, b: { container: { command: ["sh"], root: "./debian" } } },
  });
  const files = {
    rootExists: (root: string) => root === "/",
    commandExists: (_: string, command: string) => command === "sh",
  };
  const result = readTopology(form, { path: "x.json", files });
  t.deepEqual(
    result.problems.map(({ message }) => message),
    ['the root / has no command "nginx"', "there is no directory or archive ./debian"],
  );
  t.true(readTopology(form, { path: "x.json" }).ok);
});

test("the picture's data: roles, bridges, ports and lines", (t) => {
  const text = readFileSync(new URL("../../../topologies/docker-bridge.json", import.meta.url), "utf8");
  const { nodes, links } = graph(read(text));
  t.deepEqual(
    nodes.map(({ name, role, router, nat, firewall }) => [name, role, router, nat, firewall]),
    [
      ["client", "namespace", false, false, false],
      ["host", "machine", true, true, true],
      ["web", "container", false, false, false],
    ],
  );
  t.deepEqual(nodes[1]?.interfaces[2], { name: "vethweb", kind: "port", master: "yapc0", addresses: [] });
  t.deepEqual(links[1], {
    from: { node: "web", interface: "eth0", up: true },
    to: { node: "host", interface: "vethweb", up: true },
  });
});

test("no text makes the reader throw", (t) => {
  const folder = new URL("../../../topologies/", import.meta.url);
  const texts = readdirSync(folder)
    .filter((file) => file.endsWith(".json") && !["schema.json", "web-farm.json"].includes(file))
    .map((file) => readFileSync(new URL(file, folder), "utf8"));
  const words = [
    "",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "null",
    "-1",
    "1e999",
    '"a"',
    "${",
    "${x}",
    "[1-3]",
    "\0",
    "😀",
    "//",
    "true",
  ];
  words.push('"nodes"', '"__proto__"', '"10.0.0.1/24"', '"a:b"', "{}", '"host:eth0"', '"web"', '"default"', "[9-1]");
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.array(fc.tuple(fc.nat(), fc.nat(20), fc.constantFrom(...words)), { minLength: 1, maxLength: 4 }),
      (text, edits) => {
        let edited = text;
        for (const [where, length, word] of edits) {
          const start = where % edited.length;
          edited = edited.slice(0, start) + word + edited.slice(start + length);
        }
        const result = readTopology(edited, { path: "fuzz.json" });
        if (!result.ok) ok(formatProblems(result.problems).length > 0);
      },
    ),
    { numRuns: process.env.YAPC_NET_SOAK === "1" ? 50_000 : 1_500 },
  );
  t.pass();
});

test("no JSON value in the place of another makes the reader throw", (t) => {
  const text = readFileSync(
    new URL("../../../test/topology/fixtures/good/docker-bridge.json", import.meta.url),
    "utf8",
  );
  const json = JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, "")) as unknown;
  const replaceAt = (value: unknown, position: { left: number }, other: unknown): unknown => {
    if (position.left-- === 0) return other;
    if (Array.isArray(value)) return value.map((item) => replaceAt(item, position, other));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaceAt(inner, position, other)]));
  };
  for (const other of [null, 0, -1, 1.5, "", "x", "[1-2]", [], [[]], {}, { a: 1 }, true]) {
    for (let position = 0; position < 110; position++) {
      const result = readTopology(JSON.stringify(replaceAt(json, { left: position }, other)), { path: "x.json" });
      if (!result.ok) t.true(result.problems.every(({ line }) => line === 1));
    }
  }
});

//   red1 ─ provider ─ red-ce ─ red2      the same networks twice: once in table 10, once in table 20
//  blue1 ─┘        └─ blue-ce ─ blue2
const provider = {
  nodes: {
    provider: {
      interfaces: {
        red: { vrf: { table: 10, members: ["red1", "red-ce"] } },
        blue: { vrf: { table: 20, members: ["blue1", "blue-ce"] }, addresses: "192.0.2.1/32" },
        ...Object.fromEntries<string | string[]>(
          ["red", "blue"].flatMap((name): [string, string | string[]][] => [
            [`${name}1`, "10.0.1.1/24"],
            [`${name}-ce`, ["10.0.2.1/24", "fd00:2::1/64"]],
          ]),
        ),
      },
      routes: [{ to: "198.51.100.0/24", interface: "red1" }],
    },
    ...Object.fromEntries(
      ["red", "blue"].flatMap((name) => [
        [`${name}1`, at({ provider: "10.0.1.2/24" })],
        [`${name}-ce`, at({ provider: ["10.0.2.2/24", "fd00:2::2/64"], [`${name}2`]: "10.0.3.1/24" })],
        [`${name}2`, at({ [`${name}-ce`]: "10.0.3.2/24" })],
      ]),
    ),
  },
  links: ["red", "blue"].flatMap((name) => [
    cable("provider", `${name}1`),
    cable("provider", `${name}-ce`),
    cable(`${name}-ce`, `${name}2`),
  ]),
};

test("each vrf routes by itself, in its table; what only vrfs keep apart may be the same", (t) => {
  const result = readTopology(JSON.stringify(provider), { path: "lab.json", strict: true });
  t.is(formatProblems(result.problems), "");
  const topology = read(provider);
  const routes = nodeOf(topology, "provider").routes.map(
    ({ destination, gateway, interface: out, table }) =>
      `${destination} ${gateway ?? "-"} ${out ?? "-"} ${table ?? "main"}`,
  );
  t.deepEqual(routes, [
    "198.51.100.0/24 - red1 10",
    "10.0.3.0/24 10.0.2.2 red-ce 10",
    "10.0.3.0/24 10.0.2.2 blue-ce 20",
  ]);
  t.deepEqual(routesOf(topology, "red1"), ["0.0.0.0/0 via 10.0.1.1"]);
  t.deepEqual(routesOf(topology, "red-ce"), ["10.0.1.0/24 via 10.0.2.1"]);
  t.deepEqual(routesOf(topology, "blue-ce").toSorted(), ["10.0.1.0/24 via 10.0.2.1", "192.0.2.1/32 via 10.0.2.1"]);
  t.is(sysctl(topology, "provider", "net.ipv4.ip_forward"), "1");
  const vrfs = nodeOf(topology, "provider").interfaces.map(({ name, vrf }) => `${name} ${vrf ?? "-"}`);
  t.deepEqual(vrfs, ["red -", "blue -", "red1 red", "red-ce red", "blue1 blue", "blue-ce blue"]);
});

test("a node with one network in each vrf passes nothing between them", (t) => {
  const topology = read({
    nodes: {
      m: { interfaces: { mgmt: { vrf: { table: 10, members: ["a"] } }, a: "10.0.1.1/24", b: "10.0.2.1/24" } },
      a: at({ m: "10.0.1.2/24" }),
      b: at({ m: "10.0.2.2/24" }),
    },
    links: [cable("m", "a"), cable("m", "b")],
  });
  t.is(sysctl(topology, "m", "net.ipv4.ip_forward"), "0");
  t.deepEqual(routesOf(topology, "a"), []);
});
