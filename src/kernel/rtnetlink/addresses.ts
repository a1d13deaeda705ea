/** Addresses: what `ip address` shows and does. */
import { ipFamily } from "../codec/index.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type AddressMessage, addressMessage, ifaddrmsg } from "./messages.js";

export interface Address {
  /** Of the link. */
  readonly index: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  /** The other end of a point-to-point address. */
  readonly peer: string | undefined;
  readonly broadcast: string | undefined;
  readonly label: string | undefined;
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
  /** Not usable yet, or found on another host (IFA_F_TENTATIVE, IFA_F_DADFAILED). */
  readonly tentative: boolean;
}

export interface NewAddress {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
  /** The kernel sets none by itself. */
  readonly broadcast?: string;
  /** RT_SCOPE_*; default universe. */
  readonly scope?: number;
  readonly label?: string;
  /** IPv6: usable at once, without duplicate address detection (which takes one to two seconds). */
  readonly skipDuplicateDetection?: boolean;
}

export function list(filter: { readonly index?: number; readonly family?: 4 | 6 } = {}): Request<Address[]> {
  const family = filter.family === undefined ? k.AF_UNSPEC : k.addressFamily(filter.family);
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETADDR,
    flags: NLM_F_DUMP,
    reads: true,
    schema: addressMessage,
    value: { header: { ...ifaddrmsg.zero, family, index: filter.index ?? 0 }, attributes: {} },
    operation: "address.list",
    reply: addressMessage,
    item: toAddress,
    result: (all) => all,
  });
}

/** Throws EEXIST where the link has the address already, with `add`. */
export function add(address: NewAddress, verb: "add" | "replace" = "add"): Request<void> {
  return change("address.add", k.RTM_NEWADDR, k.verbs[verb], address);
}

/** Throws EADDRNOTAVAIL where there is no such address. */
export function remove(address: NewAddress): Request<void> {
  return change("address.remove", k.RTM_DELADDR, NLM_F_ACK, address);
}

function change(operation: string, type: number, flags: number, given: NewAddress): Request<void> {
  const { index, address, prefixLength, broadcast, scope = 0, label, skipDuplicateDetection } = given;
  const family = ipFamily(address);
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: addressMessage,
    value: {
      header: {
        ...ifaddrmsg.zero,
        family: k.addressFamily(family),
        prefixLength,
        flags: skipDuplicateDetection === true ? k.IFA_F_NODAD : 0,
        scope,
        index,
      },
      attributes: {
        address,
        // IPv4 goes by IFA_LOCAL: "Local address is not supplied" otherwise.
        local: address,
        broadcast,
        label,
      },
    },
    operation,
    object: `${address}/${prefixLength}`,
    result: () => undefined,
  });
}

/** @returns undefined for an address of another family */
export function toAddress({ header, attributes: a }: AddressMessage): Address | undefined {
  const address = a.local ?? a.address;
  if (address === undefined || (header.family !== k.AF_INET && header.family !== k.AF_INET6)) return undefined;
  const flags = a.flags ?? header.flags;
  return {
    index: header.index,
    family: header.family === k.AF_INET ? 4 : 6,
    address,
    prefixLength: header.prefixLength,
    peer: a.address === address ? undefined : a.address,
    broadcast: a.broadcast,
    label: a.label,
    scope: header.scope,
    flags,
    tentative: (flags & (k.IFA_F_TENTATIVE | k.IFA_F_DADFAILED)) !== 0,
  };
}
