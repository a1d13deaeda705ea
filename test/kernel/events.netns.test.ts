/** Events of rtnetlink, of one namespace and of all, beside what ip(8) and tc(8) do. */
import test from "ava";
import { NETLINK_ROUTE, type RouteEvent, links, listenRoute, nsids } from "../../src/kernel/index.js";
import { NamespaceHost, disposeAfter, until } from "./namespaces.js";

const host = new NamespaceHost();
test.after.always(() => host[Symbol.dispose]());

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
