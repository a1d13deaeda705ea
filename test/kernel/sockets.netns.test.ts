/** Sockets: those of a namespace, listed and destroyed, and our own, whose replies are cut off at every byte. */
import test from "ava";
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NetlinkClient,
  NetlinkSocket,
  RecordingTransport,
  type Request,
  addresses,
  links,
  neighbours,
  nftables,
  qdiscs,
  readOffloads,
  routes,
  rules,
  sockets,
  writeOffloads,
} from "../../src/kernel/index.js";
import { feed } from "./fuzz.js";
import { NamespaceHost, until } from "./namespaces.js";
import { testWith } from "../tools.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

test("sockets are listed and destroyed", async (t) => {
  const ns = host.create();
  using route = ns.route();
  route.execute(links.set("lo", { up: true }));
  using client = ns.diagnosis();
  const script = `
    const { connect, createServer } = require("node:net");
    createServer().listen(8080, "127.0.0.1", () => connect(8080, "127.0.0.1"));
    require("node:dgram").createSocket("udp6").bind(53, "::1");
    setTimeout(() => process.exit(), 60_000);`;
  const pid = Number(ns.run(`${process.execPath} -e '${script}' >/dev/null 2>&1 & echo $!`));
  try {
    const listeners = await until(() => {
      const all = sockets.listListeners(client);
      return all.length >= 2 ? all : undefined;
    }, "the listeners");
    t.deepEqual(
      listeners.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`),
      ["tcp 127.0.0.1 8080", "udp ::1 53"],
    );
    t.true(sockets.destroyAll(client) >= 3);
    t.deepEqual(client.execute(sockets.list({ protocol: "tcp", family: 4, states: ["established", "listen"] })), []);
  } finally {
    process.kill(pid, "SIGKILL");
  }
});

test("offloads of a veth are read and written by its own route socket", (t) => {
  const ns = host.create();
  ns.run("ip link add v0 type veth peer name v1");
  const fd = ns.netlink(NETLINK_ROUTE);
  const before = readOffloads(fd, "v0");
  t.deepEqual(before, { tx: true, tso: true, gso: true, gro: before.gro });
  writeOffloads(fd, "v0", { tso: false, gso: false });
  t.deepEqual(readOffloads(fd, "v0"), { ...before, tso: false, gso: false });
  t.throws(() => readOffloads(fd, "nothing"), { code: "ENODEV" });
});

testWith("nft")("replies of a live kernel, cut off at every byte, crash nothing", (t) => {
  const ns = host.create();
  ns.run(
    "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 && ip address add 10.0.0.1/24 dev br0 && ip link set br0 up && ip route add 10.1.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3 && tc qdisc add dev v0 root tbf rate 1mbit burst 4096 limit 9000",
  );
  ns.run(
    "nft -f -",
    'table inet t { chain c { type filter hook input priority 0; tcp dport { 1, 5-9 } counter log prefix "x" drop; }; }',
  );
  const recording = (protocol: number) => new RecordingTransport(new NetlinkSocket(ns.netlink(protocol), protocol));
  const route = recording(NETLINK_ROUTE);
  using routeClient = new NetlinkClient(route);
  const dumps: Request<unknown>[] = [
    links.list(),
    addresses.list(),
    routes.list(),
    rules.list(),
    neighbours.listFdb(),
    qdiscs.list(),
  ];
  for (const request of dumps) routeClient.execute(request);
  const netfilter = recording(NETLINK_NETFILTER);
  using netfilterClient = new NetlinkClient(netfilter);
  nftables.readTables(netfilterClient);
  let inputs = 0;
  for (const { received } of [...route.exchanges, ...netfilter.exchanges]) {
    for (const datagram of received) {
      for (let length = 0; length <= datagram.length; length++) {
        feed(datagram.subarray(0, length));
        inputs++;
      }
    }
  }
  t.log(`${inputs} inputs`);
  t.true(inputs > 5000);
});

test("a socket keeps its namespace, and lets go of it when it is closed", async (t) => {
  const [here, there] = [host.create(), host.create()];
  using client = here.route();
  client.execute(links.add({ kind: "veth", name: "v0", peer: { name: "v1", netnsFd: there.fd } }));
  const inside = there.route();
  there.drop();
  t.is(inside.execute(links.get("v1")).kind, "veth");
  t.is(client.execute(links.get("v0")).name, "v0");
  inside[Symbol.dispose]();
  await until(() => {
    const [outcome] = client.pipeline([links.get("v0")]);
    return outcome.ok ? undefined : outcome.error;
  }, "the end of the pair");
  t.throws(() => inside.execute(links.list()), { message: /closed/ });
});
