/** Sockets: those of a namespace, listed and destroyed, and our own, whose replies are cut off at every byte. */
import test, { type ExecutionContext } from "ava";
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NETLINK_SOCK_DIAG,
  NetlinkClient,
  NetlinkSocket,
  RecordingTransport,
  type Request,
  addresses,
  conntrack,
  links,
  neighbours,
  nftables,
  nsids,
  qdiscs,
  readOffloads,
  routes,
  rules,
  sockets,
  writeOffloads,
} from "../../src/kernel/index.js";
import { feed } from "./fuzz.js";
import { NamespaceHost, type TestNamespace, until } from "./namespaces.js";
import { testWith } from "../tools.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

/** Listens on TCP 8080, with a connection to itself, and UDP 53, both of the loopback; ends with the test. */
async function listening(t: ExecutionContext, ns: TestNamespace): Promise<sockets.InetSocket[]> {
  const script = `
    const { connect, createServer } = require("node:net");
    createServer().listen(8080, "127.0.0.1", () => connect(8080, "127.0.0.1"));
    require("node:dgram").createSocket("udp6").bind(53, "::1");
    setTimeout(() => process.exit(), 60_000);`;
  ns.run("ip link set lo up");
  const pid = Number(ns.run(`${process.execPath} -e '${script}' >/dev/null 2>&1 & echo $!`));
  t.teardown(() => process.kill(pid, "SIGKILL"));
  using client = ns.diagnosis();
  return await until(() => {
    const all = sockets.listListeners(client);
    return all.length >= 2 ? all : undefined;
  }, "the listeners");
}

test("sockets are listed and destroyed", async (t) => {
  const ns = host.create();
  const listeners = await listening(t, ns);
  using client = ns.diagnosis();
  t.deepEqual(
    listeners.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`),
    ["tcp 127.0.0.1 8080", "udp ::1 53"],
  );
  t.true(sockets.destroyAll(client) >= 3);
  t.deepEqual(client.execute(sockets.list({ protocol: "tcp", family: 4, states: ["established", "listen"] })), []);
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

testWith("nft")("replies of a live kernel, cut off at every byte, crash nothing", async (t) => {
  const ns = host.create();
  ns.run(
    "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 && ip address add 10.0.0.1/24 dev br0 && ip link set br0 up && ip route add 10.1.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3 && tc qdisc add dev v0 root tbf rate 1mbit burst 4096 limit 9000",
  );
  ns.run(
    "nft -f -",
    'table inet t { chain c { type filter hook input priority 0; tcp dport { 1, 5-9 } counter log prefix "x" drop; ct state new counter; }; }',
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
    neighbours.list(),
    nsids.list(),
    qdiscs.list(),
  ];
  for (const request of dumps) routeClient.execute(request);
  const netfilter = recording(NETLINK_NETFILTER);
  using netfilterClient = new NetlinkClient(netfilter);
  nftables.readTables(netfilterClient);
  await listening(t, ns);
  await until(
    () => (netfilterClient.execute(conntrack.flows.list()).length > 0 ? true : undefined),
    "the connection in the list",
  );
  const diagnosis = recording(NETLINK_SOCK_DIAG);
  using diagnosisClient = new NetlinkClient(diagnosis);
  t.true(sockets.listListeners(diagnosisClient).length > 0);
  let inputs = 0;
  for (const { received } of [route, netfilter, diagnosis].flatMap(({ exchanges }) => exchanges)) {
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
