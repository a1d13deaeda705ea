/** Schemas of link messages (rtnetlink(7); linux/if_link.h, if_bridge.h, veth.h). */
import {
  type Infer,
  attributes,
  be16,
  bool8,
  bytes,
  count64,
  cstr,
  headed,
  ipv4,
  ipv6,
  mac,
  multi,
  s32,
  str,
  struct,
  u16,
  u32,
  u8,
  unflagged,
  variant,
} from "../codec/index.js";

export const ifinfomsg = struct(16, {
  family: [0, u8],
  type: [2, u16],
  index: [4, s32],
  flags: [8, u32],
  change: [12, u32],
});

/** struct rtnl_link_stats64; older kernels end before the last fields. */
export const linkStats = struct(
  200,
  {
    rxPackets: [0, count64],
    txPackets: [8, count64],
    rxBytes: [16, count64],
    txBytes: [24, count64],
    rxErrors: [32, count64],
    txErrors: [40, count64],
    rxDropped: [48, count64],
    txDropped: [56, count64],
    multicast: [64, count64],
    collisions: [72, count64],
    rxNoHandler: [184, count64],
    rxOtherHostDropped: [192, count64],
  },
  64,
);

/** IFLA_BR_*. Times in 1/100 s (clock_t). */
export const bridgeAttributes = attributes({
  forwardDelay: [1, u32],
  helloTime: [2, u32],
  maximumAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, bool8],
  vlanProtocol: [8, be16],
  groupForwardMask: [9, u16],
  rootId: [10, bytes],
  bridgeId: [11, bytes],
  multicastRouter: [22, u8],
  multicastSnooping: [23, bool8],
  multicastQuerier: [25, bool8],
  callIptables: [36, bool8],
  callIp6tables: [37, bool8],
  callArptables: [38, bool8],
  vlanDefaultPvid: [39, u16],
});

/** IFLA_BRPORT_*. */
export const bridgePortAttributes = attributes({
  state: [1, u8],
  priority: [2, u16],
  cost: [3, u32],
  hairpin: [4, bool8],
  guard: [5, bool8],
  protect: [6, bool8],
  fastLeave: [7, bool8],
  learning: [8, bool8],
  unicastFlood: [9, bool8],
  proxyArp: [10, bool8],
  number: [18, u16],
  multicastFlood: [27, bool8],
  broadcastFlood: [30, bool8],
  neighbourSuppress: [32, bool8],
  isolated: [33, bool8],
  locked: [39, bool8],
});

/** IFLA_MACVLAN_*. */
export const macvlanAttributes = attributes({ mode: [1, u32], flags: [2, u16] });

/** Ports of a vxlan: struct ifla_vxlan_port_range. */
const portRange = struct(4, { low: [0, be16], high: [2, be16] });

/** IFLA_VXLAN_*. */
export const vxlanAttributes = attributes({
  id: [1, u32],
  group: [2, ipv4],
  link: [3, u32],
  local: [4, ipv4],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, bool8],
  ageing: [8, u32],
  limit: [9, u32],
  portRange: [10, portRange],
  proxy: [11, bool8],
  port: [15, be16],
  group6: [16, ipv6],
  local6: [17, ipv6],
  udpChecksum: [18, bool8],
  collectMetadata: [25, bool8],
});

/** IFLA_VLAN_*. */
export const vlanAttributes = attributes({
  id: [1, u16],
  flags: [2, struct(8, { flags: [0, u32], mask: [4, u32] })],
  protocol: [5, be16],
});

/** IFLA_VRF_*. */
export const vrfAttributes = attributes({ table: [1, u32] });

/** IFLA_VRF_PORT_*, of a link that belongs to a vrf. */
export const vrfPortAttributes = attributes({ table: [1, u32] });

/** IFLA_PROP_LIST. */
export const properties = attributes({ altnames: [53, multi(cstr)] });

const slaveInfo = variant("slaveKind", { bridge: bridgePortAttributes, vrf: vrfPortAttributes });

/** What the other end of a veth pair can be given: VETH_INFO_PEER holds a whole link message. */
const peerAttributes = attributes({
  mac: [1, mac],
  mtu: [4, u32],
  name: [3, cstr],
  txQueueLength: [13, u32],
  group: [27, u32],
  netnsPid: [19, u32],
  netnsFd: [28, u32],
  txQueues: [31, u32],
  rxQueues: [32, u32],
});

/** IFLA_LINKINFO. */
export const linkInfo = attributes({
  kind: [1, str],
  data: [
    2,
    unflagged(
      variant("kind", {
        veth: attributes({ peer: [1, headed(ifinfomsg, peerAttributes)] }),
        bridge: bridgeAttributes,
        macvlan: macvlanAttributes,
        vxlan: vxlanAttributes,
        vlan: vlanAttributes,
        vrf: vrfAttributes,
      }),
    ),
  ],
  slaveKind: [4, str],
  slaveData: [5, slaveInfo],
});

/** IFLA_*, of a link of any family but AF_BRIDGE. */
export const linkAttributes = attributes({
  mac: [1, mac],
  broadcast: [2, mac],
  mtu: [4, u32],
  link: [5, u32],
  name: [3, cstr],
  qdisc: [6, cstr],
  master: [10, u32],
  protocolInfo: [12, bridgePortAttributes],
  txQueueLength: [13, u32],
  operationalState: [16, u8],
  linkMode: [17, u8],
  alias: [20, str],
  statistics: [23, linkStats],
  group: [27, u32],
  netnsPid: [19, u32],
  netnsFd: [28, u32],
  extendedMask: [29, u32],
  promiscuity: [30, u32],
  txQueues: [31, u32],
  rxQueues: [32, u32],
  carrier: [33, bool8],
  carrierChanges: [35, u32],
  linkNetnsid: [37, s32],
  protoDown: [39, bool8],
  gsoMaximumSegments: [40, u32],
  gsoMaximumSize: [41, u32],
  event: [44, u32],
  newNetnsid: [45, s32],
  targetNetnsid: [46, s32],
  newIndex: [49, s32],
  minimumMtu: [50, u32],
  maximumMtu: [51, u32],
  properties: [52, properties],
  altname: [53, cstr],
  permanentMac: [54, mac],
  groMaximumSize: [58, u32],
  info: [18, unflagged(linkInfo)],
});

export const linkMessage = headed(ifinfomsg, linkAttributes);

export type LinkMessage = Infer<typeof linkMessage>;
