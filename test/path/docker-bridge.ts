/**
 * The seed's picture as a snapshot.
 *
 *   client            host                                       web
 *   eth0 ──────────── eth0   DNAT 8080 -> 10.0.0.10:80,  yapc0   eth0
 *   203.0.113.2   .1         8081 -> 10.0.0.10:81;       ├─ vethweb ── 10.0.0.10
 *                            masquerade 10.0.0.0/24      10.0.0.1
 *                            forward: tcp dport 81 drop "no 81"
 */
import type { NftTable } from "../../src/model/nft.js";
import type { InterfaceSnapshot, NodeSnapshot, RouteSnapshot, Snapshot } from "../../src/model/snapshot.js";

const statistics = {
  rxPackets: 0,
  rxBytes: 0,
  rxErrors: 0,
  rxDropped: 0,
  txPackets: 0,
  txBytes: 0,
  txErrors: 0,
  txDropped: 0,
};

export function iface(
  name: string,
  index: number,
  kind: string,
  more: Partial<InterfaceSnapshot> = {},
): InterfaceSnapshot {
  return {
    name,
    index,
    kind,
    mtu: 1500,
    up: true,
    carrier: true,
    operstate: "up",
    altnames: [],
    group: 0,
    addresses: [],
    statistics,
    qdiscs: [],
    ...more,
  };
}

export function at(address: string, prefixLength: number): InterfaceSnapshot["addresses"][number] {
  return { family: address.includes(":") ? 6 : 4, address, prefixLength, scope: "global", tentative: false };
}

export function lo(): InterfaceSnapshot {
  return iface("lo", 1, "loopback", { addresses: [{ ...at("127.0.0.1", 8), scope: "host" }] });
}

export function route(
  destination: string,
  device: string,
  gateway?: string,
  more: Partial<RouteSnapshot> = {},
): RouteSnapshot {
  return {
    family: destination.includes(":") ? 6 : 4,
    destination,
    type: "unicast",
    table: 254,
    protocol: 3,
    scope: 0,
    metric: 0,
    nexthops: [{ interface: device, weight: 1, dead: false, ...(gateway === undefined ? {} : { gateway }) }],
    ...more,
  };
}

export function node(
  name: string,
  interfaces: readonly InterfaceSnapshot[],
  more: Partial<NodeSnapshot> = {},
): NodeSnapshot {
  return {
    name,
    role: "namespace",
    netns: "1",
    interfaces: [lo(), ...interfaces],
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

export function port(): NonNullable<InterfaceSnapshot["port"]> {
  return { state: "forwarding", hairpin: false, isolated: false, learning: true, unicastFlood: true };
}

export function bridge(): NonNullable<InterfaceSnapshot["bridge"]> {
  return { stp: false, ageingTime: 300, forwardDelay: 0, vlanFiltering: false };
}

export const macs = {
  client: "02:00:00:00:01:01",
  host: "02:00:00:00:01:02",
  bridge: "02:00:00:00:02:01",
  port: "02:00:00:00:02:02",
  web: "02:00:00:00:02:03",
} as const;

export const nat: NftTable = {
  family: "inet",
  name: "yapc_nat",
  chains: [
    {
      name: "prerouting",
      hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
      rules: [
        [8080, 80],
        [8081, 81],
      ].map(([from, to], index) => ({
        handle: index + 2,
        statements: [
          { kind: "match", field: "fib daddr type", op: "==", value: "local" },
          { kind: "match", field: "l4proto", op: "==", value: 6 },
          { kind: "match", field: "th dport", op: "==", value: from ?? 0 },
          { kind: "dnat", family: 4, address: "10.0.0.10", port: to ?? 0 },
        ],
      })),
    },
    {
      name: "postrouting",
      hook: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
      rules: [
        {
          handle: 9,
          statements: [
            { kind: "match", field: "ip saddr", op: "==", value: "10.0.0.0/24" },
            { kind: "match", field: "oifname", op: "==", value: "eth0" },
            { kind: "masquerade" },
          ],
        },
      ],
    },
  ],
};

export const filter: NftTable = {
  family: "inet",
  name: "yapc_filter",
  chains: [
    {
      name: "forward",
      hook: { type: "filter", hook: "forward", priority: 0, policy: "accept" },
      rules: [
        {
          handle: 7,
          comment: "no 81",
          statements: [
            { kind: "match", field: "l4proto", op: "==", value: 6 },
            { kind: "match", field: "th dport", op: "==", value: 81 },
            { kind: "drop" },
          ],
        },
      ],
    },
  ],
};

export const dockerBridge: Snapshot = {
  version: 1,
  takenAt: "2026-11-23T00:00:00.000Z",
  lab: "docker-bridge",
  nodes: [
    node(
      "client",
      [
        iface("eth0", 2, "veth", {
          mac: macs.client,
          peer: { node: "host", interface: "eth0" },
          addresses: [at("203.0.113.2", 24), at("2001:db8::2", 64)],
        }),
      ],
      {
        routes: [
          route("203.0.113.0/24", "eth0"),
          route("0.0.0.0/0", "eth0", "203.0.113.1"),
          route("2001:db8::/64", "eth0"),
          route("::/0", "eth0", "2001:db8::1"),
        ],
      },
    ),
    node(
      "host",
      [
        iface("eth0", 2, "veth", {
          mac: macs.host,
          peer: { node: "client", interface: "eth0" },
          addresses: [at("203.0.113.1", 24), at("2001:db8::1", 64)],
        }),
        iface("yapc0", 3, "bridge", {
          mac: macs.bridge,
          addresses: [at("10.0.0.1", 24), at("fd00:10::1", 64)],
          bridge: bridge(),
        }),
        iface("vethweb", 4, "veth", {
          mac: macs.port,
          peer: { node: "web", interface: "eth0" },
          master: "yapc0",
          port: port(),
        }),
      ],
      {
        role: "machine",
        routes: [
          route("203.0.113.0/24", "eth0"),
          route("10.0.0.0/24", "yapc0"),
          route("2001:db8::/64", "eth0"),
          route("fd00:10::/64", "yapc0"),
        ],
        nftables: [nat, filter],
        sysctls: { "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1" },
      },
    ),
    node(
      "web",
      [
        iface("eth0", 2, "veth", {
          mac: macs.web,
          peer: { node: "host", interface: "vethweb" },
          addresses: [at("10.0.0.10", 24), at("fd00:10::10", 64)],
        }),
      ],
      {
        role: "container",
        routes: [
          route("10.0.0.0/24", "eth0"),
          route("0.0.0.0/0", "eth0", "10.0.0.1"),
          route("fd00:10::/64", "eth0"),
          route("::/0", "eth0", "fd00:10::1"),
        ],
        listeners: [{ protocol: "tcp", family: 4, address: "0.0.0.0", port: 80 }],
      },
    ),
  ],
};
