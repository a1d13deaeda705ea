/** Queueing disciplines and their classes: what `tc qdisc` and `tc class` show and do. */
import type { Feature } from "../errors.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import {
  type TrafficControlMessage,
  rateSpecification,
  tcmsg,
  trafficControlMessage,
} from "./traffic-control-messages.js";

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

export interface Qdisc {
  /** Of the link. */
  readonly index: number;
  readonly kind: string;
  /** `1:`, `8001:`, `ffff:`: hexadecimal, as tc writes them. */
  readonly handle: string;
  /** `root`, `1:1`. */
  readonly parent: string;
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly overlimits: number;
  /** Bytes that wait. */
  readonly backlog: number;
  /** As it was made, where the kind is one of ours. */
  readonly settings: QdiscSpecification | undefined;
}

/** Where a qdisc stands. Numbers are major << 16 | minor: `1:` is 0x10000. */
export interface Place {
  /** Default: the root of the link. */
  readonly parent?: number;
  /** Default: the kernel chooses. */
  readonly handle?: number;
}

export const ROOT = k.TC_H_ROOT;

/** Nanoseconds of a tick: /proc/net/psched, the same since 2.6.31 on every machine. */
const TICK = 64;
const NANOSECONDS = 1e9;

export function list(index?: number): Request<Qdisc[]> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETQDISC,
    flags: NLM_F_DUMP,
    reads: true,
    schema: trafficControlMessage,
    value: { header: { ...tcmsg.zero, index: index ?? 0 }, attributes: {} },
    operation: "qdisc.list",
    reply: trafficControlMessage,
    result: (replies) =>
      replies.map(({ value }) => toQdisc(value)).filter((qdisc) => index === undefined || qdisc.index === index),
  });
}

/** Throws EEXIST with `add` where one stands there already; `UnsupportedError` where the kernel lacks the kind. */
export function set(
  index: number,
  specification: QdiscSpecification,
  place: Place = {},
  verb: "add" | "replace" = "replace",
): Request<void> {
  return change(
    k.RTM_NEWQDISC,
    k.verbs[verb],
    "qdisc.set",
    index,
    place,
    {
      kind: specification.kind,
      options: optionsOf(specification),
    },
    features[specification.kind],
  );
}

/** The link gets its default back. Throws ENOENT, EINVAL where there is none of ours. */
export function remove(index: number, place: Place = {}): Request<void> {
  return change(k.RTM_DELQDISC, NLM_F_ACK, "qdisc.remove", index, place, {});
}

/** A class of an htb. @param place `parent` 1: (or a class of it), `handle` 1:10 */
export function setHtbClass(index: number, htbClass: HtbClass, place: Required<Place>): Request<void> {
  const { rate, ceil = rate, priority = 0 } = htbClass;
  const burst = htbClass.burst ?? Math.ceil(rate / 100) + 1600;
  return change(
    k.RTM_NEWTCLASS,
    k.verbs.replace,
    "class.set",
    index,
    place,
    {
      kind: "htb",
      options: {
        htb: {
          parameters: {
            rate: rateOf(rate),
            ceil: rateOf(ceil),
            buffer: ticks(burst, rate),
            ceilBuffer: ticks(burst, ceil),
            quantum: 0,
            level: 0,
            priority,
          },
          rate64: wide(rate),
          ceil64: wide(ceil),
        },
      },
    },
    features.htb,
  );
}

const features: Readonly<Record<QdiscSpecification["kind"], Feature>> = {
  tbf: { name: "tbf qdisc", symbol: "CONFIG_NET_SCH_TBF" },
  netem: { name: "netem qdisc", symbol: "CONFIG_NET_SCH_NETEM" },
  htb: { name: "htb qdisc", symbol: "CONFIG_NET_SCH_HTB" },
};

function change(
  type: number,
  flags: number,
  operation: string,
  index: number,
  { parent = ROOT, handle = 0 }: Place,
  attributes: TrafficControlMessage["attributes"],
  needs?: Feature,
): Request<void> {
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: trafficControlMessage,
    value: { header: { ...tcmsg.zero, index, handle, parent }, attributes },
    operation,
    object: attributes.kind,
    needs,
    result: () => undefined,
  });
}

function optionsOf(specification: QdiscSpecification): TrafficControlMessage["attributes"]["options"] {
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

export function toQdisc({ header, attributes: a }: TrafficControlMessage): Qdisc {
  return {
    index: header.index,
    kind: a.kind ?? "",
    handle: formatHandle(header.handle),
    parent: formatHandle(header.parent),
    bytes: a.statistics?.basic?.bytes ?? 0,
    packets: a.statistics?.basic?.packets ?? 0,
    drops: a.statistics?.queue?.drops ?? 0,
    overlimits: a.statistics?.queue?.overlimits ?? 0,
    backlog: a.statistics?.queue?.backlog ?? 0,
    settings: toSpecification(a.options),
  };
}

function toSpecification(options: TrafficControlMessage["attributes"]["options"]): QdiscSpecification | undefined {
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

/** As tc(8) writes it. */
export function formatHandle(handle: number): string {
  if (handle === k.TC_H_ROOT) return "root";
  if (handle === k.TC_H_INGRESS) return "ingress";
  if (handle === 0) return "none";
  const major = (handle >>> 16).toString(16);
  const minor = handle & 0xffff;
  return `${major}:${minor === 0 ? "" : minor.toString(16)}`;
}
