/** Plans, carried out on a small kernel in memory: twice is nothing, any lab becomes any other, and back. */
import { deepStrictEqual } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { describe } from "../../src/plan/describe.js";
import type { Operation } from "../../src/plan/operation.js";
import { plan } from "../../src/plan/plan.js";
import { undo } from "../../src/plan/undo.js";
import { formatProblems } from "../../src/topology/problem.js";
import { readTopology } from "../../src/topology/read.js";
import type { ResolvedTopology } from "../../src/topology/resolved.js";
import { anyTopology } from "./any-topology.js";
import { KernelError, ModelKernel } from "./model-kernel.js";

const folder = new URL("../../../topologies/", import.meta.url);

function read(text: string, variables: Record<string, string> = {}): ResolvedTopology {
  const result = readTopology(text, { path: "lab.json", name: "lab", variables });
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.topology;
}

const shipped = readdirSync(folder)
  .filter((file) => file.endsWith(".json") && file !== "schema.json")
  .map((file) => ({
    file,
    topology: read(readFileSync(new URL(file, folder), "utf8"), file === "web-farm.json" ? { count: "5" } : {}),
  }));

function build(topology: ResolvedTopology, kernel = new ModelKernel(), before?: ResolvedTopology): Operation[] {
  const { originals } = kernel;
  const { operations } = plan(topology, before && { snapshot: kernel.snapshot(), topology: before, originals });
  for (const operation of operations) {
    try {
      kernel.apply(operation);
    } catch (error) {
      throw new Error(`${describe(operation)}\n  in\n${operations.map(describe).join("\n")}`, { cause: error });
    }
  }
  return [...operations];
}

/** As `apply` does: going down takes what is on an interface with it, and what is gone need not be removed. */
function takeBack(kernel: ModelKernel, done: readonly Operation[]): void {
  const absent = /^(ENOENT|ESRCH|ENODEV|EADDRNOTAVAIL) /;
  for (const back of done.toReversed().flatMap(undo)) {
    try {
      kernel.apply(back);
    } catch (error) {
      const isGone = back.kind.endsWith(".remove") && error instanceof KernelError && absent.test(error.message);
      if (!isGone) throw error;
    }
  }
}

function builtState(topology: ResolvedTopology): unknown {
  const kernel = new ModelKernel();
  build(topology, kernel);
  return kernel.state();
}

for (const { file, topology } of shipped) {
  test(`${file}: applied twice is nothing`, (t) => {
    const kernel = new ModelKernel();
    build(topology, kernel);
    const again = plan(topology, { snapshot: kernel.snapshot(), topology });
    t.deepEqual(again.operations.map(describe), []);
  });
}

test("each shipped lab becomes each other, as if built from nothing", (t) => {
  for (const { file: from, topology: a } of shipped) {
    for (const { file: to, topology: b } of shipped) {
      const kernel = new ModelKernel();
      build(a, kernel);
      build(b, kernel, a);
      t.deepEqual(kernel.state(), builtState(b), `${from} -> ${to}`);
    }
  }
});

/** Inside a property node's own assertions: they throw, so that fast-check shrinks what fails and names its seed. */
const runs = process.env.YAPC_NET_SOAK === "1" ? 5000 : 250;

test("any lab becomes any other, as if built from nothing, and applying twice is nothing", (t) => {
  fc.assert(
    fc.property(anyTopology, anyTopology, (first, second) => {
      const [a, b] = [read(first), read(second)];
      const kernel = new ModelKernel();
      build(a, kernel);
      build(b, kernel, a);
      deepStrictEqual(kernel.state(), builtState(b));
      deepStrictEqual(
        plan(b, { snapshot: kernel.snapshot(), topology: b, originals: kernel.originals }).operations.map(describe),
        [],
      );
    }),
    { numRuns: runs },
  );
  t.pass();
});

test("a plan that fails anywhere is undone to what was there", (t) => {
  fc.assert(
    fc.property(anyTopology, anyTopology, fc.double({ min: 0, max: 1, noNaN: true }), (first, second, where) => {
      const [a, b] = [read(first), read(second)];
      const kernel = new ModelKernel();
      build(a, kernel);
      const before = kernel.state();
      const { operations } = plan(b, { snapshot: kernel.snapshot(), topology: a, originals: kernel.originals });
      const done = operations.slice(0, Math.round(where * operations.length));
      for (const operation of done) kernel.apply(operation);
      takeBack(kernel, done);
      deepStrictEqual(kernel.state(), before);
    }),
    { numRuns: runs },
  );
  t.pass();
});

/** The same lab, with each link and the links of each network up or down as these say. */
function flipped(text: string, ups: readonly boolean[]): string {
  const form = JSON.parse(text) as { networks: Record<string, { up?: boolean }>; links: { up?: boolean }[] };
  for (const [index, each] of [...form.links, ...Object.values(form.networks)].entries()) each.up = ups[index] ?? true;
  return JSON.stringify(form);
}

test("links of any lab go down and come up, as if it had been built so, and back where it fails", (t) => {
  const ups = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(anyTopology, ups, ups, fc.double({ min: 0, max: 1, noNaN: true }), (text, first, second, where) => {
      const [a, b] = [read(flipped(text, first)), read(flipped(text, second))];
      const kernel = new ModelKernel();
      build(a, kernel);
      const before = kernel.state();
      const current = { snapshot: kernel.snapshot(), topology: a, originals: kernel.originals };
      const { operations } = plan(b, current);
      const done = operations.slice(0, Math.round(where * operations.length));
      for (const operation of done) kernel.apply(operation);
      takeBack(kernel, done);
      deepStrictEqual(kernel.state(), before);
      build(b, kernel, a);
      deepStrictEqual(kernel.state(), builtState(b));
    }),
    { numRuns: runs },
  );
  t.pass();
});

const undone: Readonly<Record<string, readonly [string, string]>> = {
  "a port that was taken off its bridge comes back with its settings": [
    onBridge("br0", "", `"members": ["a"], "isolated": true`),
    onBridge("br1", "", `"members": ["a"]`),
  ],
  "a bridge that had no ports has the MTU back that it was made with": [
    onBridge("br0", `"mtu": 1400`, `"members": []`),
    onBridge("br0", "", `"members": ["a"]`),
  ],
  "a bridge keeps its MTU when the ports that it was to get have gone": [
    onBridge("br0", `"mtu": 1400`, `"members": []`),
    onBridge("br0", `"mtu": 1400`, `"members": ["a"]`),
  ],
};

function onBridge(bridge: string, settings: string, network: string): string {
  return `{
    "nodes": { "a": {}, "b": { "bridges": { "${bridge}": { ${settings} } } } },
    "networks": { "n": { "bridge": "b:${bridge}", "subnets": ["10.9.0.0/24"], ${network} } }
  }`;
}

for (const [title, [first, second]] of Object.entries(undone)) {
  test(`undone at every step: ${title}`, (t) => {
    const [a, b] = [read(first), read(second)];
    const count = differences(first, second).length;
    for (let steps = 0; steps <= count; steps += 1) {
      const kernel = new ModelKernel();
      build(a, kernel);
      const before = kernel.state();
      const { operations } = plan(b, { snapshot: kernel.snapshot(), topology: a, originals: kernel.originals });
      const done = operations.slice(0, steps);
      for (const operation of done) kernel.apply(operation);
      takeBack(kernel, done);
      t.deepEqual(kernel.state(), before, `${steps} of ${count}`);
    }
  });
}

test("a new lab that fails is undone to nothing", (t) => {
  for (const { topology } of shipped) {
    const kernel = new ModelKernel();
    const done = build(topology, kernel);
    takeBack(kernel, done);
    t.is(kernel.nodes.size, 0);
  }
});

const pair = (more = "", link = `["a:eth0", "b:eth0"]`) => `{
  "nodes": {
    "a": { "interfaces": { "eth0": "10.0.0.1/24" } ${more} },
    "b": { "interfaces": { "eth0": "10.0.0.2/24" } }
  },
  "links": [${link}]
}`;

function differences(from: string, to: string, tamper?: (kernel: ModelKernel) => void): string[] {
  const [a, b] = [read(from), read(to)];
  const kernel = new ModelKernel();
  build(a, kernel);
  tamper?.(kernel);
  return plan(b, { snapshot: kernel.snapshot(), topology: a, originals: kernel.originals }).operations.map(describe);
}

test("what changes is changed in place", (t) => {
  const route = `, "routes": [{ "to": "10.9.0.0/16", "via": "10.0.0.2" }]`;
  t.deepEqual(differences(pair(), pair("", `{ "ends": ["a:eth0", "b:eth0"], "mtu": 1400 }`)), [
    "a: set eth0 mtu 1400  (mtu 1500 -> 1400)",
    "b: set eth0 mtu 1400  (mtu 1500 -> 1400)",
  ]);
  t.deepEqual(differences(pair(), pair(route)), ["a: add route 10.9.0.0/16 via 10.0.0.2"]);
  t.deepEqual(differences(pair(route), pair()), [
    "a: remove route 10.9.0.0/16 via 10.0.0.2 dev eth0  (not in the topology)",
  ]);
  t.deepEqual(differences(pair(route), pair(route.replace("0.2", "0.3"))), [
    "a: remove route 10.9.0.0/16 via 10.0.0.2 dev eth0  (changes)",
    "a: add route 10.9.0.0/16 via 10.0.0.3  (via 10.0.0.2 -> 10.0.0.3)",
  ]);
  t.deepEqual(differences(pair(), pair("", `{ "ends": ["a:eth0", "b:eth0"], "rate": "10mbit" }`)), [
    "a: shape eth0 to rate 10 Mbit/s",
    "b: shape eth0 to rate 10 Mbit/s",
  ]);
  t.deepEqual(differences(pair(), pair().replace("10.0.0.2/24", "10.0.0.3/24")), [
    "b: remove address 10.0.0.2/24 from eth0  (not in the topology)",
    "b: add address 10.0.0.3/24 to eth0",
    "a: write /etc/hosts with 2 lines  (names or addresses differ)",
    "b: write /etc/hosts with 2 lines  (names or addresses differ)",
  ]);
});

test("a sysctl of an interface is written once it is there, and comes back with it", (t) => {
  const more = `, "sysctls": { "net.ipv4.conf.eth0.rp_filter": 2 }`;
  const operations = build(read(pair(more)));
  const position = (start: string) => operations.findIndex((operation) => describe(operation).startsWith(start));
  t.true(position("a: write 1 sysctl: net.ipv4.conf.eth0") > position("a:eth0 <-> b:eth0: create link"));
  t.deepEqual(
    differences(pair(more), pair(more), (kernel) =>
      kernel.apply({ kind: "link.delete", node: "a", interface: "eth0" }),
    ),
    [
      "a:eth0 <-> b:eth0: create link",
      "a: write 1 sysctl: net.ipv4.conf.eth0.rp_filter=2  (changed)",
      "a: add address 10.0.0.1/24 to eth0",
      "b: add address 10.0.0.2/24 to eth0",
    ],
  );
});

test("a container is restarted only when its own settings changed", (t) => {
  const box = (command: string, more = "") =>
    `{ "nodes": { "a": { "container": { "command": ["${command}"] } ${more} }, "b": {} }, "links": [["a:eth0", "b:eth0"]] }`;
  t.deepEqual(differences(box("one"), box("one", `, "sysctls": { "net.ipv4.ip_default_ttl": 32 }`)), [
    "a: write 1 sysctl: net.ipv4.ip_default_ttl=32  (64 -> 32)",
  ]);
  t.deepEqual(differences(box("one"), box("two")), [
    "a: stop one  (its settings differ)",
    "a: start two  (its settings differ)",
  ]);
});

test("what somebody took away comes back, and what somebody added goes", (t) => {
  const tampered = (tamper: (kernel: ModelKernel) => void) => differences(pair(), pair(), tamper);
  const address = (text: string) => ({ family: 4, address: text, prefixLength: 24 }) as const;
  t.deepEqual(
    tampered((kernel) =>
      kernel.apply({ kind: "address.remove", node: "a", interface: "eth0", address: address("10.0.0.1") }),
    ),
    ["a: add address 10.0.0.1/24 to eth0"],
  );
  t.deepEqual(
    tampered((kernel) =>
      kernel.apply({ kind: "address.add", node: "a", interface: "eth0", address: address("10.0.0.9") }),
    ),
    ["a: remove address 10.0.0.9/24 from eth0  (not in the topology)"],
  );
  t.deepEqual(
    tampered((kernel) =>
      kernel.apply({ kind: "link.change", node: "b", interface: "eth0", change: { up: false }, previous: {} }),
    ),
    ["b: set eth0 up  (up false -> true)"],
  );
  t.deepEqual(
    tampered((kernel) => kernel.apply({ kind: "link.delete", node: "b", interface: "eth0" })),
    ["a:eth0 <-> b:eth0: create link", "a: add address 10.0.0.1/24 to eth0", "b: add address 10.0.0.2/24 to eth0"],
  );
});

test("a container that does not run is started", (t) => {
  const topology = read(`{ "nodes": { "a": { "container": { "command": ["one"] } } } }`);
  const kernel = new ModelKernel();
  build(topology, kernel);
  const current = { snapshot: kernel.snapshot(), topology, running: new Set<string>() };
  t.deepEqual(plan(topology, current).operations.map(describe), ["a: start one  (does not run)"]);
});

test("interfaces that the caller says are not the lab's stay, with what is on them", (t) => {
  const topology = read(pair());
  const kernel = new ModelKernel();
  build(topology, kernel);
  kernel.apply({
    kind: "bridge.create",
    node: "a",
    bridge: {
      name: "uplink",
      mac: "02:00:00:00:00:99",
      mtu: 1500,
      stp: false,
      ageingTime: 300,
      forwardDelay: 15,
      vlanFiltering: false,
    },
  });
  kernel.apply({ kind: "link.change", node: "a", interface: "uplink", change: { up: true }, previous: {} });
  kernel.apply({
    kind: "address.add",
    node: "a",
    interface: "uplink",
    address: { family: 4, address: "169.254.7.2", prefixLength: 30 },
  });
  kernel.apply({
    kind: "route.add",
    node: "a",
    route: { family: 4, destination: "0.0.0.0/0", type: "unicast", gateway: "169.254.7.1", interface: "uplink" },
  });
  const current = { snapshot: kernel.snapshot(), topology };
  t.deepEqual(plan(topology, current, { owns: (_, member) => member.name !== "uplink" }).operations.map(describe), []);
  t.deepEqual(plan(topology, current).operations.map(describe), [
    "a: remove route default via 169.254.7.1 dev uplink  (its interface goes)",
    "a: remove address 169.254.7.2/30 from uplink  (its interface goes)",
    "a: delete uplink  (not in the topology)",
  ]);
});

test("on the machine itself nothing is made, and only forwarding is switched on", (t) => {
  const topology = read(readFileSync(new URL("docker-bridge.json", folder), "utf8"));
  const host = plan(topology, undefined, { real: true }).operations.filter(
    (operation) => "node" in operation && operation.node === "host",
  );
  t.deepEqual(host.map(describe), [
    "host: write 1 sysctl: net.ipv4.ip_forward=1",
    "host: create bridge yapc0",
    "host: add address 203.0.113.1/24 to eth0",
    "host: add address 10.0.0.1/24 to yapc0",
    "host: add address fd00:10::1/64 to yapc0",
    "host: set yapc0 up",
    "host: load nf_tables inet yapc_filter (1 rule) and inet yapc_nat (13 rules)",
  ]);
});

test("without root a container's ping range is the one group that is mapped", (t) => {
  const topology = read(`{ "nodes": { "a": { "container": { "command": ["sh"] } } } }`);
  const range = (options: { groupSpan?: readonly [number, number] }) =>
    plan(topology, undefined, options)
      .operations.flatMap((operation) => (operation.kind === "sysctl.write" ? operation.entries : []))
      .find(({ name }) => name === "net.ipv4.ping_group_range")?.value;
  t.is(range({}), "0 2147483647");
  t.is(range({ groupSpan: [1001, 1001] }), "1001 1001");
});

test("nodes with the same names to know share one list of them", (t) => {
  const topology = read(`{ "nodes": { "sw": {}, "h[1-50]": {} },
    "networks": { "lan": { "bridge": "sw:br0", "subnets": "10.0.0.0/24", "members": ["h[1-50]"] } } }`);
  const lists = plan(topology).operations.flatMap((operation) =>
    operation.kind === "hosts.write" ? [operation.hosts] : [],
  );
  t.is(lists.length, 51);
  t.is(new Set(lists).size, 1);
});

const withVrf = (vrf: string) => `{
  "nodes": {
    "a": { "interfaces": { "eth0": ["10.0.0.1/24", "fd00::1/64"]${vrf} } },
    "b": { "interfaces": { "eth0": ["10.0.0.2/24", "fd00::2/64"] } }
  },
  "links": [["a:eth0", "b:eth0"]]
}`;
const red = `, "red": { "vrf": { "table": 10, "members": ["eth0"] } }`;

test("a vrf is there before its members join, and they have joined before they have addresses", (t) => {
  const lines = build(read(withVrf(red)))
    .map(describe)
    .filter((line) => line.startsWith("a: ") && !line.includes("sysctl"));
  t.deepEqual(lines.slice(0, 7), [
    "a: create node",
    "a: create vrf red table 10",
    "a: set eth0 into red",
    "a: add address 10.0.0.1/24 to eth0",
    "a: add address fd00::1/64 to eth0",
    "a: set lo up",
    "a: write /etc/hosts with 4 lines",
  ]);
});

test("an interface that joins a vrf, leaves it or changes it takes its addresses along; the same twice is nothing", (t) => {
  t.deepEqual(differences(withVrf(""), withVrf(red)), [
    "a: remove address 10.0.0.1/24 from eth0  (its interface changes its vrf)",
    "a: remove address fd00::1/64 from eth0  (its interface changes its vrf)",
    "a: create vrf red table 10",
    "a: set eth0 into red  (vrf none -> red)",
    "a: add address 10.0.0.1/24 to eth0",
    "a: add address fd00::1/64 to eth0",
  ]);
  t.deepEqual(differences(withVrf(red), withVrf("")), [
    "a: remove address 10.0.0.1/24 from eth0  (its interface changes its vrf)",
    "a: remove address fd00::1/64 from eth0  (its interface changes its vrf)",
    "a: set eth0 out of its vrf  (the vrf red goes)",
    "a: delete red  (not in the topology)",
    "a: add address 10.0.0.1/24 to eth0",
    "a: add address fd00::1/64 to eth0",
  ]);
  t.deepEqual(
    differences(withVrf(red), withVrf(red.replace("10", "11"))).filter((line) => !line.includes("address")),
    [
      "a: set eth0 out of its vrf  (the vrf red goes)",
      "a: delete red  (not in the topology)",
      "a: create vrf red table 11",
      "a: set eth0 into red  (the vrf red is made anew)",
    ],
  );
  t.deepEqual(differences(withVrf(red), withVrf(red)), []);
});

test("a link that is down has its addresses and neighbours, and no routes until it is up", (t) => {
  const lab = (up: boolean, more = "") => `{
    "nodes": {
      "a": {
        "interfaces": { "eth0": ["10.0.0.1/24", "fd00::1/64"] },
        "routes": [{ "to": "10.9.0.0/16", "via": "10.0.0.2" }, { "to": "10.8.0.0/16", "type": "blackhole" }],
        "neighbours": [{ "interface": "eth0", "address": "10.0.0.2", "mac": "02:00:00:00:00:02" }]
      },
      "b": { "interfaces": { "eth0": ["10.0.0.2/24"] ${more} } }
    },
    "links": [{ "ends": ["a:eth0", "b:eth0"], "up": ${up} }]
  }`;
  const operations = build(read(lab(false))).map((operation) => describe(operation));
  t.true(operations.some((text) => text.startsWith("a: add address fd00::1/64")));
  t.true(operations.some((text) => text.startsWith("a: add route blackhole 10.8.0.0/16")));
  t.false(operations.some((text) => text.includes("10.9.0.0/16")));
  t.deepEqual(differences(lab(false), lab(true)), [
    "a: remove neighbour 10.0.0.2 at 02:00:00:00:00:02 on eth0  (its interface comes up)",
    "a: remove address fd00::1/64 from eth0  (its interface comes up)",
    "a: set eth0 up  (up false -> true)",
    "b: set eth0 up  (up false -> true)",
    "a: add address fd00::1/64 to eth0",
    "a: add route 10.9.0.0/16 via 10.0.0.2",
    "a: add neighbour 10.0.0.2 at 02:00:00:00:00:02 on eth0",
  ]);
  // A vlan goes down before what carries it, and comes up by itself with it: a vlan that shall not goes down again.
  const tag = (up?: boolean) =>
    `, "tag": { "vlan": { "parent": "eth0", "id": 7 } ${up === undefined ? "" : `, "up": ${up}`} }`;
  const ofB = (from: string, to: string) => differences(from, to).filter((text) => text.startsWith("b: set"));
  t.deepEqual(ofB(lab(true, tag()), lab(false, tag())), [
    "b: set tag down  (eth0 goes down)",
    "b: set eth0 down  (up true -> false)",
  ]);
  t.deepEqual(ofB(lab(false, tag()), lab(true, tag())), ["b: set eth0 up  (up false -> true)"]);
  t.deepEqual(ofB(lab(false, tag(false)), lab(true, tag(false))), [
    "b: set eth0 up  (up false -> true)",
    "b: set tag down  (up true -> false)",
  ]);
});
