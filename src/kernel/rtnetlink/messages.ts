/** Schemas of rtnetlink messages but those of links (rtnetlink(7); linux/if_addr.h, rtnetlink.h, neighbour.h, fib_rules.h). */
import {
  type Codec,
  type Infer,
  MalformedError,
  align4,
  attributes,
  be16,
  bool8,
  bytes,
  cstr,
  headed,
  ip,
  littleEndian,
  mac,
  s32,
  struct,
  u16,
  u32,
  u8,
  unflagged,
} from "../codec/index.js";

export const ifaddrmsg = struct(8, {
  family: [0, u8],
  prefixLength: [1, u8],
  flags: [2, u8],
  scope: [3, u8],
  index: [4, u32],
});

/** IFA_*. */
export const addressAttributes = attributes({
  local: [2, ip],
  broadcast: [4, ip],
  address: [1, ip],
  label: [3, cstr],
  cacheInfo: [6, struct(16, { preferred: [0, u32], valid: [4, u32], created: [8, u32], updated: [12, u32] })],
  flags: [8, u32],
  routePriority: [9, u32],
  targetNetnsid: [10, s32],
  protocol: [11, u8],
});

export const addressMessage = headed(ifaddrmsg, addressAttributes);

export const rtmsg = struct(12, {
  family: [0, u8],
  destinationLength: [1, u8],
  sourceLength: [2, u8],
  tos: [3, u8],
  table: [4, u8],
  protocol: [5, u8],
  scope: [6, u8],
  type: [7, u8],
  flags: [8, u32],
});

/** RTAX_*. */
export const metricAttributes = attributes({
  lock: [1, u32],
  mtu: [2, u32],
  window: [3, u32],
  rtt: [4, u32],
  cwnd: [7, u32],
  advmss: [8, u32],
  hoplimit: [10, u32],
  initcwnd: [11, u32],
  features: [12, u32],
  rtoMinimum: [13, u32],
  initrwnd: [14, u32],
  quickack: [15, u32],
  congestionControl: [16, cstr],
});

/** struct rtvia: a gateway of the other family. */
const via: Codec<string> = {
  write(out, value) {
    u16.write(out, value.includes(":") ? 10 : 2, {});
    ip.write(out, value, {});
  },
  read: (input, start, end, siblings) => ip.read(input, Math.min(start + 2, end), end, siblings),
};

/** Struct rtnexthop: its length counts the attributes that follow it. */
const rtnexthop = struct(8, { length: [0, u16], flags: [2, u8], hops: [3, u8], index: [4, s32] });

const nexthopAttributes = attributes({ gateway: [5, ip], via: [18, via] });

const nexthop = headed(rtnexthop, nexthopAttributes);

/** RTA_MULTIPATH: nexthops one after another. `length` is filled in when they are written. */
export const multipath: Codec<readonly Infer<typeof nexthop>[]> = {
  write(out, value, siblings) {
    for (const hop of value) {
      const at = out.length;
      nexthop.write(out, hop, siblings);
      out.view.setUint16(at, out.length - at, littleEndian);
    }
  },
  read(input, start, end, siblings) {
    const hops: Infer<typeof nexthop>[] = [];
    let at = start;
    while (end - at >= rtnexthop.size) {
      const length = input.view.getUint16(at, littleEndian);
      if (length < rtnexthop.size || length > end - at) throw new MalformedError(`nexthop of length ${length}`, at);
      hops.push(nexthop.read(input, at, at + length, siblings));
      at += align4(length);
    }
    return hops;
  },
};

/** RTA_*. */
export const routeAttributes = attributes({
  destination: [1, ip],
  source: [2, ip],
  inputIndex: [3, u32],
  gateway: [5, ip],
  via: [18, via],
  preferredSource: [7, ip],
  table: [15, u32],
  priority: [6, u32],
  outputIndex: [4, u32],
  metrics: [8, unflagged(metricAttributes)],
  multipath: [9, multipath],
  flow: [11, u32],
  cacheInfo: [12, bytes],
  mark: [16, u32],
  preference: [20, u8],
  uid: [25, u32],
  ipProtocol: [27, u8],
  sourcePort: [28, be16],
  destinationPort: [29, be16],
  nexthopId: [30, u32],
});

export const routeMessage = headed(rtmsg, routeAttributes);

export const ndmsg = struct(12, {
  family: [0, u8],
  index: [4, s32],
  state: [8, u16],
  flags: [10, u8],
  type: [11, u8],
});

/** NDA_*. */
export const neighbourAttributes = attributes({
  destination: [1, ip],
  mac: [2, mac],
  cacheInfo: [3, struct(16, { confirmed: [0, u32], used: [4, u32], updated: [8, u32], references: [12, u32] })],
  probes: [4, u32],
  vlan: [5, u16],
  port: [6, be16],
  vni: [7, u32],
  index: [8, u32],
  master: [9, u32],
  linkNetnsid: [10, s32],
  protocol: [12, u8],
});

export const neighbourMessage = headed(ndmsg, neighbourAttributes);

export const fibRuleHeader = struct(12, {
  family: [0, u8],
  destinationLength: [1, u8],
  sourceLength: [2, u8],
  tos: [3, u8],
  table: [4, u8],
  action: [7, u8],
  flags: [8, u32],
});

/** FRA_*. */
export const ruleAttributes = attributes({
  priority: [6, u32],
  destination: [1, ip],
  source: [2, ip],
  inputInterface: [3, cstr],
  goto: [4, u32],
  mark: [10, u32],
  suppressPrefixLength: [14, s32],
  table: [15, u32],
  mask: [16, u32],
  outputInterface: [17, cstr],
  l3mdev: [19, bool8],
  protocol: [21, u8],
  ipProtocol: [22, u8],
});

export const ruleMessage = headed(fibRuleHeader, ruleAttributes);

/** struct rtgenmsg, with the padding that attributes want before them. */
export const rtgenmsg = struct(4, { family: [0, u8] });

/** NETNSA_*. */
export const nsidAttributes = attributes({
  nsid: [1, s32],
  pid: [2, u32],
  fd: [3, u32],
  targetNsid: [4, s32],
  currentNsid: [5, s32],
});

export const nsidMessage = headed(rtgenmsg, nsidAttributes);

export type AddressMessage = Infer<typeof addressMessage>;

export type RouteMessage = Infer<typeof routeMessage>;

export type NeighbourMessage = Infer<typeof neighbourMessage>;

export type RuleMessage = Infer<typeof ruleMessage>;

export type NsidMessage = Infer<typeof nsidMessage>;
