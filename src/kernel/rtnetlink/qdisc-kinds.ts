/** The kinds of qdisc that can be made, each with its own settings, in the kernel's form and in ours. */
import { type TrafficControlMessage, rateSpecification } from "./traffic-control-messages.js";

/** Token bucket: a rate. */
export interface Tbf {
  readonly kind: "tbf";
  /** Bytes a second. */
  readonly rate: number;
  /** Bytes that may leave at once: at least the MTU, and what the rate gives in a timer tick. */
  readonly burst: number;
  /** Bytes that may wait. */
  readonly limit: number;
}

/** Network emulator. Probabilities from 0 to 1, times in nanoseconds. */
export interface Netem {
  readonly kind: "netem";
  readonly delay?: number;
  readonly jitter?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** Leaves at once instead of after the delay: needs one. */
  readonly reorder?: number;
  readonly corrupt?: number;
  /** Packets that may wait; default 1,000. */
  readonly limit?: number;
  /** Bytes a second. */
  readonly rate?: number;
  /** Makes what is lost the same from run to run (6.6 and later; ignored before). */
  readonly seed?: bigint;
}

/** Hierarchical token bucket: the parent of classes. */
export interface Htb {
  readonly kind: "htb";
  /** Minor number of the class for packets that none claims. */
  readonly defaultClass?: number;
}

export type QdiscSpecification = Tbf | Netem | Htb;

export interface HtbClass {
  /** Bytes a second. */
  readonly rate: number;
  /** Bytes a second that it may borrow up to; default the rate. */
  readonly ceil?: number;
  /** Bytes; default 10 ms of the rate and a packet. */
  readonly burst?: number;
  readonly priority?: number;
}

/** Nanoseconds of a tick: /proc/net/psched, the same since 2.6.31 on every machine. */
const TICK = 64;
const NANOSECONDS = 1e9;

export function optionsOf(specification: QdiscSpecification): TrafficControlMessage["attributes"]["options"] {
  switch (specification.kind) {
    case "tbf":
      return { tbf: tbf(specification) };
    case "netem":
      return { netem: netem(specification) };
    case "htb":
      return {
        htb: {
          init: {
            version: 3,
            rate2quantum: 10,
            defaultClass: specification.defaultClass ?? 0,
            debug: 0,
            directPackets: 0,
          },
        },
      };
  }
}

function tbf({ rate, burst, limit }: Tbf) {
  return {
    parameters: { rate: rateOf(rate), peakRate: rateSpecification.zero, limit, buffer: ticks(burst, rate), mtu: 0 },
    rate64: wide(rate),
    burst,
  };
}

export function htbClassOptions({ rate, ceil = rate, burst, priority = 0 }: HtbClass) {
  const bytes = burst ?? Math.ceil(rate / 100) + 1600;
  return {
    parameters: {
      rate: rateOf(rate),
      ceil: rateOf(ceil),
      buffer: ticks(bytes, rate),
      ceilBuffer: ticks(bytes, ceil),
      quantum: 0,
      level: 0,
      priority,
    },
    rate64: wide(rate),
    ceil64: wide(ceil),
  };
}

/** The kernel wants no rate table since 3.8, once the link layer is named (TC_LINKLAYER_ETHERNET). */
function rateOf(rate: number) {
  return { ...rateSpecification.zero, linkLayer: 1, rate: Math.min(rate, 0xffffffff) };
}

/** What does not fit 32 bits goes in an attribute of its own. */
function wide(rate: number): bigint | undefined {
  return rate > 0xffffffff ? BigInt(Math.round(rate)) : undefined;
}

/** How long bytes take at a rate. */
function ticks(bytes: number, rate: number): number {
  return Math.ceil((bytes / rate) * (NANOSECONDS / TICK));
}

function netem(given: Netem) {
  const { delay, jitter, loss = 0, duplicate = 0, reorder, corrupt, limit = 1000, rate, seed } = given;
  if (reorder !== undefined && delay === undefined)
    throw new RangeError("reorder needs a delay: there is nothing to overtake");
  return {
    header: {
      latency: wholeTicks(delay) ?? 0,
      limit,
      loss: probability(loss),
      // Every first packet may overtake.
      gap: reorder === undefined ? 0 : 1,
      duplicate: probability(duplicate),
      jitter: wholeTicks(jitter) ?? 0,
    },
    attributes: {
      latency64: wholeTicks(delay) === undefined ? BigInt(Math.round(delay ?? 0)) : undefined,
      jitter64: wholeTicks(jitter) === undefined ? BigInt(Math.round(jitter ?? 0)) : undefined,
      reorder: reorder === undefined ? undefined : { probability: probability(reorder), correlation: 0 },
      corrupt: corrupt === undefined ? undefined : { probability: probability(corrupt), correlation: 0 },
      rate64: rate === undefined ? undefined : wide(rate),
      rate:
        rate === undefined
          ? undefined
          : { rate: Math.min(Math.round(rate), 0xffffffff), packetOverhead: 0, cellSize: 0, cellOverhead: 0 },
      seed,
    },
  };
}

/** Ticks of a time, where they give it exactly; else it goes into an attribute that counts nanoseconds. */
function wholeTicks(nanoseconds = 0): number | undefined {
  const count = nanoseconds / TICK;
  return Number.isInteger(count) && count <= 0xffffffff ? count : undefined;
}

/** As a part of 2^32 - 1. */
function probability(value: number): number {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${value} is no probability: 0 to 1`);
  return Math.round(value * 0xffffffff);
}

export function toSpecification(
  options: TrafficControlMessage["attributes"]["options"],
): QdiscSpecification | undefined {
  if (options?.tbf?.parameters !== undefined) {
    const { rate, limit, buffer } = options.tbf.parameters;
    const bytesPerSecond = Number(options.tbf.rate64 ?? rate.rate);
    return {
      kind: "tbf",
      rate: bytesPerSecond,
      burst: Math.round((buffer * TICK * bytesPerSecond) / NANOSECONDS),
      limit,
    };
  }
  if (options?.netem !== undefined) return fromNetem(options.netem);
  if (options?.htb?.init !== undefined) return { kind: "htb", defaultClass: options.htb.init.defaultClass };
  return undefined;
}

function fromNetem({
  header,
  attributes: a,
}: NonNullable<NonNullable<TrafficControlMessage["attributes"]["options"]>["netem"]>): Netem {
  const part = (value: number | undefined) => (value === undefined || value === 0 ? undefined : value / 0xffffffff);
  const settings = {
    delay: Number(a.latency64 ?? BigInt(header.latency * TICK)) || undefined,
    jitter: Number(a.jitter64 ?? BigInt(header.jitter * TICK)) || undefined,
    loss: part(header.loss),
    duplicate: part(header.duplicate),
    reorder: part(a.reorder?.probability),
    corrupt: part(a.corrupt?.probability),
    limit: header.limit,
    rate: Number(a.rate64 ?? a.rate?.rate ?? 0) || undefined,
  };
  const known = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  return { kind: "netem", ...(known as Partial<Omit<Netem, "kind">>) }; // the same fields, without those that are absent
}
