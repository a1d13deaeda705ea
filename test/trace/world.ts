/**
 * A made-up network with traffic whose truth is known.
 *
 *   client ── r1 ── r2 ── … ── rN ═ server      each router may translate destinations, sources, both or nothing;
 *                                               the last one may reach the server over a bridge
 */
import type { ConntrackEvent, Tuple } from "../../src/model/conntrack.js";
import type { Hop } from "../../src/model/hop.js";
import type { NftRule, NftTable } from "../../src/model/nft.js";
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../../src/model/snapshot.js";
import { hops as hopsOf } from "../../src/path/hops.js";
import { at, bridge, iface, node, port, route } from "../path/docker-bridge.js";
import { flag, tcp, udp } from "./frames.js";

/** Deterministic random numbers (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface WorldOptions {
  readonly seed: number;
  readonly family: 4 | 6;
  /** What each router does. */
  readonly routers: readonly ("plain" | "dnat" | "snat" | "both")[];
  readonly bridged: boolean;
  readonly packets: number;
  /** Probability that a packet dies in a gap; that a tap misses a record. */
  readonly loss: number;
  readonly tapLoss: number;
  /** Nanoseconds of random extra time a gap: reorders packets. */
  readonly jitter: number;
  /** Nanoseconds that the last link holds everything back. */
  readonly delay: number;
  /** IPv4 packets without an identification. */
  readonly unnumbered: boolean;
  readonly conntrack: "none" | "late";
  readonly flows: number;
}

interface Ends {
  source: string;
  sourcePort: number;
  destination: string;
  destinationPort: number;
}

export interface Sighted {
  readonly hop: number;
  readonly time: number;
  readonly bytes: Uint8Array;
  /** Number of the true packet. */
  readonly truth: number;
}

export interface World {
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  /** By hop, in the order of the capture. */
  readonly captures: readonly (readonly Sighted[])[];
  /** Records that each tap missed. */
  readonly missed: readonly number[];
  /** Conntrack events, with the time at which they come. */
  readonly events: readonly { readonly time: number; readonly event: ConntrackEvent }[];
  readonly packets: number;
  /** True packets that reached their last hop. */
  readonly arrived: ReadonlySet<number>;
}

export function makeWorld(options: WorldOptions): World {
  const next = random(options.seed);
  const { family, routers } = options;
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

  let serial = 0;
  const mac = (): string => `02:00:00:00:00:${(++serial).toString(16).padStart(2, "0")}`;
  const veth = (
    name: string,
    index: number,
    peer: [string, string],
    own?: string,
    more: Partial<InterfaceSnapshot> = {},
  ) =>
    iface(name, index, "veth", {
      mac: mac(),
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
    const before: [string, string] = r === 0 ? ["client", "eth0"] : [`r${r - 1}`, "out"];
    const after: [string, string] = last ? ["server", "eth0"] : [`r${r + 1}`, "in"];
    const interfaces = [veth("in", 2, before, address(r, r === 0 ? 1 : 1))];
    const bridged = last && options.bridged;
    if (bridged) {
      interfaces.push(
        iface("br0", 3, "bridge", { mac: mac(), addresses: [at(address(r + 1, 9), bits)], bridge: bridge() }),
        veth("out", 4, after, undefined, { master: "br0", port: port() }),
      );
    } else interfaces.push(veth("out", 4, after, address(r + 1, 9)));
    const out = bridged ? "br0" : "out";
    const rules: NftRule[] = translates(r, "dnat")
      ? [
          {
            handle: 3,
            statements: [
              { kind: "match", field: "th dport", op: "==", value: 8000 + r },
              { kind: "dnat", family, address: target(r).address, port: target(r).port },
            ],
          },
        ]
      : [];
    const tables: NftTable[] =
      routers[r] === "plain"
        ? []
        : [
            {
              family: "inet",
              name: "nat",
              chains: [
                {
                  name: "prerouting",
                  hook: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
                  rules,
                },
                {
                  name: "postrouting",
                  hook: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
                  rules: translates(r, "snat")
                    ? [
                        {
                          handle: 5,
                          statements: [
                            { kind: "match", field: "oifname", op: "==", value: out },
                            { kind: "masquerade" },
                          ],
                        },
                      ]
                    : [],
                },
              ],
            },
          ];
    nodes.push(
      node(`r${r}`, interfaces, {
        routes: [
          route(net(r), "in"),
          route(net(r + 1), out),
          ...(r === 0 ? [] : [route(net(0), "in", address(r, 9))]),
          route(everything, out, last ? undefined : address(r + 1, 1)),
        ],
        nftables: tables,
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
  const hopNumber = (node: string, name: string): number =>
    hops.findIndex((hop) => hop.node === node && hop.interface === name);

  /** Stations of a request, with the number of routers behind it at each. */
  const way: { hop: number; crossed: number; tie?: boolean }[] = [{ hop: hopNumber("client", "eth0"), crossed: 0 }];
  for (let r = 0; r < count; r++) {
    way.push({ hop: hopNumber(`r${r}`, "in"), crossed: r });
    if (r === count - 1 && options.bridged) way.push({ hop: hopNumber(`r${r}`, "br0"), crossed: r + 1 });
    way.push({ hop: hopNumber(`r${r}`, "out"), crossed: r + 1 });
  }
  way.push({ hop: hopNumber("server", "eth0"), crossed: count });

  const captures: Sighted[][] = hops.map(() => []);
  const missed = hops.map(() => 0);
  const arrived = new Set<number>();
  const events: { time: number; event: ConntrackEvent }[] = [];
  let truth = 0;

  interface Connection {
    /** Tuple of requests after 0, 1, … routers. */
    readonly tuples: readonly Ends[];
    readonly udp: boolean;
    sequence: [number, number];
    id: [number, number];
    stamp: number;
    last: Uint8Array | undefined;
    told: boolean;
  }
  const connections = Array.from({ length: options.flows }, (_, index): Connection => {
    const first = target(-1);
    const tuples: Ends[] = [
      { source: address(0, 2), sourcePort: 40_000 + index, destination: first.address, destinationPort: first.port },
    ];
    for (let r = 0; r < count; r++) {
      const before = tuples[r]!;
      const to = translates(r, "dnat") ? target(r) : { address: before.destination, port: before.destinationPort };
      const hidden = translates(r, "snat");
      tuples.push({
        source: hidden ? address(r + 1, 9) : before.source,
        sourcePort: hidden && next() < 0.5 ? 50_000 + index * 16 + r : before.sourcePort,
        destination: to.address,
        destinationPort: to.port,
      });
    }
    return {
      tuples,
      udp: next() < 0.25,
      sequence: [Math.floor(next() * 2 ** 32), Math.floor(next() * 2 ** 32)],
      id: [Math.floor(next() * 65_536), Math.floor(next() * 65_536)],
      stamp: Math.floor(next() * 1e9),
      last: undefined,
      told: false,
    };
  });

  const turned = (ends: Ends): Ends => ({
    source: ends.destination,
    sourcePort: ends.destinationPort,
    destination: ends.source,
    destinationPort: ends.sourcePort,
  });
  const tupleOf = (ends: Ends, protocol: number): Tuple => ({ ...ends, protocol });

  /** Sends one packet along its way. */
  const travel = (
    connection: Connection,
    reply: boolean,
    start: number,
    build: (ends: Ends, ttl: number) => Uint8Array,
  ) => {
    const stations = reply ? [...way].reverse() : way;
    const packet = truth++;
    let time = start;
    for (const [index, station] of stations.entries()) {
      const crossed = reply ? count - station.crossed : station.crossed;
      const ends = connection.tuples[station.crossed]!;
      const bytes = build(reply ? turned(ends) : ends, 64 - crossed);
      const before = stations[index - 1];
      // A port and the bridge behind it carry one stamp on the way up.
      const tie = reply && options.bridged && index === 2;
      if (index > 0 && !tie) time += 2000 + Math.floor(next() * options.jitter);
      const delayed = reply ? index === 1 : index === stations.length - 1;
      if (delayed) time += options.delay;
      if (before && !tie && next() < options.loss) return;
      if (next() < options.tapLoss) missed[station.hop]!++;
      else captures[station.hop]!.push({ hop: station.hop, time, bytes, truth: packet });
    }
    arrived.add(packet);
  };

  let clock = 1_000_000;
  for (let sent = 0; sent < options.packets; sent++) {
    clock += 5_000 + Math.floor(next() * 40_000);
    const connection = connections[Math.floor(next() * connections.length)]!;
    const reply = connection.told && next() < 0.5;
    const side = reply ? 1 : 0;
    const id = (): number => {
      if (family === 6 || options.unnumbered) return 0;
      connection.id[side] = (connection.id[side] + 1) & 0xffff;
      return connection.id[side] || (connection.id[side] = 1);
    };
    if (!connection.told) {
      connection.told = true;
      if (options.conntrack === "late") {
        for (let r = 0; r < count; r++) {
          events.push({
            time: clock + 100_000,
            event: {
              kind: "new",
              node: `r${r}`,
              flow: {
                id: serial++,
                zone: 0,
                family,
                original: tupleOf(connection.tuples[r]!, connection.udp ? 17 : 6),
                reply: tupleOf(turned(connection.tuples[r + 1]!), connection.udp ? 17 : 6),
                status: 0,
              },
            },
          });
        }
      }
    }
    if (connection.udp) {
      const number = id();
      const payload = Uint8Array.from({ length: 12 }, () => Math.floor(next() * 256));
      travel(connection, reply, clock, (ends, ttl) => udp({ ...ends, ttl, id: number, payload }));
      continue;
    }
    const size = next() < 0.5 ? 0 : 1 + Math.floor(next() * 200);
    const sequence = connection.sequence[side] >>> 0;
    const acknowledgement = connection.sequence[1 - side]! >>> 0;
    // A clock of a millisecond, as Linux has it: neighbours share a stamp.
    const stamps = [connection.stamp + Math.floor(clock / 1e6), 5] as const;
    const send = (number: number, when: number, retransmission = 0): void =>
      travel(connection, reply, when, (ends, ttl) =>
        tcp({
          ...ends,
          ttl,
          id: number,
          sequence,
          acknowledgement,
          flags: size > 0 ? flag.ack | flag.psh : flag.ack,
          payload: size,
          stamps: [stamps[0] + retransmission, stamps[1]],
        }),
      );
    send(id(), clock);
    // The same segment again, with a later stamp; a duplicate acknowledgement without any difference but the number.
    if (size > 0 && next() < 0.02) send(id(), clock + 300_000, 1);
    if (size === 0 && next() < 0.002) send(id(), clock + 60_000);
    connection.sequence[side] += size || 1;
  }
  for (const capture of captures) capture.sort((a, b) => a.time - b.time);
  return { snapshot, hops, captures, missed, events, packets: truth, arrived };
}
