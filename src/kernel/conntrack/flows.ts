/** Connection tracking: what `conntrack -L`, `-D` and `-E` show and do. */
import type { ConntrackFlow, Tuple } from "../../model/conntrack.js";
import { ipFamily } from "../codec/index.js";
import { NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from "../framing.js";
import { NFNL_SUBSYS_CTNETLINK } from "../nftables/constants.js";
import { nfgenmsg } from "../nftables/messages.js";
import { type Request, request } from "../request.js";
import { type ConntrackMessage, type TupleAttributes, conntrackMessage } from "./messages.js";

export const IPCTNL_MSG_CT_NEW = (NFNL_SUBSYS_CTNETLINK << 8) | 0;
export const IPCTNL_MSG_CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
export const IPCTNL_MSG_CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2;

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/** IPS_*: bits of `ConntrackFlow.status`. */
export const statusBits = {
  expected: 1,
  seenReply: 2,
  assured: 4,
  confirmed: 8,
  sourceNat: 16,
  destinationNat: 32,
  sequenceAdjust: 64,
  dying: 512,
  fixedTimeout: 1024,
  template: 2048,
  helper: 0x2000,
  offload: 0x4000,
} as const;

/** enum tcp_conntrack. */
const tcpStates = [
  "none",
  "syn_sent",
  "syn_recv",
  "established",
  "fin_wait",
  "close_wait",
  "last_ack",
  "time_wait",
  "close",
  "syn_sent2",
] as const;

/** A flow with what the model leaves out: counters and stamps are there only where the node's sysctls ask for them. */
export interface Flow extends ConntrackFlow {
  readonly counters?: {
    readonly original: { readonly packets: number; readonly bytes: number };
    readonly reply: { readonly packets: number; readonly bytes: number };
  };
  /** Nanoseconds since 1970. */
  readonly start?: bigint;
  readonly stop?: bigint;
}

/** What the kernel filters by, before it copies a flow. */
export interface FlowFilter {
  readonly family?: 4 | 6;
  readonly mark?: number;
  /** Which bits of the mark count; all where absent. */
  readonly markMask?: number;
  /** All of these IPS_* bits are set. */
  readonly status?: number;
  /** Parts of the original tuple (Linux 5.8 and later); they need `family`. */
  readonly original?: TupleFilter;
  /** Parts of the reply tuple: behind NAT, the other addresses. */
  readonly reply?: TupleFilter;
}

export type TupleFilter = Partial<Omit<Tuple, "icmp">>;

/** CTA_FILTER_F_*: which parts of a tuple count (net/netfilter/nf_conntrack_netlink.c). */
const tupleFlags = { source: 1, destination: 2, protocol: 8, sourcePort: 16, destinationPort: 32 } as const;

export function list(filter: FlowFilter = {}): Request<Flow[]> {
  const { family, mark, markMask, status, original, reply } = filter;
  for (const { protocol, sourcePort, destinationPort } of [original ?? {}, reply ?? {}])
    if (protocol === undefined && (sourcePort ?? destinationPort) !== undefined)
      throw new RangeError("a port to filter flows by needs its protocol");
  if (family === undefined && (original ?? reply) !== undefined)
    throw new RangeError("a tuple to filter flows by needs their family");
  return request({
    protocol: NETLINK_NETFILTER,
    type: IPCTNL_MSG_CT_GET,
    flags: NLM_F_DUMP,
    reads: true,
    schema: conntrackMessage,
    value: {
      header: { ...nfgenmsg.zero, family: family === undefined ? 0 : family === 4 ? AF_INET : AF_INET6 },
      attributes: {
        status,
        statusMask: status,
        mark,
        markMask: mark === undefined ? undefined : (markMask ?? 0xffffffff),
        original: original && fromTuple(original, family),
        reply: reply && fromTuple(reply, family),
        filter: (original ?? reply) === undefined ? undefined : { original: flagsOf(original), reply: flagsOf(reply) },
      },
    },
    operation: "conntrack.list",
    needs: { name: "conntrack over netlink", symbol: "CONFIG_NF_CT_NETLINK" },
    reply: conntrackMessage,
    item: toFlow,
    result: (all) => all,
  });
}

/** Deletes one entry. Throws ENOENT where there is none. @param id guards against one that took its place */
export function remove(original: Tuple, options: { readonly zone?: number; readonly id?: number } = {}): Request<void> {
  const { zone, id } = options;
  return request({
    protocol: NETLINK_NETFILTER,
    type: IPCTNL_MSG_CT_DELETE,
    flags: NLM_F_ACK,
    schema: conntrackMessage,
    value: {
      header: { ...nfgenmsg.zero, family: ipFamily(original.source) === 4 ? AF_INET : AF_INET6 },
      attributes: { original: fromTuple(original, ipFamily(original.source)), id, zone: zone === 0 ? undefined : zone },
    },
    operation: "conntrack.remove",
    object: `${original.source} -> ${original.destination}`,
    result: () => undefined,
  });
}

export type FlowEventKind = "new" | "update" | "destroy";

/** What a message of the event groups tells. @returns undefined for one that is none */
export function eventKind(type: number, flags: number): FlowEventKind | undefined {
  if (type === IPCTNL_MSG_CT_DELETE) return "destroy";
  if (type !== IPCTNL_MSG_CT_NEW) return undefined;
  return (flags & (NLM_F_CREATE | NLM_F_EXCL)) === 0 ? "update" : "new";
}

/** @returns undefined for an entry without both tuples */
export function toFlow({ header, attributes: a }: ConntrackMessage): Flow | undefined {
  const original = toTuple(a.original);
  const reply = toTuple(a.reply);
  if (original === undefined || reply === undefined) return undefined;
  const tcp = a.protocolInfo?.tcp?.state;
  return {
    id: a.id ?? 0,
    zone: a.zone ?? 0,
    family: header.family === AF_INET6 ? 6 : 4,
    original,
    reply,
    status: a.status ?? 0,
    ...(tcp === undefined ? {} : { tcpState: tcpStates[tcp] ?? String(tcp) }),
    ...(a.timeout === undefined ? {} : { timeout: a.timeout }),
    ...(a.mark === undefined ? {} : { mark: a.mark }),
    ...(a.countersOriginal === undefined || a.countersReply === undefined
      ? {}
      : { counters: { original: toCounters(a.countersOriginal), reply: toCounters(a.countersReply) } }),
    ...(a.timestamp?.start === undefined ? {} : { start: a.timestamp.start }),
    ...(a.timestamp?.stop === undefined ? {} : { stop: a.timestamp.stop }),
  };
}

function toCounters({ packets = 0, bytes = 0 }: { packets?: number | undefined; bytes?: number | undefined }) {
  return { packets, bytes };
}

function toTuple(given: TupleAttributes | undefined): Tuple | undefined {
  const source = given?.ip?.source4 ?? given?.ip?.source6;
  const destination = given?.ip?.destination4 ?? given?.ip?.destination6;
  const p = given?.protocol;
  if (source === undefined || destination === undefined || p?.number === undefined) return undefined;
  const type = p.icmpType ?? p.icmpv6Type;
  const code = p.icmpCode ?? p.icmpv6Code;
  const id = p.icmpId ?? p.icmpv6Id;
  return {
    source,
    destination,
    protocol: p.number,
    ...(p.sourcePort === undefined ? {} : { sourcePort: p.sourcePort }),
    ...(p.destinationPort === undefined ? {} : { destinationPort: p.destinationPort }),
    ...(type === undefined || code === undefined || id === undefined ? {} : { icmp: { type, code, id } }),
  };
}

function flagsOf(filter: TupleFilter = {}): number {
  const parts = Object.keys(tupleFlags) as (keyof typeof tupleFlags)[];
  return parts.reduce((flags, part) => (filter[part] === undefined ? flags : flags | tupleFlags[part]), 0);
}

function fromTuple(tuple: Partial<Tuple>, family: number | undefined): TupleAttributes {
  const { source, destination, protocol, sourcePort, destinationPort, icmp } = tuple;
  return {
    ip: family === 4 ? { source4: source, destination4: destination } : { source6: source, destination6: destination },
    protocol: {
      number: protocol,
      sourcePort,
      destinationPort,
      ...(icmp === undefined || protocol !== IPPROTO_ICMP
        ? {}
        : { icmpId: icmp.id, icmpType: icmp.type, icmpCode: icmp.code }),
      ...(icmp === undefined || protocol !== IPPROTO_ICMPV6
        ? {}
        : { icmpv6Id: icmp.id, icmpv6Type: icmp.type, icmpv6Code: icmp.code }),
    },
  };
}
