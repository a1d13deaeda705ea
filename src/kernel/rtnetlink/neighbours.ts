/** Neighbours and forwarding entries of bridges: what `ip neighbour` and `bridge fdb` show and do. */
import { ipFamily } from "../codec/index.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type NeighbourMessage, ndmsg, neighbourMessage } from "./messages.js";

export type NeighbourState = keyof typeof k.neighbourStates;

export interface Neighbour {
  readonly family: 4 | 6;
  readonly index: number;
  readonly address: string;
  readonly mac: string | undefined;
  readonly state: NeighbourState;
  /** NTF_*. */
  readonly flags: number;
}

export interface NewNeighbour {
  readonly index: number;
  readonly address: string;
  readonly mac?: string;
  /** Default `permanent`. */
  readonly state?: NeighbourState;
}

export function list(filter: { readonly family?: 4 | 6; readonly index?: number } = {}): Request<Neighbour[]> {
  return dump(
    "neighbour.list",
    filter.family === undefined ? k.AF_UNSPEC : k.addressFamily(filter.family),
    { index: filter.index },
    toNeighbour,
  );
}

export function add(neighbour: NewNeighbour, verb: "add" | "replace" = "replace"): Request<void> {
  return change("neighbour.add", k.RTM_NEWNEIGH, k.verbs[verb], neighbour);
}

/** Throws ENOENT where there is no such entry. */
export function remove(neighbour: NewNeighbour): Request<void> {
  return change("neighbour.remove", k.RTM_DELNEIGH, NLM_F_ACK, neighbour);
}

function change(operation: string, type: number, flags: number, neighbour: NewNeighbour): Request<void> {
  const { index, address, mac, state = "permanent" } = neighbour;
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: neighbourMessage,
    value: {
      header: {
        ...ndmsg.zero,
        family: k.addressFamily(ipFamily(address)),
        index,
        state: type === k.RTM_NEWNEIGH ? k.neighbourStates[state] : 0,
      },
      attributes: { destination: address, mac: type === k.RTM_NEWNEIGH ? mac : undefined },
    },
    operation,
    object: address,
    result: () => undefined,
  });
}

/** @returns undefined for what is no IP neighbour */
export function toNeighbour({ header, attributes: a }: NeighbourMessage): Neighbour | undefined {
  if ((header.family !== k.AF_INET && header.family !== k.AF_INET6) || a.destination === undefined) return undefined;
  return {
    family: header.family === k.AF_INET ? 4 : 6,
    index: header.index,
    address: a.destination,
    mac: a.mac,
    state: stateName(header.state),
    flags: header.flags,
  };
}

function stateName(bits: number): NeighbourState {
  const found = Object.entries(k.neighbourStates).find(([, bit]) => bit !== 0 && (bits & bit) !== 0);
  return found === undefined ? "none" : (found[0] as NeighbourState); // a key of that very table
}

/** An entry of a bridge's forwarding table, or of a vxlan's. */
export interface FdbEntry {
  readonly mac: string;
  /** The port, or the vxlan. */
  readonly index: number;
  /** Index of the bridge. */
  readonly master: number | undefined;
  readonly vlan: number | undefined;
  /** The address of the port or bridge itself. */
  readonly local: boolean;
  /** Entered by hand: never ages. */
  readonly permanent: boolean;
  /** Of a vxlan: the tunnel's far end. */
  readonly remote: string | undefined;
  /** NTF_*. */
  readonly flags: number;
}

export interface NewFdbEntry {
  readonly mac: string;
  /** The port of a bridge, or a vxlan. */
  readonly index: number;
  /** Of a vxlan: the tunnel's far end. Absent: the entry is one of the bridge. */
  readonly remote?: string;
  readonly vlan?: number;
}

/** Entries of every bridge and vxlan, or of one bridge. @param bridge its index */
export function listFdb(bridge?: number): Request<FdbEntry[]> {
  return dump("fdb.list", k.AF_BRIDGE, { master: bridge }, toFdbEntry);
}

export function addFdb(entry: NewFdbEntry, verb: "add" | "replace" | "append" = "replace"): Request<void> {
  return changeFdb("fdb.add", k.RTM_NEWNEIGH, k.verbs[verb], entry);
}

export function removeFdb(entry: NewFdbEntry): Request<void> {
  return changeFdb("fdb.remove", k.RTM_DELNEIGH, NLM_F_ACK, entry);
}

function changeFdb(operation: string, type: number, flags: number, entry: NewFdbEntry): Request<void> {
  const { index, mac, remote, vlan } = entry;
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: neighbourMessage,
    value: {
      header: {
        ...ndmsg.zero,
        family: k.AF_BRIDGE,
        index,
        // Static, as `bridge fdb add … static`: forwarded to, not one of our own addresses.
        state:
          k.neighbourStates.noarp | (remote === undefined ? k.neighbourStates.reachable : k.neighbourStates.permanent),
        flags: remote === undefined ? k.NTF_MASTER : k.NTF_SELF,
      },
      attributes: { destination: remote, mac, vlan },
    },
    operation,
    object: mac,
    result: () => undefined,
  });
}

/** @returns undefined for what is no entry of a bridge */
export function toFdbEntry({ header, attributes: a }: NeighbourMessage): FdbEntry | undefined {
  if (header.family !== k.AF_BRIDGE || a.mac === undefined) return undefined;
  const permanent = (header.state & k.neighbourStates.permanent) !== 0;
  return {
    mac: a.mac,
    index: header.index,
    master: a.master,
    vlan: a.vlan,
    // NUD_PERMANENT marks the bridge's own addresses (BR_FDB_LOCAL), NUD_NOARP what was entered by hand.
    local: permanent && a.master !== undefined,
    permanent: permanent || (header.state & k.neighbourStates.noarp) !== 0,
    remote: a.destination,
    flags: header.flags,
  };
}

function dump<I>(
  operation: string,
  family: number,
  filter: { readonly index?: number | undefined; readonly master?: number | undefined },
  make: (message: NeighbourMessage) => I | undefined,
): Request<I[]> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETNEIGH,
    flags: NLM_F_DUMP,
    reads: true,
    schema: neighbourMessage,
    value: { header: { ...ndmsg.zero, family }, attributes: filter },
    operation,
    reply: neighbourMessage,
    item: make,
    result: (all) => all,
  });
}
