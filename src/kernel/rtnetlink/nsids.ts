/** Namespace ids: the numbers by which one namespace knows others (`ip netns list-id`). */
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type NsidMessage, nsidMessage, rtgenmsg } from "./messages.js";

/** Gives a namespace a number; it keeps it until it ends. Throws EEXIST where it has one, or another has that. */
export function assign(netnsFd: number, nsid: number): Request<void> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_NEWNSID,
    flags: NLM_F_ACK,
    schema: nsidMessage,
    value: { header: rtgenmsg.zero, attributes: { nsid, fd: netnsFd } },
    operation: "nsid.assign",
    object: String(nsid),
    result: () => undefined,
  });
}

/** The number of a namespace; undefined where it has none here. */
export function get(netnsFd: number): Request<number | undefined> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETNSID,
    flags: 0,
    reads: true,
    schema: nsidMessage,
    value: { header: rtgenmsg.zero, attributes: { fd: netnsFd } },
    operation: "nsid.get",
    reply: nsidMessage,
    item: assigned,
    result: ([nsid]) => nsid,
  });
}

/** All numbers that this namespace knows. */
export function list(): Request<number[]> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETNSID,
    flags: NLM_F_DUMP,
    reads: true,
    schema: nsidMessage,
    value: { header: rtgenmsg.zero, attributes: {} },
    operation: "nsid.list",
    reply: nsidMessage,
    item: assigned,
    result: (all) => all,
  });
}

/** NETNSA_NSID_NOT_ASSIGNED is -1. */
export function assigned({ attributes }: NsidMessage): number | undefined {
  return attributes.nsid === undefined || attributes.nsid < 0 ? undefined : attributes.nsid;
}
