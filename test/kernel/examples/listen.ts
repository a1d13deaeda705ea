import { NETLINK_ROUTE, NetlinkClient, NetlinkSocket, links, listenRoute } from "../../../src/kernel/index.js";

const listening = listenRoute(NetlinkSocket.open(NETLINK_ROUTE), {
  onEvent(event) {
    if (event.kind !== "link") return;
    console.log(event.link.name, event.removed ? "removed" : "there");
    if (event.removed) listening[Symbol.dispose]();
  },
  // The kernel had to drop events: list anew what you keep.
  onResync: () => console.log("resync"),
});

// A socket that listens makes no requests: this is another one.
using client = NetlinkClient.open(NETLINK_ROUTE);
client.executeAll([links.add({ kind: "bridge", name: "br0" }), links.remove("br0")]);
