/** What a node tells the sender of a packet that it drops: an ICMP error, a RST, or nothing. */
import type { NftStatement } from "../model/nft.js";
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import { type Header, mirror } from "./header.js";
import type { Drop } from "./prediction.js";

export interface Complaint {
  readonly kind: "icmp" | "reset";
  /** As a trace names it: `ICMP host unreachable`, `RST`. */
  readonly reason: string;
  /** Sent only after nobody has answered for three seconds. */
  readonly late: boolean;
}

interface Code {
  readonly 4?: string;
  readonly 6?: string;
  readonly late?: true;
}

/** By code of the cause: what a router sends (ip_error of net/ipv4/route.c, ip6_pkt_drop of net/ipv6/route.c). */
const complaints: Readonly<Record<string, Code>> = {
  "no-route": { 4: "network unreachable", 6: "no route" },
  "route-unreachable": { 4: "host unreachable", 6: "no route" },
  "route-prohibit": { 4: "administratively prohibited", 6: "prohibited" },
  "ttl-expired": { 4: "time exceeded", 6: "time exceeded" },
  "no-neighbour": { 4: "host unreachable", 6: "address unreachable", late: true },
  "no-carrier": { 4: "host unreachable", 6: "address unreachable", late: true },
  // What stands in the way of the question for a neighbour.
  "link-down": { 4: "host unreachable", 6: "address unreachable", late: true },
  "port-state": { 4: "host unreachable", 6: "address unreachable", late: true },
  "port-isolated": { 4: "host unreachable", 6: "address unreachable", late: true },
  "hairpin-off": { 4: "host unreachable", 6: "address unreachable", late: true },
  "no-port": { 4: "host unreachable", 6: "address unreachable", late: true },
};

/** @returns undefined where it is dropped without a word */
export function complaintOf({ cause, role, rejection, header }: Drop): Complaint | undefined {
  if (header === undefined || header.about !== undefined) return undefined;
  if (rejection !== undefined) return rejectionOf(rejection.statements, header);
  if (role !== "router") return undefined;
  const code = complaints[cause.code];
  const text = code?.[header.family];
  return code === undefined || text === undefined
    ? undefined
    : { kind: "icmp", reason: `ICMP ${text}`, late: code.late === true };
}

/** Codes of ICMP and ICMPv6 "unreachable" in words, and of NFT_REJECT_ICMPX, which stands for either. */
const codes: Readonly<Record<"icmp" | "icmpv6" | "icmpx", Readonly<Record<number, Code>>>> = {
  icmp: {
    0: { 4: "network unreachable" },
    1: { 4: "host unreachable" },
    2: { 4: "protocol unreachable" },
    3: { 4: "port unreachable" },
    9: { 4: "administratively prohibited" },
    10: { 4: "administratively prohibited" },
    13: { 4: "administratively prohibited" },
  },
  icmpv6: {
    0: { 6: "no route" },
    1: { 6: "prohibited" },
    2: { 6: "beyond scope" },
    3: { 6: "address unreachable" },
    4: { 6: "port unreachable" },
  },
  icmpx: {
    0: { 4: "network unreachable", 6: "no route" },
    1: { 4: "port unreachable", 6: "port unreachable" },
    2: { 4: "host unreachable", 6: "address unreachable" },
    3: { 4: "administratively prohibited", 6: "prohibited" },
  },
};
const usual = { icmp: 3, icmpv6: 4, icmpx: 1 } as const;

function rejectionOf(statements: readonly NftStatement[], header: Header): Complaint | undefined {
  const reject = statements.find((one) => one.kind === "reject");
  if (reject === undefined) return undefined;
  if (reject.with === "tcp reset")
    return header.protocol === 6 ? { kind: "reset", reason: "RST", late: false } : undefined;
  const code = reject.code ?? usual[reject.with];
  const text = codes[reject.with][code]?.[header.family];
  return { kind: "icmp", reason: `ICMP ${text ?? `unreachable, code ${code}`}`, late: false };
}

/** The packet that carries a complaint, but for its TTL. @param source address that the node sends it from */
export function complaintHeader(
  { kind }: Complaint,
  about: Header,
  source: Header["source"],
  expired: boolean,
): Header {
  // A RST is sent in the name of the address that was asked.
  if (kind === "reset") return { ...mirror(about), tcpFlags: 20 };
  const { family } = about;
  const types = family === 4 ? icmpTypes : icmpv6Types;
  return {
    ...{ family, source, destination: about.source, about },
    protocol: family === 4 ? 1 : 58,
    icmpType: types[expired ? "time-exceeded" : "destination-unreachable"],
  };
}
