/** Each kind of message that we send, with the command that does the same. The bytes are in golden.test.ts. */
import {
  type Request,
  addresses,
  conntrack,
  links,
  neighbours,
  nftables,
  nsids,
  qdiscs,
  routes,
  rules,
  sockets,
} from "../../src/kernel/index.js";
import { dumps, generation } from "../../src/kernel/nftables/ruleset.js";
import type { NftStatement } from "../../src/model/nft.js";

export interface GoldenRequest {
  readonly command: string;
  /** One message, or, of an nf_tables batch, all. */
  readonly request: Request<unknown> | readonly Request<unknown>[];
  /**
   * Why the command's own bytes are other ones. Absent: they are the same, byte for byte, but for sequence numbers, and
   * for the acknowledgement that we ask for with the last change of a batch.
   */
  readonly differs?: string;
}

const veth = links.add({
  kind: "veth",
  name: "v0",
  mac: "02:00:00:00:00:02",
  mtu: 1400,
  peer: { name: "v1", mac: "02:00:00:00:00:03", mtu: 1400 },
});

const inT = { family: "inet", name: "t" } as const;
const rule = (chain: string, ...statements: NftStatement[]) =>
  nftables.batch(nftables.appendRule(inT, chain, { statements }).requests);

/** A connection as a list of sockets tells of it. */
const connection: sockets.InetSocket = {
  protocol: "tcp",
  family: 4,
  state: "established",
  address: "10.0.0.1",
  port: 40_000,
  peerAddress: "10.0.0.2",
  peerPort: 80,
  receiveQueue: 0,
  sendQueue: 0,
  uid: 0,
  inode: 1,
  id: {
    sourcePort: 40_000,
    destinationPort: 80,
    source: Uint8Array.from({ length: 16 }, (_, i) => [10, 0, 0, 1][i] ?? 0),
    destination: Uint8Array.from({ length: 16 }, (_, i) => [10, 0, 0, 2][i] ?? 0),
    index: 0,
    cookie: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  },
};

/** Index 100 is v0 in the namespace where the commands were recorded. */
export const goldenRequests: readonly GoldenRequest[] = [
  {
    command: "ip link show",
    request: links.list(),
    differs: "ip asks for VF details (IFLA_EXT_MASK 9) in family AF_PACKET",
  },
  {
    command: "ip link show dev v0",
    request: links.get("v0"),
    differs: "ip asks for VF details, and takes a short name for no altname",
  },
  {
    command: "ip link add name lan%d type bridge",
    request: links.addEchoed({ kind: "bridge", name: "lan%d" }),
    differs: "ip asks for no echo",
  },
  { command: "ip link add br0 type bridge", request: links.add({ kind: "bridge", name: "br0" }) },
  {
    command: "ip link add br1 address 02:00:00:00:00:01 type bridge ageing_time 3000 stp_state 0",
    request: links.add({
      kind: "bridge",
      name: "br1",
      mac: "02:00:00:00:00:01",
      bridge: { ageingTime: 30, stp: false },
    }),
  },
  {
    command:
      "ip link add v0 address 02:00:00:00:00:02 mtu 1400 type veth peer name v1 address 02:00:00:00:00:03 mtu 1400",
    request: veth,
  },
  {
    command: "ip link add m0 link v0 type macvlan mode bridge",
    request: links.add({ kind: "macvlan", name: "m0", parent: 100, mode: "bridge" }),
  },
  {
    command: "ip link add x0 type vxlan id 42 dstport 4789 dev v0",
    request: links.add({ kind: "vxlan", name: "x0", vxlan: { id: 42, port: 4789, underlay: 100 } }),
    differs: "another order; ip sends a default, too",
  },
  {
    command: "ip link add link v0 name v0.7 type vlan id 7",
    request: links.add({ kind: "vlan", name: "v0.7", parent: 100, id: 7 }),
  },
  { command: "ip link add d0 type dummy", request: links.add({ kind: "dummy", name: "d0" }) },
  {
    command: "ip link add br2 type bridge vlan_filtering 1",
    request: links.add({ kind: "bridge", name: "br2", bridge: { vlanFiltering: true } }),
  },
  { command: "ip link add red type vrf table 10", request: links.add({ kind: "vrf", name: "red", table: 10 }) },
  // 101 is the index of a bridge or a vrf: the message is the same.
  { command: "ip link set v0 master 101", request: links.set(100, { master: 101 }) },
  {
    command: "ip link property del dev v0 altname a-long-name-of-v0",
    request: links.removeAltname(100, "a-long-name-of-v0"),
  },
  {
    command: "ip link set v0 type bridge ageing_time 3000",
    request: links.setKind(100, { kind: "bridge", name: "v0", bridge: { ageingTime: 30 } }),
  },
  { command: "ip link set v0 promisc on", request: links.set(100, { promiscuous: true }) },
  {
    command: "ip link set v0 netns NAME",
    request: links.set(100, { netnsFd: 9 }),
    differs: "the descriptor is one of ip's own",
  },
  { command: "ip address show", request: addresses.list() },
  { command: "ip link set v0 up", request: links.set(100, { up: true }) },
  { command: "ip link set v0 mtu 1300", request: links.set(100, { mtu: 1300 }) },
  { command: "ip link set v0 name v9", request: links.set(100, { name: "v9" }) },
  { command: "ip link set v0 nomaster", request: links.set(100, { master: 0 }) },
  { command: "ip link set v0 alias hello", request: links.set(100, { alias: "hello" }) },
  {
    command: "ip link property add dev v0 altname a-long-name-of-v0",
    request: links.addAltname(100, "a-long-name-of-v0"),
  },
  {
    command: "ip link set v0 type bridge_slave hairpin on isolated on",
    request: links.setPort(100, { hairpin: true, isolated: true }),
    differs: "ip names the kind bridge_slave; we name the kind of the master",
  },
  { command: "ip link delete v0", request: links.remove(100) },
  { command: "ip link delete group 77", request: links.removeGroup(77) },
  {
    command: "ip address add 10.0.0.1/24 broadcast 10.0.0.255 dev v0",
    request: addresses.add({ index: 100, address: "10.0.0.1", prefixLength: 24, broadcast: "10.0.0.255" }),
  },
  {
    command: "ip address add fd00::1/64 dev v0 nodad",
    request: addresses.add({ index: 100, address: "fd00::1", prefixLength: 64, skipDuplicateDetection: true }),
  },
  {
    command: "ip address delete 10.0.0.1/24 dev v0",
    request: addresses.remove({ index: 100, address: "10.0.0.1", prefixLength: 24 }),
  },
  {
    command: "ip route add 10.1.0.0/16 via 10.0.0.2 proto static",
    request: routes.add({ destination: "10.1.0.0/16", gateway: "10.0.0.2" }),
  },
  {
    command: "ip route add default dev v0 metric 5 proto static",
    request: routes.add({ destination: "0.0.0.0/0", index: 100, metric: 5 }),
  },
  {
    command: "ip route add blackhole 10.2.0.0/16 proto static",
    request: routes.add({ destination: "10.2.0.0/16", type: "blackhole" }),
  },
  {
    command: "ip route add 10.3.0.0/16 proto static nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3 dev v0",
    request: routes.add({
      destination: "10.3.0.0/16",
      nexthops: [
        { gateway: "10.0.0.2", weight: 2 },
        { gateway: "10.0.0.3", index: 100 },
      ],
    }),
  },
  {
    command: "ip route add 10.4.0.0/16 dev v0 mtu 1300 table 1000 proto static",
    request: routes.add({ destination: "10.4.0.0/16", index: 100, metrics: { mtu: 1300 }, table: 1000 }),
  },
  {
    command: "ip route add 10.9.0.0/16 via 10.0.0.2 table 10 proto static",
    request: routes.add({ destination: "10.9.0.0/16", gateway: "10.0.0.2", table: 10 }),
  },
  { command: "ip route show table all", request: routes.list() },
  { command: "ip route delete 10.1.0.0/16", request: routes.remove({ destination: "10.1.0.0/16" }) },
  { command: "ip route get 10.1.2.3", request: routes.lookup("10.1.2.3") },
  {
    command: "ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0",
    request: neighbours.add({ index: 100, address: "10.0.0.9", mac: "02:00:00:00:00:09" }),
  },
  { command: "ip neighbour show", request: neighbours.list() },
  {
    command: "ip neighbour delete 10.0.0.9 dev v0",
    request: neighbours.remove({ index: 100, address: "10.0.0.9" }),
    differs: "ip names a state, which the kernel does not look at",
  },
  { command: "bridge fdb show br v0", request: neighbours.listFdb(100) },
  {
    command: "bridge fdb delete 02:00:00:00:00:11 dev v0 master",
    request: neighbours.removeFdb({ index: 100, mac: "02:00:00:00:00:11" }),
    differs: "bridge names another state, which the kernel does not look at",
  },
  {
    command: "bridge fdb replace 02:00:00:00:00:11 dev v0 master static",
    request: neighbours.addFdb({ index: 100, mac: "02:00:00:00:00:11" }),
  },
  {
    command: "ip rule add priority 100 from 10.0.0.0/24 lookup 1000",
    request: rules.add({ family: 4, priority: 100, source: "10.0.0.0/24", action: "lookup", table: 1000 }),
  },
  { command: "ip rule show", request: rules.list(4) },
  {
    command: "ip rule delete priority 100 from 10.0.0.0/24 lookup 1000",
    request: rules.remove({ family: 4, priority: 100, source: "10.0.0.0/24", action: "lookup", table: 1000 }),
    differs: "ip leaves the action out: any would do",
  },
  {
    command: "ip rule add priority 1000 l3mdev",
    request: rules.add({ family: 4, priority: 1000, action: "lookup", l3mdev: true }),
  },
  {
    command: "tc qdisc replace dev v0 root tbf rate 10mbit burst 4096 limit 66596",
    request: qdiscs.set(100, { kind: "tbf", rate: 1_250_000, burst: 4096, limit: 66_596 }),
    differs: "tc sends the rate table that kernels before 3.8 wanted",
  },
  {
    command: "tc qdisc replace dev v0 root netem delay 5ms",
    request: qdiscs.set(100, { kind: "netem", delay: 5_000_000 }),
  },
  {
    command: "tc qdisc replace dev v0 root netem delay 5ms 1ms loss 1% duplicate 2% corrupt 3% reorder 4%",
    request: qdiscs.set(100, {
      kind: "netem",
      delay: 5_000_000,
      jitter: 1_000_000,
      loss: 0.01,
      duplicate: 0.02,
      corrupt: 0.03,
      reorder: 0.04,
    }),
  },
  {
    command: "tc qdisc replace dev v0 root netem rate 8mbit limit 50",
    request: qdiscs.set(100, { kind: "netem", rate: 1_000_000, limit: 50 }),
  },
  {
    command: "tc qdisc replace dev v0 root handle 1: htb default 10",
    request: qdiscs.set(100, { kind: "htb", defaultClass: 0x10 }, { handle: 0x10000 }),
  },
  {
    command: "tc class replace dev v0 parent 1: classid 1:10 htb rate 8mbit ceil 16mbit burst 11600",
    request: qdiscs.setHtbClass(100, { rate: 1e6, ceil: 2e6, burst: 11_600 }, { parent: 0x10000, handle: 0x10010 }),
    differs: "tc sends the rate tables that kernels before 3.8 wanted",
  },
  { command: "tc qdisc show dev v0", request: qdiscs.list(100) },
  { command: "tc qdisc delete dev v0 root", request: qdiscs.remove(100) },
  { command: "ip netns set NAME 77", request: nsids.assign(9, 77), differs: "the descriptor is one of ip's own" },
  { command: "ip netns list-id", request: nsids.list() },
  { command: "ip netns identify", request: nsids.get(9), differs: "ip compares inodes; this asks for the number" },
  { command: "nft add table inet t", request: nftables.batch([nftables.addTable({ family: "inet", name: "t" })]) },
  {
    command: "nft add chain inet t c { type filter hook forward priority 0; policy drop; }",
    request: nftables.batch([
      nftables.addChain(
        { family: "inet", name: "t" },
        { name: "c", hook: { type: "filter", hook: "forward", priority: 0, policy: "drop" } },
      ),
    ]),
  },
  {
    command: 'nft add rule inet t c iifname "yapc0" tcp dport 81 counter drop comment "no 81"',
    request: nftables.batch(
      nftables.appendRule({ family: "inet", name: "t" }, "c", {
        statements: [
          { kind: "match", field: "iifname", op: "==", value: "yapc0" },
          { kind: "match", field: "l4proto", op: "==", value: 6 },
          { kind: "match", field: "th dport", op: "==", value: 81 },
          { kind: "counter", packets: 0, bytes: 0 },
          { kind: "drop" },
        ],
        comment: "no 81",
      }).requests,
    ),
  },
  {
    command: "nft add rule inet t c ip saddr 10.0.0.0/12 udp dport { 53, 1000-2000 } accept",
    request: nftables.batch(
      nftables.appendRule({ family: "inet", name: "t" }, "c", {
        statements: [
          { kind: "match", field: "ip saddr", op: "==", value: "10.0.0.0/12" },
          { kind: "match", field: "l4proto", op: "==", value: 17 },
          { kind: "match", field: "th dport", op: "==", value: [53, { from: 1000, to: 2000 }] },
          { kind: "accept" },
        ],
      }).requests,
    ),
    differs: "nft numbers the elements and keeps more of its own beside the set",
  },
  {
    command: "nft delete rule inet t c handle 9",
    request: nftables.batch([nftables.removeRule({ family: "inet", name: "t" }, "c", 9)]),
  },
  {
    command: "nft delete table inet t2",
    request: nftables.batch(nftables.removeTable({ family: "inet", name: "t2" })),
    differs: "we make it first, so that it is no error where there is none",
  },
  {
    command: "nft add rule inet t n tcp dport 8080 dnat ip to 10.0.0.10:80",
    request: nftables.batch(
      nftables.appendRule({ family: "inet", name: "t" }, "n", {
        statements: [
          { kind: "match", field: "l4proto", op: "==", value: 6 },
          { kind: "match", field: "th dport", op: "==", value: 8080 },
          { kind: "dnat", family: 4, address: "10.0.0.10", port: 80 },
        ],
      }).requests,
    ),
  },
  { command: "nft list ruleset: its generation", request: generation() },
  { command: "nft list ruleset: tables", request: dumps.tables() },
  { command: "nft list ruleset: chains", request: dumps.chains() },
  { command: "nft list ruleset: rules", request: dumps.rules(), differs: "nft asks for one family at a time" },
  { command: "nft list ruleset: sets", request: dumps.sets() },
  {
    command: "nft list ruleset: elements",
    request: dumps.elements(1, "t", "__set0"),
    differs: "nft names the set before its table",
  },
  {
    command: "nft add table inet o { flags owner; }",
    request: nftables.batch([nftables.addTable({ family: "inet", name: "o" }, { owned: true })]),
    differs: "nft leaves NLM_F_CREATE out where there are flags",
  },
  { command: "nft add chain inet t r", request: nftables.batch([nftables.addChain(inT, { name: "r" })]) },
  {
    command: 'nft add rule inet t c ct state established,related limit rate 10/second log prefix "seen: " reject',
    request: rule(
      "c",
      { kind: "match", field: "ct state", op: "==", value: ["established", "related"] },
      { kind: "limit", rate: 10, per: "second" },
      { kind: "log", prefix: "seen: " },
      { kind: "reject", with: "icmpx" },
    ),
  },
  {
    command: "nft add rule inet t c fib daddr type local meta mark set 7 meta nftrace set 1",
    request: rule(
      "c",
      { kind: "match", field: "fib daddr type", op: "==", value: "local" },
      { kind: "meta set", key: "mark", value: 7 },
      { kind: "meta set", key: "nftrace", value: 1 },
    ),
  },
  {
    command: "nft add rule inet t c ip daddr 10.0.0.1-10.0.0.5 tcp dport != 1000-2000 jump r",
    request: rule(
      "c",
      { kind: "match", field: "ip daddr", op: "==", value: { from: "10.0.0.1", to: "10.0.0.5" } },
      { kind: "match", field: "l4proto", op: "==", value: 6 },
      { kind: "match", field: "th dport", op: "!=", value: { from: 1000, to: 2000 } },
      { kind: "jump", chain: "r" },
    ),
  },
  {
    command: 'nft add rule inet t p ip saddr 10.0.0.0/24 oifname "eth0" masquerade',
    request: rule(
      "p",
      { kind: "match", field: "ip saddr", op: "==", value: "10.0.0.0/24" },
      { kind: "match", field: "oifname", op: "==", value: "eth0" },
      { kind: "masquerade" },
    ),
  },
  {
    command: "nft add rule inet t p snat ip to 203.0.113.1",
    request: rule("p", { kind: "snat", family: 4, address: "203.0.113.1" }),
  },
  {
    command: "nft add rule inet t n tcp dport 80 redirect to :8080",
    request: rule(
      "n",
      { kind: "match", field: "l4proto", op: "==", value: 6 },
      { kind: "match", field: "th dport", op: "==", value: 80 },
      { kind: "redirect", port: 8080 },
    ),
  },
  {
    command: "conntrack -L --status",
    request: conntrack.flows.list({ status: conntrack.statusBits.destinationNat }),
    differs: "conntrack filters by status itself, after the kernel has copied all",
  },
  { command: "conntrack -L -f ipv4 -m 5", request: conntrack.flows.list({ family: 4, mark: 5 }) },
  {
    command: "conntrack -D -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 1 --dport 53",
    request: conntrack.flows.remove({
      source: "192.0.2.1",
      destination: "192.0.2.2",
      protocol: 17,
      sourcePort: 1,
      destinationPort: 53,
    }),
    differs: "conntrack dumps, filters, and deletes what it found",
  },
  {
    command: "ss -4tln",
    request: sockets.list({ protocol: "tcp", family: 4, states: ["listen"] }),
    differs: "ss asks for memory details",
  },
  {
    command: "ss -K dport = 80",
    request: sockets.destroy(connection),
    differs: "the socket is made up: a real one has a cookie of its own",
  },
];
