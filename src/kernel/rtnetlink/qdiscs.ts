/** Queueing disciplines and their classes: what `tc qdisc` and `tc class` show and do. */
import type { Feature } from "../errors.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type HtbClass, type QdiscSpecification, htbClassOptions, optionsOf, toSpecification } from "./qdisc-kinds.js";
import { type TrafficControlMessage, tcmsg, trafficControlMessage } from "./traffic-control-messages.js";

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
    item: (message) => (index === undefined || message.header.index === index ? toQdisc(message) : undefined),
    result: (all) => all,
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
  return change(
    k.RTM_NEWTCLASS,
    k.verbs.replace,
    "class.set",
    index,
    place,
    { kind: "htb", options: { htb: htbClassOptions(htbClass) } },
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

/** As tc(8) writes it. */
export function formatHandle(handle: number): string {
  if (handle === k.TC_H_ROOT) return "root";
  if (handle === k.TC_H_INGRESS) return "ingress";
  if (handle === 0) return "none";
  const major = (handle >>> 16).toString(16);
  const minor = handle & 0xffff;
  return `${major}:${minor === 0 ? "" : minor.toString(16)}`;
}
