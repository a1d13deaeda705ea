/** Connections as conntrack of a node sees them: those of the snapshot, and those that a predicted packet has opened. */
import type { ConntrackFlow } from "../model/conntrack.js";
import type { Snapshot } from "../model/snapshot.js";
import { sameAddress } from "../model/address.js";
import { type Header, matchesTuple, mirror, mirrored } from "./header.js";
import type { ConnectionState } from "./match.js";

/** What conntrack says of a packet in a node: how it goes on, and how far its connection is. */
export interface Translation {
  readonly header: Header;
  readonly direction: "original" | "reply";
  readonly state: "new" | "established";
}

export type Translate = (node: string, header: Header) => Translation | undefined;

/** Conntrack entries as a snapshot holds them. */
export function fromSnapshot(snapshot: Snapshot): Translate {
  const byNode = new Map(snapshot.nodes.map(({ name, conntrack }) => [name, conntrack]));
  return (name, header) => {
    for (const entry of byNode.get(name) ?? []) {
      const found = translateBy(entry, header);
      if (found) return found;
    }
    return undefined;
  };
}

/** IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h. */
const SEEN_REPLY = 2;

export function translateBy(entry: ConntrackFlow, header: Header): Translation | undefined {
  const state = (entry.status & SEEN_REPLY) !== 0 ? "established" : "new";
  if (matchesTuple(header, entry.original)) {
    return { header: mirrored(header, entry.reply), direction: "original", state };
  }
  if (matchesTuple(header, entry.reply)) {
    return { header: mirrored(header, entry.original), direction: "reply", state: "established" };
  }
  return undefined;
}

/** What a packet was when it came to a node, and what it was when it left: a conntrack entry to be. */
export interface Passage {
  readonly node: string;
  readonly before: Header;
  readonly after: Header;
}

/** The entries that a predicted packet leaves behind, before those that were there already. */
export function remembering(passages: readonly Passage[], before: Translate): Translate {
  return (node, header) => {
    for (const passage of passages) {
      if (passage.node !== node) continue;
      if (sameTuple(header, mirror(passage.after)))
        return { header: { ...header, ...endsOf(mirror(passage.before)) }, direction: "reply", state: "established" };
      if (sameTuple(header, passage.before))
        return { header: { ...header, ...endsOf(passage.after) }, direction: "original", state: "new" };
    }
    return before(node, header);
  };
}

function sameTuple(a: Header, b: Header): boolean {
  return (
    a.protocol === b.protocol &&
    sameAddress(a.source, b.source) &&
    sameAddress(a.destination, b.destination) &&
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort
  );
}

type Ends = Pick<Header, "source" | "destination" | "sourcePort" | "destinationPort">;

function endsOf({ source, destination, sourcePort, destinationPort }: Header): Ends {
  return {
    source,
    destination,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
  };
}

/** A packet's connection while it passes one node. */
export interface Connection extends ConnectionState {
  /** The packet as NAT of this connection leaves it; absent for one that the node has not seen before. */
  readonly translated?: Header;
  /** What NAT has decided for it already, in a hook before. */
  readonly settled?: readonly ("source" | "destination")[];
}

/**
 * @param complete whether `translate` knows every connection: then an answer without a request is invalid
 * (nf_conntrack_proto_tcp.c, tcp_new; nf_conntrack_proto_icmp.c, valid_new)
 */
export function connectionOf(node: string, header: Header, translate: Translate, complete: boolean): Connection {
  if (header.about !== undefined) return connectionOfError(node, header, header.about, translate);
  const known = translate(node, header);
  if (known === undefined)
    return { state: complete && isAnswer(header) ? "invalid" : "new", direction: "original", status: [] };
  return {
    state: known.state,
    direction: known.direction,
    status: translations(known.direction, header, known.header),
    translated: known.header,
  };
}

/** An ICMP error belongs to the connection of the packet that it is about, and is translated as an answer of it. */
function connectionOfError(node: string, header: Header, about: Header, translate: Translate): Connection {
  const answer = mirror(about);
  const known = translate(node, answer);
  if (known === undefined) return { state: "invalid", direction: "original", status: [] };
  const status = translations(known.direction, answer, known.header);
  const translated: Header = {
    ...header,
    ...(sameAddress(known.header.source, answer.source) ? {} : { source: known.header.source }),
    ...(sameAddress(known.header.destination, answer.destination) ? {} : { destination: known.header.destination }),
    about: mirror(known.header),
  };
  return { state: "related", direction: known.direction, status, translated };
}

function translations(direction: "original" | "reply", from: Header, to: Header): string[] {
  const source = !sameAddress(from.source, to.source) || from.sourcePort !== to.sourcePort;
  const destination = !sameAddress(from.destination, to.destination) || from.destinationPort !== to.destinationPort;
  const [snat, dnat] = direction === "original" ? [source, destination] : [destination, source];
  return [...(snat ? ["snat"] : []), ...(dnat ? ["dnat"] : [])];
}

const SYN = 2;
const RST = 4;
const ACK = 16;

function isAnswer({ protocol, tcpFlags, icmpType }: Header): boolean {
  if (protocol === 6)
    return tcpFlags !== undefined && ((tcpFlags & (SYN | ACK)) === (SYN | ACK) || (tcpFlags & RST) !== 0);
  if (protocol === 1) return icmpType === 0;
  return protocol === 58 && icmpType === 129;
}
