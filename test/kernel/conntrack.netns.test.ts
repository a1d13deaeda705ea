/** Connection tracking, listed and listened to, beside conntrack(8). */
import test from "ava";
import { NETLINK_NETFILTER, conntrack, links, nftables } from "../../src/kernel/index.js";
import { NamespaceHost, type TestNamespace, disposeAfter, until } from "./namespaces.js";
import { testWith } from "../tools.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

/** A web server on port 8080 of 127.0.0.1, reached by DNAT from 127.0.0.1:80; then one request. */
const oneRequest = `
const { connect, createServer } = require("node:net");
const server = createServer((connection) => connection.once("data", () => connection.end()));
server.listen(8080, "127.0.0.1", () => {
  const client = connect(80, "127.0.0.1", () => client.write("hello"));
  client.resume().on("close", () => server.close());
});
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
  ns.run("cd /proc/sys/net/netfilter && echo 1 > nf_conntrack_acct && echo 1 > nf_conntrack_timestamp");
  return ns;
}

testWith("conntrack")("a connection through DNAT: its events, its list entry, its end", async (t) => {
  const ns = tracked();
  const events: conntrack.FlowEvent[] = [];
  disposeAfter(
    t,
    conntrack.listenFlows(ns.events(NETLINK_NETFILTER, 1 << 20), {
      onEvent: (event) => events.push(event),
      onResync: () => t.fail("nothing should be lost"),
    }),
  );
  ns.execute([process.execPath, "-"], oneRequest);
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
  t.true(end.flow.stop! > end.flow.start!);
  t.throws(() => client.execute(conntrack.flows.remove(flow!.original)), { code: "ENOENT" });
  t.deepEqual(client.execute(conntrack.flows.list()), []);
});

testWith("conntrack")("an entry that conntrack(8) made is read, filtered by mark and family, and removed", (t) => {
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
  // Parts of a tuple: the kernel gives those flows alone (a flow of IPv4 that is like the marked one stands beside it).
  ns.run("conntrack -I -s 192.0.2.1 -d 192.0.2.2 -p udp --sport 2 --dport 53 --timeout 60");
  const portsOf = (original: conntrack.TupleFilter) =>
    client.execute(conntrack.flows.list({ family: 4, original })).map((flow) => flow.original.sourcePort);
  t.deepEqual(portsOf({ source: "192.0.2.1" }).sort(), [1, 2]);
  t.deepEqual(portsOf({ destination: "192.0.2.2", protocol: 17, sourcePort: 2 }), [2]);
  t.deepEqual(portsOf({ source: "192.0.2.9" }), []);
  const answering = { family: 4, reply: { destination: "192.0.2.1", protocol: 17, destinationPort: 1 } } as const;
  t.is(client.execute(conntrack.flows.list(answering)).length, 1);
  t.throws(() => conntrack.flows.list({ original: { source: "192.0.2.1" } }), { instanceOf: RangeError });
  t.throws(() => conntrack.flows.list({ family: 4, original: { sourcePort: 1 } }), { instanceOf: RangeError });
  const other = client.execute(conntrack.flows.list({ family: 4, original: { protocol: 17, sourcePort: 2 } }));
  for (const { original } of [...marked, ...six, ...other]) client.execute(conntrack.flows.remove(original));
  t.is(ns.run("conntrack -L 2>/dev/null"), "");
});
