/**
 *   client            host                                       a  10.0.0.10
 *   eth0 ──────────── eth0   DNAT 808x -> container:80,  yapc0   b  10.0.0.11
 *   203.0.113.2   .1         masquerade 10.0.0.0/24,     ├─ vetha, vethb, vethc
 *                            hairpin                             c  10.0.0.12
 *
 * From outside to a published port, from a container to the outside, to another one over the bridge, to a published port
 * of another one and to its own (hairpin: the bridge, or the whole way, is passed twice), and frames to all.
 */
import type { NodeSnapshot, Snapshot } from "../../../src/model/snapshot.js";
import { hops as hopsOf } from "../../../src/path/hops.js";
import { at, bridge, iface, node, port, route } from "../../path/docker-bridge.js";
import type { Ends } from "./parcel.js";
import { type Flood, type Place, SourcePorts, type Station, stationsOf, type Way } from "./place.js";
import type { Random } from "./random.js";

const names = ["a", "b", "c"] as const;

export function docker(family: 4 | 6): Place {
  const bits = family === 4 ? 24 : 64;
  const v4 = family === 4;
  const client = v4 ? "203.0.113.2" : "2001:db8::2";
  const outer = v4 ? "203.0.113.1" : "2001:db8::1";
  const inner = v4 ? "10.0.0.1" : "fd00:10::1";
  const own = (index: number): string => (v4 ? `10.0.0.${10 + index}` : `fd00:10::${10 + index}`);
  const outside = v4 ? "203.0.113.0/24" : "2001:db8::/64";
  const inside = v4 ? "10.0.0.0/24" : "fd00:10::/64";
  const everything = v4 ? "0.0.0.0/0" : "::/0";
  const mac = (serial: number): string => `02:00:00:00:01:0${serial}`;
  const forwarding = { "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1" };
  const nodes: NodeSnapshot[] = [
    node(
      "client",
      [
        iface("eth0", 2, "veth", {
          mac: mac(1),
          peer: { node: "host", interface: "eth0" },
          addresses: [at(client, bits)],
        }),
      ],
      { routes: [route(outside, "eth0"), route(everything, "eth0", outer)] },
    ),
    node(
      "host",
      [
        iface("eth0", 2, "veth", {
          mac: mac(2),
          peer: { node: "client", interface: "eth0" },
          addresses: [at(outer, bits)],
        }),
        iface("yapc0", 3, "bridge", { mac: mac(3), addresses: [at(inner, bits)], bridge: bridge() }),
        ...names.map((name, index) =>
          iface(`veth${name}`, 4 + index, "veth", {
            mac: mac(4 + index),
            peer: { node: name, interface: "eth0" },
            master: "yapc0",
            port: { ...port(), hairpin: true },
          }),
        ),
      ],
      {
        role: "machine",
        routes: [route(outside, "eth0"), route(inside, "yapc0")],
        sysctls: forwarding,
        nftables: [
          {
            family: "inet",
            name: "nat",
            chains: [
              {
                name: "prerouting",
                hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
                rules: names.map((_, index) => ({
                  handle: 2 + index,
                  statements: [
                    { kind: "match", field: "th dport", op: "==", value: 8080 + index },
                    { kind: "dnat", family, address: own(index), port: 80 },
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
                      { kind: "match", field: v4 ? "ip saddr" : "ip6 saddr", op: "==", value: inside },
                      { kind: "masquerade" },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    ),
    ...names.map((name, index) =>
      node(
        name,
        [
          iface("eth0", 2, "veth", {
            mac: mac(7 + index),
            peer: { node: "host", interface: `veth${name}` },
            addresses: [at(own(index), bits)],
          }),
        ],
        { role: "container", routes: [route(inside, "eth0"), route(everything, "eth0", inner)] },
      ),
    ),
  ];
  const snapshot: Snapshot = { version: 1, takenAt: "2026-11-23T00:00:00.000Z", nodes };
  const station = (hop: string, side = 0, routed = false, up = false): Station => ({ hop, side, routed, up });
  const way = (
    stations: Station[],
    routers: string[],
    ends: (next: Random, id: number, echo: boolean) => Ends[],
  ): Way => ({
    stations: stationsOf(stations, snapshot),
    routers,
    tuples: (next, number, echo) => ends(next, echo ? 1 + number : 40_000 + (number % 20_000), echo),
  });
  const ports = new SourcePorts();
  const published = (target: number): Way =>
    way(
      [
        station("client:eth0"),
        station("host:eth0"),
        station("host:yapc0", 1, true),
        station(`host:veth${names[target]}`, 1, false, true),
        station(`${names[target]}:eth0`, 1),
      ],
      ["host"],
      (_, id, echo) => [
        {
          source: client,
          sourcePort: id,
          destination: echo ? own(target) : outer,
          destinationPort: echo ? id : 8080 + target,
        },
        { source: client, sourcePort: id, destination: own(target), destinationPort: echo ? id : 80 },
      ],
    );
  const outward = (from: number): Way =>
    way(
      [
        station(`${names[from]}:eth0`),
        station(`host:veth${names[from]}`),
        station("host:yapc0", 0, false, true),
        station("host:eth0", 1, true),
        station("client:eth0", 1),
      ],
      ["host"],
      (next, id, echo) => {
        const source = ports.of(next, id);
        return [
          { source: own(from), sourcePort: id, destination: client, destinationPort: echo ? id : 80 },
          { source: outer, sourcePort: source, destination: client, destinationPort: echo ? source : 80 },
        ];
      },
    );
  const neighbour = (from: number, to: number): Way =>
    way(
      [
        station(`${names[from]}:eth0`),
        station(`host:veth${names[from]}`),
        station(`host:veth${names[to]}`),
        station(`${names[to]}:eth0`),
      ],
      [],
      (_, id, echo) => [{ source: own(from), sourcePort: id, destination: own(to), destinationPort: echo ? id : 80 }],
    );
  const hairpin = (from: number, to: number): Way =>
    way(
      [
        station(`${names[from]}:eth0`),
        station(`host:veth${names[from]}`),
        station("host:yapc0", 0, false, true),
        station("host:yapc0", 1, true),
        station(`host:veth${names[to]}`, 1, false, true),
        station(`${names[to]}:eth0`, 1),
      ],
      ["host"],
      (next, id) => [
        { source: own(from), sourcePort: id, destination: outer, destinationPort: 8080 + to },
        { source: inner, sourcePort: ports.of(next, id), destination: own(to), destinationPort: 80 },
      ],
    );
  const others = (from: number): { hop: string; parent: number; tie: boolean }[] => {
    const stations = [
      { hop: `${names[from]}:eth0`, parent: -1, tie: false },
      { hop: `host:veth${names[from]}`, parent: 0, tie: false },
      { hop: "host:yapc0", parent: 1, tie: true },
    ];
    for (const [index, name] of names.entries()) {
      if (index === from) continue;
      stations.push({ hop: `host:veth${name}`, parent: 1, tie: false });
      stations.push({ hop: `${name}:eth0`, parent: stations.length - 1, tie: false });
    }
    return stations;
  };
  const floods: Flood[] = v4
    ? names.map((_, index) => ({
        stations: others(index),
        sourceMac: mac(7 + index),
        source: own(index),
        targets: names.flatMap((_, other) => (other === index ? [] : [own(other)])),
      }))
    : [];
  return {
    snapshot,
    hops: hopsOf(snapshot, { from: "client" }),
    ways: [
      published(0),
      published(1),
      outward(0),
      outward(2),
      neighbour(0, 1),
      neighbour(2, 0),
      hairpin(0, 1),
      hairpin(1, 1),
    ],
    floods,
  };
}
