/**
 * Which hops of a machine are tapped.
 *
 *             host                                  c1 … cN
 *   uplink ── eth0    docker0 ─┬─ veth1 ─────────── eth0  172.17.0.1N
 *             spare (down)     └─ vethN ─────────── eth0
 *             tunl0 (no address)
 *             br-empty (no port)    veth-gone (peer in nobody's namespace)
 */
import test from "ava";
import { hopName } from "../../src/model/hop.js";
import type { NodeSnapshot, Snapshot } from "../../src/model/snapshot.js";
import type { TraceFilter } from "../../src/model/trace.js";
import { machineHops, type MachineSelection } from "../../src/path/machine-hops.js";
import { withAddresses } from "../../src/path/named-hosts.js";
import { at, bridge, iface, lo, node, port, route } from "./docker-bridge.js";

const nothing: TraceFilter = { ports: [], hosts: [], protocols: [] };

/** Container 1 listens on 80, which 8080 is published to; 8082 is published to container 2, where nobody listens. */
function machine(containers: number): Snapshot {
  const numbers = Array.from({ length: containers }, (_, index) => index + 1);
  const publish = (from: number, address: string, to: number) => ({
    statements: [
      { kind: "match", field: "l4proto", op: "==", value: 6 } as const,
      { kind: "match", field: "th dport", op: "==", value: from } as const,
      { kind: "dnat", family: 4, address, port: to } as const,
    ],
  });
  return {
    version: 1,
    takenAt: "2026-01-01T00:00:00.000Z",
    nodes: [
      node(
        "host",
        [
          iface("eth0", 2, "physical", { addresses: [at("203.0.113.1", 24)] }),
          iface("spare", 3, "physical", { addresses: [at("198.51.100.1", 24)], up: false }),
          iface("tunl0", 4, "ipip"),
          iface("br-empty", 5, "bridge", { addresses: [at("172.30.0.1", 16)], bridge: bridge() }),
          iface("veth-gone", 6, "veth", { addresses: [at("192.0.2.1", 24)] }),
          iface("docker0", 7, "bridge", { addresses: [at("172.17.0.1", 16)], bridge: bridge() }),
          ...numbers.map((number) =>
            iface(`veth${number}`, 100 + number, "veth", {
              master: "docker0",
              port: port(),
              peer: { node: `c${number}`, interface: "eth0" },
            }),
          ),
        ],
        {
          role: "machine",
          routes: [route("0.0.0.0/0", "eth0", "203.0.113.254")],
          nftables: [
            {
              family: "ip",
              name: "nat",
              chains: [{ name: "DOCKER", rules: [publish(8080, "172.17.0.11", 80), publish(8082, "172.17.0.12", 81)] }],
            },
          ],
        },
      ),
      ...numbers.map((number): NodeSnapshot => ({
        ...node(`c${number}`, [
          iface("eth0", 2, "veth", {
            addresses: [at(`172.17.0.${10 + number}`, 16)],
            peer: { node: "host", interface: `veth${number}` },
          }),
        ]),
        role: "container",
        listeners: number === 1 ? [{ protocol: "tcp", family: 4, address: "0.0.0.0", port: 80 }] : [],
      })),
    ],
  };
}

function tapped(containers: number, selection: Partial<MachineSelection>): { hops: string[]; left: readonly string[] } {
  const { hops, left } = machineHops(machine(containers), { filter: nothing, nodes: [], all: false, ...selection });
  return { hops: hops.map(hopName).toSorted(), left };
}

const ways = (...numbers: readonly number[]): string[] =>
  ["host:eth0", "host:docker0", ...numbers.flatMap((number) => [`c${number}:eth0`, `host:veth${number}`])].toSorted();
const all = (containers: number): string[] => ways(...Array.from({ length: containers }, (_, index) => index + 1));

test("what leads somewhere is tapped: uplink, bridges with a port, both ends of each container's link", (t) => {
  t.deepEqual(tapped(2, {}), { hops: all(2), left: [] });
  t.deepEqual(tapped(0, {}), { hops: ["host:eth0"], left: [] });
});

test("a few containers are tapped whatever the filter, of many only those that it can concern", (t) => {
  const web = { ...nothing, ports: [80] };
  t.deepEqual(tapped(8, { filter: web }).hops, all(8));
  t.deepEqual(tapped(9, { filter: web }), { hops: ways(1), left: ["c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"] });
  t.deepEqual(tapped(9, { filter: { ...nothing, ports: [8080] } }).hops, ways(1), "by its published port");
  t.deepEqual(tapped(9, { filter: { ...nothing, ports: [8082] } }).hops, ways(2), "though nobody listens there");
  t.deepEqual(tapped(9, { filter: { ...nothing, hosts: ["172.17.0.14"] } }).hops, ways(4));
  t.deepEqual(tapped(9, { filter: web, from: "c7" }).hops, ways(1, 7), "where the command runs, too");
});

test("where the filter tells nothing, or --all is given, all are tapped", (t) => {
  t.deepEqual(tapped(9, {}), { hops: all(9), left: [] });
  t.deepEqual(tapped(9, { filter: { ...nothing, protocols: ["icmp"] } }).hops, all(9));
  t.deepEqual(tapped(9, { filter: { ...nothing, ports: [22] } }), { hops: all(9), left: [] }, "nobody serves it");
  t.deepEqual(tapped(9, { filter: { ...nothing, ports: [80] }, all: true }).hops, all(9));
});

test("named nodes, and the machine's interfaces on the way to them, are all that is tapped", (t) => {
  t.deepEqual(tapped(9, { nodes: ["c3"] }), { hops: ways(3), left: [] });
  t.deepEqual(tapped(9, { nodes: ["c3"], from: "c4" }).hops, ways(3, 4));
  const own = tapped(2, { nodes: ["host"] }).hops;
  t.deepEqual(own, ["host:docker0", "host:eth0", "host:veth1", "host:veth2"]);
});

test("a host may be a node's name: its addresses stand for it", (t) => {
  const snapshot = machine(2);
  t.deepEqual(withAddresses({ ...nothing, hosts: ["c2", "192.0.2.9"] }, snapshot).hosts, ["172.17.0.12", "192.0.2.9"]);
  t.throws(() => withAddresses({ ...nothing, hosts: ["c22"] }, snapshot), { message: /neither an address nor a node/ });
  const bare: Snapshot = { ...snapshot, nodes: [{ ...node("empty", []), interfaces: [lo()] }] };
  t.throws(() => withAddresses({ ...nothing, hosts: ["empty"] }, bare), { message: /no address/ });
});
