/** Schemas of traffic control (linux/pkt_sched.h, rtnetlink.h, gen_stats.h). Times in ticks of 64 ns where nothing else is said. */
import {
  type Infer,
  attributes,
  bytes,
  count64,
  cstr,
  headed,
  s16,
  s32,
  s64,
  struct,
  u16,
  u32,
  u64,
  u8,
  unflagged,
  variant,
} from "../codec/index.js";

export const tcmsg = struct(20, {
  family: [0, u8],
  index: [4, s32],
  handle: [8, u32],
  parent: [12, u32],
  info: [16, u32],
});

/** struct tc_ratespec. */
export const rateSpecification = struct(12, {
  cellLog: [0, u8],
  linkLayer: [1, u8],
  overhead: [2, u16],
  cellAlign: [4, s16],
  mpu: [6, u16],
  rate: [8, u32],
});

/** struct tc_tbf_qopt. */
const tbfParameters = struct(36, {
  rate: [0, rateSpecification],
  peakRate: [12, rateSpecification],
  limit: [24, u32],
  buffer: [28, u32],
  mtu: [32, u32],
});
export const tbfOptions = attributes({
  parameters: [1, tbfParameters],
  rate64: [4, u64],
  burst: [6, u32],
});

/** struct tc_netem_qopt, and TCA_NETEM_* after it, in the order of tc(8). */
export const netemOptions = headed(
  struct(24, {
    latency: [0, u32],
    limit: [4, u32],
    loss: [8, u32],
    gap: [12, u32],
    duplicate: [16, u32],
    jitter: [20, u32],
  }),
  attributes({
    /** Nanoseconds. */
    latency64: [10, s64],
    jitter64: [11, s64],
    correlation: [1, struct(12, { delay: [0, u32], loss: [4, u32], duplicate: [8, u32] })],
    reorder: [3, struct(8, { probability: [0, u32], correlation: [4, u32] })],
    corrupt: [4, struct(8, { probability: [0, u32], correlation: [4, u32] })],
    rate64: [8, u64],
    rate: [6, struct(16, { rate: [0, u32], packetOverhead: [4, s32], cellSize: [8, u32], cellOverhead: [12, s32] })],
    ecn: [7, u32],
    seed: [14, u64],
  }),
);

/** struct tc_htb_glob. */
const htbGlobal = struct(20, {
  version: [0, u32],
  rate2quantum: [4, u32],
  defaultClass: [8, u32],
  debug: [12, u32],
  directPackets: [16, u32],
});
/** struct tc_htb_opt. */
const htbClass = struct(44, {
  rate: [0, rateSpecification],
  ceil: [12, rateSpecification],
  buffer: [24, u32],
  ceilBuffer: [28, u32],
  quantum: [32, u32],
  level: [36, u32],
  priority: [40, u32],
});
export const htbOptions = attributes({
  parameters: [1, htbClass],
  init: [2, htbGlobal],
  rate64: [6, u64],
  ceil64: [7, u64],
});

/** TCA_STATS2: struct gnet_stats_basic, gnet_stats_queue. */
const statistics = attributes({
  basic: [1, struct(16, { bytes: [0, count64], packets: [8, u32] }, 12)],
  queue: [
    3,
    struct(20, {
      length: [0, u32],
      backlog: [4, u32],
      drops: [8, u32],
      requeues: [12, u32],
      overlimits: [16, u32],
    }),
  ],
});

/** TCA_*. */
export const trafficControlMessage = headed(
  tcmsg,
  attributes({
    kind: [1, cstr],
    options: [2, unflagged(variant("kind", { tbf: tbfOptions, netem: netemOptions, htb: htbOptions }))],
    statistics: [7, statistics],
    chain: [11, u32],
    hardwareOffload: [12, u8],
    ingressBlock: [13, u32],
    egressBlock: [14, u32],
    xstats: [4, bytes],
  }),
);
export type TrafficControlMessage = Infer<typeof trafficControlMessage>;
