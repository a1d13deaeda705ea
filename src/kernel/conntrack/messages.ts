/** Schemas of ctnetlink (linux/netfilter/nfnetlink_conntrack.h). Numbers are big-endian. */
import {
  type Infer,
  attributes,
  be16,
  be32,
  beCount64,
  be64,
  bytes,
  headed,
  ipv4,
  ipv6,
  u32,
  u8,
} from "../codec/index.js";
import { nfgenmsg } from "../nftables/messages.js";

/** CTA_IP_*, CTA_PROTO_*, CTA_TUPLE_*. */
export const tuple = attributes({
  ip: [1, attributes({ source4: [1, ipv4], destination4: [2, ipv4], source6: [3, ipv6], destination6: [4, ipv6] })],
  protocol: [
    2,
    attributes({
      number: [1, u8],
      sourcePort: [2, be16],
      destinationPort: [3, be16],
      icmpId: [4, be16],
      icmpType: [5, u8],
      icmpCode: [6, u8],
      icmpv6Id: [7, be16],
      icmpv6Type: [8, u8],
      icmpv6Code: [9, u8],
    }),
  ],
  zone: [3, be16],
});
export type TupleAttributes = Infer<typeof tuple>;

/** CTA_COUNTERS_*. */
const counters = attributes({ packets: [1, beCount64], bytes: [2, beCount64] });

/** CTA_*. */
export const conntrackMessage = headed(
  nfgenmsg,
  attributes({
    original: [1, tuple],
    reply: [2, tuple],
    status: [3, be32],
    protocolInfo: [
      4,
      attributes({ tcp: [1, attributes({ state: [1, u8], scaleOriginal: [2, u8], scaleReply: [3, u8] })] }),
    ],
    timeout: [7, be32],
    mark: [8, be32],
    countersOriginal: [9, counters],
    countersReply: [10, counters],
    use: [11, be32],
    id: [12, be32],
    master: [14, tuple],
    zone: [18, be16],
    // Nanoseconds of the wall clock: more than a double holds.
    timestamp: [20, attributes({ start: [1, be64], stop: [2, be64] })],
    markMask: [21, be32],
    labels: [22, bytes],
    // These alone are in the byte order of the machine (ctnetlink_parse_filter).
    filter: [25, attributes({ original: [1, u32], reply: [2, u32] })],
    statusMask: [26, be32],
  }),
);
export type ConntrackMessage = Infer<typeof conntrackMessage>;
