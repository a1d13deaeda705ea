/** The docker-bridge lab as the kernel would tell it, made by hand. Pictured in fixture.ts. */
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../../src/model/snapshot.js";

function iface(
  name: string,
  index: number,
  more: Partial<InterfaceSnapshot> & { readonly packets?: readonly [rx: number, tx: number] } = {},
): InterfaceSnapshot {
  const { packets = [0, 0], ...rest } = more;
  return {
    name,
    index,
    kind: name === "lo" ? "loopback" : "veth",
    ...(name !== "lo" && { mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}` }),
    mtu: name === "lo" ? 65536 : 1500,
    up: true,
    carrier: true,
    operstate: "up",
    altnames: [],
    group: 0,
    addresses: [],
    qdiscs: [],
    statistics: {
      rxPackets: packets[0],
      rxBytes: packets[0] * 112,
      rxErrors: 0,
      rxDropped: name === "eth0" && index === 3 ? 2 : 0,
      txPackets: packets[1],
      txBytes: packets[1] * 98,
      txErrors: 0,
      txDropped: 0,
    },
    ...rest,
  };
}

function address(text: string): InterfaceSnapshot["addresses"][number] {
  const [ip = "", length = "32"] = text.split("/");
  return {
    family: ip.includes(":") ? 6 : 4,
    address: ip,
    prefixLength: Number(length),
    scope: ip.startsWith("fe80") ? "link" : ip.startsWith("127") ? "host" : "global",
    tentative: ip === "fd00:10::a",
  };
}

const loopback = iface("lo", 1, { addresses: [address("127.0.0.1/8"), address("::1/128")] });

function node(name: string, more: Partial<NodeSnapshot>): NodeSnapshot {
  return {
    name,
    role: "namespace",
    netns: "4026532100",
    interfaces: [],
    routes: [],
    rules: [],
    neighbours: [],
    fdb: [],
    nftables: [],
    conntrack: [],
    listeners: [],
    sysctls: {},
    ...more,
  };
}

function route(destination: string, dev: string, gateway?: string): NodeSnapshot["routes"][number] {
  return {
    family: destination.includes(":") ? 6 : 4,
    destination,
    type: "unicast",
    table: 254,
    protocol: 3,
    scope: 0,
    metric: 0,
    nexthops: [{ interface: dev, weight: 1, dead: false, ...(gateway !== undefined && { gateway }) }],
  };
}

export const snapshot: Snapshot = {
  version: 1,
  takenAt: "2026-11-23T01:38:55.120Z",
  lab: "docker-bridge",
  nodes: [
    node("client", {
      netns: "4026532101",
      interfaces: [
        loopback,
        iface("eth0", 2, {
          addresses: [address("203.0.113.2/24")],
          peer: { node: "host", interface: "eth0" },
          packets: [5, 7],
        }),
      ],
      routes: [route("203.0.113.0/24", "eth0")],
    }),
    node("host", {
      role: "machine",
      netns: "4026532102",
      interfaces: [
        loopback,
        iface("eth0", 3, {
          addresses: [address("203.0.113.1/24")],
          peer: { node: "client", interface: "eth0" },
          packets: [7, 5],
        }),
        iface("yapc0", 4, {
          kind: "bridge",
          addresses: [address("10.0.0.1/24"), address("fd00:10::1/64")],
          bridge: { stp: false, ageingTime: 300, forwardDelay: 15, vlanFiltering: false },
          packets: [6, 6],
        }),
        iface("vethweb", 5, {
          master: "yapc0",
          peer: { node: "web", interface: "eth0" },
          port: { state: "forwarding", hairpin: true, isolated: false, learning: true, unicastFlood: true },
          qdiscs: [{ kind: "tbf", handle: "1:", parent: "root", drops: 0, backlog: 0, rate: 12_500_000 }],
          packets: [6, 6],
        }),
      ],
      routes: [
        route("203.0.113.0/24", "eth0"),
        route("10.0.0.0/24", "yapc0"),
        { ...route("192.0.2.0/24", ""), type: "blackhole", nexthops: [] },
      ],
      nftables: [
        {
          family: "inet",
          name: "yapc_filter",
          chains: [
            {
              name: "forward",
              hook: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
              rules: [{ handle: 7, statements: [{ kind: "drop" }], comment: "no 81" }],
            },
          ],
        },
        {
          family: "inet",
          name: "yapc_nat",
          chains: [
            {
              name: "prerouting",
              hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
              rules: [],
            },
          ],
        },
      ],
    }),
    node("web", {
      role: "container",
      netns: "4026532103",
      interfaces: [
        loopback,
        iface("eth0", 2, {
          addresses: [address("10.0.0.10/24"), address("fd00:10::a/64")],
          peer: { node: "host", interface: "vethweb" },
          packets: [6, 6],
        }),
      ],
      routes: [route("0.0.0.0/0", "eth0", "10.0.0.1"), route("10.0.0.0/24", "eth0")],
      listeners: [{ protocol: "tcp", family: 4, address: "0.0.0.0", port: 80 }],
    }),
  ],
};
