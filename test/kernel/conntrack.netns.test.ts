/** Connection tracking, listed and listened to, beside conntrack(8). */
import test from "ava";
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  type RouteEvent,
  conntrack,
  links,
  listenRoute,
  nftables,
  nsids,
  readOffloads,
  sockets,
  writeOffloads,
} from "../../src/kernel/index.js";
import { NamespaceHost, type TestNamespace, disposeAfter, until } from "./namespaces.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

/** A web server on port 8080 of 127.0.0.1, reached by DNAT from 127.0.0.1:80; then one request. */
const oneRequest = `
import socket, threading
server = socket.create_server(("127.0.0.1", 8080))
def serve():
    connection, _ = server.accept()
    connection.recv(100)
    connection.close()
threading.Thread(target=serve).start()
client = socket.create_connection(("127.0.0.1", 80))
client.send(b"hello")
client.recv(100)
client.close()
`;

function tracked(): TestNamespace {
  const ns = host.create();
  using route = ns.route();
  route.execute(links.set("lo", { up: true }));
  using client = ns.netfilter();
  nftables.replaceTables(client, [
    {
      family: "ip",
      name: "nat",
      chains: [
        {
          name: "out",
          hook: { type: "nat", hook: "output", priority: -100, policy: "accept" },
          rules: [
            {
              statements: [
                { kind: "match", field: "l4proto", op: "==", value: 6 },
                { kind: "match", field: "th dport", op: "==", value: 80 },
                { kind: "dnat", family: 4, address: "127.0.0.1", port: 8080 },
              ],
            },
          ],
        },
      ],
    },
  ]);
  ns.run("sysctl -q -w net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1");
  return ns;
}

test("a connection through DNAT: its events, its list entry, its end", async (t) => {
  const ns = tracked();
  const events: conntrack.FlowEvent[] = [];
  disposeAfter(
    t,
    conntrack.listenFlows(ns.events(NETLINK_NETFILTER, 1 << 20), {
      onEvent: (event) => events.push(event),
      onResync: () => t.fail("nothing should be lost"),
    }),
  );
  ns.execute(["python3", "-"], oneRequest);
  await until(
    () => events.find(({ flow }) => flow.tcpState === "time_wait" || flow.tcpState === "last_ack"),
    "the close",
  );
  using client = ns.netfilter();
  const [flow] = client.execute(conntrack.flows.list({ status: conntrack.statusBits.destinationNat }));
  t.like(flow, {
    family: 4,
    original: { source: "127.0.0.1", destination: "127.0.0.1", protocol: 6, destinationPort: 80 },
    reply: { protocol: 6, sourcePort: 8080 },
    tcpState: "time_wait",
  });
  t.is(flow!.reply.destinationPort, flow!.original.sourcePort);
  t.true(flow!.counters!.original.packets >= 4);
  t.true(flow!.start! > 1_500_000_000_000_000_000n);
  t.deepEqual(events[0]!.kind, "new");
  t.true(events.every((event) => event.flow.id === flow!.id));
  t.deepEqual([...new Set(events.map((event) => event.flow.tcpState))].slice(0, 3), [
    "syn_sent",
    "syn_recv",
    "established",
  ]);
  t.regex(ns.run("conntrack -L 2>/dev/null"), /tcp .* TIME_WAIT src=127.0.0.1 dst=127.0.0.1 .*dport=80 .*sport=8080/);

  client.execute(conntrack.flows.remove(flow!.original, { id: flow!.id }));
  const end = await until(() => events.find(({ kind }) => kind === "destroy"), "the end");
  t.is(end.flow.id, flow!.id);
  t.throws(() => client.execute(conntrack.flows.remove(flow!.original)), { code: "ENOENT" });
  t.deepEqual(client.execute(conntrack.flows.list()), []);
});

test("an entry that conntrack(8) made is read, filtered by mark and family, and removed", (t) => {
  const ns = tracked();
  using client = ns.netfilter();
  ns.run("conntrack -I -s 192.0.2.1 -d 192.0.2.2 -p udp --sport 1 --dport 53 --timeout 60 --mark 5");
  ns.run("conntrack -I -s 2001:db8::1 -d 2001:db8::2 -p udp --sport 1 --dport 53 --timeout 60");
  const marked = client.execute(conntrack.flows.list({ mark: 5 }));
  t.is(marked.length, 1);
  t.like(marked[0], { original: { source: "192.0.2.1", sourcePort: 1, destinationPort: 53 }, mark: 5 });
  const six = client.execute(conntrack.flows.list({ family: 6 }));
  t.deepEqual(
    six.map(({ original }) => original.source),
    ["2001:db8::1"],
  );
  for (const { original } of [...marked, ...six]) client.execute(conntrack.flows.remove(original));
  t.is(ns.run("conntrack -L 2>/dev/null"), "");
});

test("an overrun of events is told as a resync, and listening goes on", async (t) => {
  const ns = host.create();
  using route = ns.route();
  let resyncs = 0;
  const seen: string[] = [];
  disposeAfter(
    t,
    listenRoute(
      ns.events(NETLINK_ROUTE, 4096),
      {
        onEvent: (event) => (event.kind === "link" ? seen.push(event.link.name) : undefined),
        onResync: () => resyncs++,
      },
      { groups: [1] },
    ),
  );
  // All at once: the event loop does not run between.
  route.executeAll(Array.from({ length: 100 }, (_, i) => links.add({ kind: "bridge", name: `br${i}` })));
  await until(() => (resyncs > 0 ? true : undefined), "the resync");
  route.execute(links.add({ kind: "bridge", name: "last" }));
  await until(() => seen.find((name) => name === "last"), "the event after it");
  t.is(resyncs, 1);
});

test("route events tell what came and went", async (t) => {
  const ns = host.create();
  const events: RouteEvent[] = [];
  disposeAfter(
    t,
    listenRoute(ns.events(NETLINK_ROUTE), {
      onEvent: (event) => events.push(event),
      onResync: () => t.fail("nothing should be lost"),
    }),
  );
  ns.run(
    "ip link add br0 type bridge && ip link set br0 up && ip address add 10.0.0.1/24 dev br0 && ip route add 10.1.0.0/16 via 10.0.0.2 && ip neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev br0 && ip rule add priority 9 lookup main && tc qdisc add dev br0 root tbf rate 1mbit burst 4096 limit 9000 && ip link delete br0",
  );
  const gone = (event: RouteEvent) => event.kind === "link" && event.removed && event.link.name === "br0";
  await until(() => events.find(gone), "the end of br0");
  for (const kind of ["link", "address", "route", "neighbour", "rule", "qdisc"] as const) {
    t.truthy(
      events.find((event) => event.kind === kind && !event.removed),
      kind,
    );
  }
  const route = events.find((event) => event.kind === "route" && event.route.destination === "10.1.0.0/16");
  t.like(route, { removed: false, route: { nexthops: [{ gateway: "10.0.0.2" }] } });
});

/*
 *   here (socket)  knows  other as 77
 */
test("one socket hears every namespace that has a number", async (t) => {
  const [here, other] = [host.create(), host.create()];
  using client = here.route();
  client.execute(nsids.assign(other.fd, 77));
  t.is(client.execute(nsids.get(other.fd)), 77);
  t.deepEqual(client.execute(nsids.list()), [77]);
  t.throws(() => client.execute(nsids.assign(other.fd, 78)), { code: "EEXIST", message: /already has a nsid/ });
  const events: RouteEvent[] = [];
  disposeAfter(
    t,
    listenRoute(
      here.events(NETLINK_ROUTE),
      { onEvent: (event) => events.push(event), onResync: () => t.fail("nothing should be lost") },
      { everywhere: true },
    ),
  );
  other.run("ip link set lo up");
  const event = await until(() => events.find(({ kind }) => kind === "link"), "the event from the other namespace");
  t.like(event, { kind: "link", nsid: 77, link: { name: "lo", up: true } });
});

test("sockets are listed and destroyed", async (t) => {
  const ns = host.create();
  using route = ns.route();
  route.execute(links.set("lo", { up: true }));
  using client = ns.diagnosis();
  const script =
    "import socket,time\ns=socket.create_server(('127.0.0.1',8080)); c=socket.create_connection(('127.0.0.1',8080)); a,_=s.accept()\nu=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM); u.bind(('::1',53)); time.sleep(60)";
  const pid = Number(ns.run(`python3 -c "${script}" >/dev/null 2>&1 & echo $!`));
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
