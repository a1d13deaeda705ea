/** Events of rtnetlink: links, addresses, routes, neighbours, rules, qdiscs, namespace ids (`ip monitor`). */
import type { Codec } from "../codec/index.js";
import { type ListenOptions, type Listener, listen } from "../events.js";
import type { Message } from "../framing.js";
import type { NetlinkSocket } from "../transport.js";
import { type Address, toAddress } from "./addresses.js";
import * as k from "./constants.js";
import { type Link, linkReply, toLink } from "./link.js";
import { addressMessage, neighbourMessage, nsidMessage, routeMessage, ruleMessage } from "./messages.js";
import { type FdbEntry, type Neighbour, toFdbEntry, toNeighbour } from "./neighbours.js";
import { assigned } from "./nsids.js";
import { type Qdisc, toQdisc } from "./qdiscs.js";
import { type Route, toRoute } from "./routes.js";
import { type PolicyRule, toRule } from "./rules.js";
import { trafficControlMessage } from "./traffic-control-messages.js";

/** `removed: false` means that the object is new or has changed: the kernel does not tell which. */
export type RouteEvent = {
  readonly removed: boolean;
  /** The namespace that it comes from, where the socket listens everywhere and it is not the socket's own. */
  readonly nsid: number | undefined;
} & (
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "address"; readonly address: Address }
  | { readonly kind: "route"; readonly route: Route }
  | { readonly kind: "neighbour"; readonly neighbour: Neighbour }
  | { readonly kind: "fdb"; readonly entry: FdbEntry }
  | { readonly kind: "rule"; readonly rule: PolicyRule }
  | { readonly kind: "qdisc"; readonly qdisc: Qdisc }
  | { readonly kind: "nsid"; readonly id: number }
);
type RouteObject = RouteEvent extends infer E ? (E extends RouteEvent ? Omit<E, "removed" | "nsid"> : never) : never;

export interface RouteListenOptions extends ListenOptions {
  /** RTNLGRP_*; default all of `groups`. */
  readonly groups?: readonly number[];
  /** Hear every namespace that has an nsid in the socket's (CAP_NET_BROADCAST). */
  readonly everywhere?: boolean;
}

/** Listens on a NETLINK_ROUTE socket, which becomes ours. */
export function listenRoute(
  socket: NetlinkSocket,
  listener: Listener<RouteEvent>,
  options: RouteListenOptions = {},
): Disposable {
  if (options.everywhere === true) socket.listenEverywhere();
  return listen(
    socket,
    options.groups ?? Object.values(k.groups),
    (message, nsid) => {
      const object = readers[message.type & ~3]?.(message);
      // NEW, DEL, GET of a kind are numbered one after another, NEW at a multiple of four.
      return object === undefined ? undefined : { ...object, removed: (message.type & 3) === 1, nsid };
    },
    listener,
    options,
  );
}

/** By the number of the NEW message of each kind. */
const readers: Readonly<Record<number, (message: Message) => RouteObject | undefined>> = {
  // The bridge tells of its ports in messages of its own family; the port's own message follows.
  [k.RTM_NEWLINK]: reading(linkReply, (value) =>
    value.header.family === k.AF_BRIDGE ? undefined : { kind: "link", link: toLink(value) },
  ),
  [k.RTM_NEWADDR]: reading(addressMessage, (value) => {
    const address = toAddress(value);
    return address === undefined ? undefined : { kind: "address", address };
  }),
  [k.RTM_NEWROUTE]: reading(routeMessage, (value) => {
    const route = toRoute(value);
    return route === undefined ? undefined : { kind: "route", route };
  }),
  [k.RTM_NEWNEIGH]: reading(neighbourMessage, (value) => {
    const neighbour = toNeighbour(value);
    if (neighbour !== undefined) return { kind: "neighbour", neighbour };
    const entry = toFdbEntry(value);
    return entry === undefined ? undefined : { kind: "fdb", entry };
  }),
  [k.RTM_NEWRULE]: reading(ruleMessage, (value) => {
    const rule = toRule(value);
    return rule === undefined ? undefined : { kind: "rule", rule };
  }),
  [k.RTM_NEWQDISC]: reading(trafficControlMessage, (value) => ({ kind: "qdisc", qdisc: toQdisc(value) })),
  [k.RTM_NEWNSID]: reading(nsidMessage, (value) => {
    const id = assigned(value);
    return id === undefined ? undefined : { kind: "nsid", id };
  }),
};

function reading<V>(
  codec: Codec<V>,
  make: (value: V) => RouteObject | undefined,
): (message: Message) => RouteObject | undefined {
  return ({ input, start, end }) => make(codec.read(input, start, end, {}));
}
