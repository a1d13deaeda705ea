/**
 * client ── r0 ── r1 ── … ── rN ═ server      each router may translate destinations, sources, both or nothing; the
 *                                            last one may reach the server over a bridge
 */
import type { NftRule, NftTable } from "../../../src/model/nft.js";
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../../../src/model/snapshot.js";
import { hops as hopsOf } from "../../../src/path/hops.js";
import { at, bridge, iface, node, port, route } from "../../path/docker-bridge.js";
import type { Ends } from "./parcel.js";
import { type Place, SourcePorts, type Station, stationsOf } from "./place.js";
import type { Random } from "./random.js";

export type RouterKind = "plain" | "dnat" | "snat" | "both";

export function chain(family: 4 | 6, routers: readonly RouterKind[], bridged: boolean): Place {
  const count = routers.length;
  const address = (link: number, host: number): string =>
    family === 4 ? `10.${link}.0.${host}` : `fd00:${(link + 1).toString(16)}::${host}`;
  const bits = family === 4 ? 24 : 64;
  const everything = family === 4 ? "0.0.0.0/0" : "::/0";
  const net = (link: number): string => (family === 4 ? `10.${link}.0.0/24` : `fd00:${(link + 1).toString(16)}::/64`);
  const translates = (router: number, what: "dnat" | "snat"): boolean =>
    routers[router] === what || routers[router] === "both";
  const server = address(count, 2);
  /** Where destinations point after router `router` (-1: as the client writes them). */
  const target = (router: number): { address: string; port: number } => {
    for (let later = router + 1; later < count; later++) {
      if (translates(later, "dnat")) return { address: address(later, 1), port: 8000 + later };
    }
    return { address: server, port: 80 };
  };

  const ports = new SourcePorts();
  let serial = 0;
  const veth = (
    name: string,
    index: number,
    peer: [string, string],
    own?: string,
    more: Partial<InterfaceSnapshot> = {},
  ): InterfaceSnapshot =>
    iface(name, index, "veth", {
      mac: macOf(++serial),
      peer: { node: peer[0], interface: peer[1] },
      ...(own === undefined ? {} : { addresses: [at(own, bits)] }),
      ...more,
    });

  const nodes: NodeSnapshot[] = [
    node("client", [veth("eth0", 2, ["r0", "in"], address(0, 2))], {
      routes: [route(net(0), "eth0"), route(everything, "eth0", address(0, 1))],
    }),
  ];
  for (let r = 0; r < count; r++) {
    const last = r === count - 1;
    const interfaces = [veth("in", 2, r === 0 ? ["client", "eth0"] : [`r${r - 1}`, "out"], address(r, 1))];
    const after: [string, string] = last ? ["server", "eth0"] : [`r${r + 1}`, "in"];
    if (last && bridged) {
      interfaces.push(
        iface("br0", 3, "bridge", { mac: macOf(++serial), addresses: [at(address(r + 1, 9), bits)], bridge: bridge() }),
        veth("out", 4, after, undefined, { master: "br0", port: port() }),
      );
    } else interfaces.push(veth("out", 4, after, address(r + 1, 9)));
    const out = last && bridged ? "br0" : "out";
    nodes.push(
      node(`r${r}`, interfaces, {
        routes: [
          route(net(r), "in"),
          route(net(r + 1), out),
          ...(r === 0 ? [] : [route(net(0), "in", address(r, 9))]),
          route(everything, out, last ? undefined : address(r + 1, 1)),
        ],
        nftables: routers[r] === "plain" ? [] : [natTable(family, r, translates, target, out)],
        sysctls: { "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1" },
      }),
    );
  }
  nodes.push(
    node("server", [veth("eth0", 2, [`r${count - 1}`, "out"], server)], {
      routes: [route(net(count), "eth0"), route(everything, "eth0", address(count, 9))],
    }),
  );
  const snapshot: Snapshot = { version: 1, takenAt: "2026-11-23T00:00:00.000Z", nodes };
  const hops = hopsOf(snapshot, { from: "client", to: "server" });

  const stops: Station[] = [{ hop: "client:eth0", side: 0, routed: false, up: false }];
  for (let r = 0; r < count; r++) {
    stops.push({ hop: `r${r}:in`, side: r, routed: false, up: false });
    const over = r === count - 1 && bridged;
    if (over) stops.push({ hop: `r${r}:br0`, side: r + 1, routed: true, up: false });
    stops.push({ hop: `r${r}:out`, side: r + 1, routed: !over, up: over });
  }
  stops.push({ hop: "server:eth0", side: count, routed: false, up: false });
  return {
    snapshot,
    hops,
    ways: [
      {
        stations: stationsOf(stops, snapshot),
        routers: routers.map((_, r) => `r${r}`),
        tuples(next: Random, number: number, echo: boolean): Ends[] {
          const first = target(-1);
          const id = echo ? 1 + number : 40_000 + (number % 20_000);
          const tuples: Ends[] = [
            {
              source: address(0, 2),
              sourcePort: id,
              destination: first.address,
              destinationPort: echo ? id : first.port,
            },
          ];
          for (let r = 0; r < count; r++) {
            const before = tuples[r]!;
            const to = translates(r, "dnat")
              ? target(r)
              : { address: before.destination, port: before.destinationPort };
            const hidden = translates(r, "snat");
            const source = hidden ? ports.of(next, before.sourcePort) : before.sourcePort;
            tuples.push({
              source: hidden ? address(r + 1, 9) : before.source,
              sourcePort: source,
              destination: to.address,
              destinationPort: echo ? source : to.port,
            });
          }
          return tuples;
        },
      },
    ],
    floods: [],
  };
}

function natTable(
  family: 4 | 6,
  router: number,
  translates: (router: number, what: "dnat" | "snat") => boolean,
  target: (router: number) => { address: string; port: number },
  out: string,
): NftTable {
  const dnat: NftRule = {
    handle: 3,
    statements: [
      { kind: "match", field: "th dport", op: "==", value: 8000 + router },
      { kind: "dnat", family, ...target(router) },
    ],
  };
  const masquerade: NftRule = {
    handle: 5,
    statements: [{ kind: "match", field: "oifname", op: "==", value: out }, { kind: "masquerade" }],
  };
  return {
    family: "inet",
    name: "nat",
    chains: [
      {
        name: "prerouting",
        hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
        rules: translates(router, "dnat") ? [dnat] : [],
      },
      {
        name: "postrouting",
        hook: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
        rules: translates(router, "snat") ? [masquerade] : [],
      },
    ],
  };
}

function macOf(serial: number): string {
  return `02:00:00:00:00:${serial.toString(16).padStart(2, "0")}`;
}
