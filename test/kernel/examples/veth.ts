import { closeSync, openSync } from "node:fs";
import { NETLINK_ROUTE, NetlinkClient, addresses, links } from "../../../src/kernel/index.js";

// As made by `ip netns add a` and `ip netns add b`.
const a = openSync("/run/netns/a", "r");
const b = openSync("/run/netns/b", "r");

using client = NetlinkClient.open(NETLINK_ROUTE);
client.execute(
  links.add({
    kind: "veth",
    name: "eth0",
    netnsFd: a,
    mac: "02:00:00:00:00:0a",
    up: true,
    peer: { name: "eth0", netnsFd: b, mac: "02:00:00:00:00:0b" },
  }),
);

// What is done inside a namespace is done by a socket of that namespace.
for (const [namespace, address] of [
  [a, "10.0.0.1"],
  [b, "10.0.0.2"],
] as const) {
  using inside = NetlinkClient.openIn(namespace, NETLINK_ROUTE);
  const { index } = inside.execute(links.get("eth0"));
  inside.executeAll([
    links.set("lo", { up: true }),
    links.set(index, { up: true }),
    addresses.add({ index, address, prefixLength: 24 }),
  ]);
}
closeSync(a);
closeSync(b);
