/** Whether a packet is what one match of a rule asks for: yes, no, or, where the snapshot cannot tell, neither. */
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import type { NftField, NftStatement, NftValue } from "../model/nft.js";
import { contains, parseAddress, parseNetwork } from "../model/address.js";
import { hasPorts, type Header } from "./header.js";
import { isSet } from "./quote.js";

/** What conntrack says of the packet in this node. */
export interface ConnectionState {
  readonly state: "new" | "established" | "related" | "invalid" | "untracked";
  readonly direction: "original" | "reply";
  readonly status: readonly string[];
  readonly mark?: number;
}

/** What is known of a packet at a hook, beside its header. */
export interface RuleContext {
  readonly input?: string;
  readonly output?: string;
  /** Absent before conntrack has looked at it. */
  readonly connection?: ConnectionState;
  /** `local`, `unicast`, `broadcast`, … of the destination in this node. */
  readonly destinationType: string;
  /** Address that masquerade gives, or redirect goes to. */
  readonly ownAddress?: string;
}

type Value = string | number | readonly string[] | Header["source"];

/** @returns undefined where it cannot be told from the snapshot */
export function matches(
  statement: NftStatement & { readonly kind: "match" },
  header: Header,
  context: RuleContext,
): boolean | undefined {
  const { field, op, value } = statement;
  const actual = valueOf(field, header, context);
  if (actual === "unknown") return isPort(field) && header.anyPort ? ofAll(op, value, header.anyPort) : undefined;
  // A packet without the field does not match, whatever the operator (nft_payload breaks off the rule).
  if (actual === undefined) return false;
  switch (op) {
    case "==":
      return holds(field, value, actual);
    case "!=":
      return !holds(field, value, actual);
    default:
      if (typeof actual !== "number" || typeof value !== "number") return undefined;
      return compare[op](actual, value);
  }
}

function isPort(field: NftField): boolean {
  return field === "th sport" || field === "th dport";
}

/** Of a port that may be any of a range: whether all of them match, or none. */
function ofAll(
  op: "==" | "!=" | keyof typeof compare,
  value: NftValue,
  [from, to]: readonly [number, number],
): boolean | undefined {
  if (op !== "==" && op !== "!=") {
    if (typeof value !== "number") return undefined;
    const [first, last] = [compare[op](from, value), compare[op](to, value)];
    return first === last ? first : undefined;
  }
  const parts = (isSet(value) ? value : [value]).map((one) =>
    typeof one === "object" ? [Number(one.from), Number(one.to)] : [Number(one), Number(one)],
  );
  const within = parts.some(([low = 0, high = 0]) => low <= from && to <= high);
  const outside = parts.every(([low = 0, high = 0]) => high < from || to < low);
  return within ? op === "==" : outside ? op === "!=" : undefined;
}

const compare = {
  "<": (a: number, b: number) => a < b,
  ">": (a: number, b: number) => a > b,
  "<=": (a: number, b: number) => a <= b,
  ">=": (a: number, b: number) => a >= b,
} as const;

/** Undefined where the packet has no such field; `unknown` where we cannot tell. */
function valueOf(field: NftField, header: Header, context: RuleContext): Value | undefined {
  const { connection } = context;
  switch (field) {
    case "iifname":
      return context.input ?? "";
    case "oifname":
      return context.output ?? "";
    case "nfproto":
      return header.family === 4 ? 2 : 10;
    case "l4proto":
      return header.protocol;
    case "mark":
      return header.mark ?? 0;
    case "ip saddr":
      return header.family === 4 ? header.source : undefined;
    case "ip daddr":
      return header.family === 4 ? header.destination : undefined;
    case "ip6 saddr":
      return header.family === 6 ? header.source : undefined;
    case "ip6 daddr":
      return header.family === 6 ? header.destination : undefined;
    case "th sport":
      return hasPorts(header) ? (header.sourcePort ?? "unknown") : undefined;
    case "th dport":
      return hasPorts(header) ? (header.destinationPort ?? "unknown") : undefined;
    case "tcp flags":
      return header.protocol === 6 ? (header.tcpFlags ?? "unknown") : undefined;
    case "icmp type":
      return header.protocol === 1 ? (header.icmpType ?? "unknown") : undefined;
    case "icmpv6 type":
      return header.protocol === 58 ? (header.icmpType ?? "unknown") : undefined;
    case "ct state":
      // Before conntrack there is no connection, which is what `invalid` means (nft_ct_get_eval).
      return [connection?.state ?? "invalid"];
    case "ct status":
      return connection?.status;
    case "ct direction":
      return connection?.direction;
    case "ct mark":
      return connection === undefined ? undefined : (connection.mark ?? 0);
    case "fib daddr type":
      return context.destinationType;
    case "pkttype":
      return context.destinationType === "multicast" || context.destinationType === "broadcast"
        ? context.destinationType
        : "host";
  }
}

function holds(field: NftField, value: NftValue, actual: Value): boolean {
  if (isSet(value)) return value.some((one) => holds(field, one, actual));
  if (typeof value === "object") {
    if (typeof actual === "number") return actual >= Number(value.from) && actual <= Number(value.to);
    const from = parseAddress(String(value.from));
    const to = parseAddress(String(value.to));
    return (
      typeof actual === "object" &&
      "value" in actual &&
      from !== undefined &&
      to !== undefined &&
      actual.value >= from.value &&
      actual.value <= to.value
    );
  }
  // `tcp flags syn` asks for the bit, `tcp flags == 2` for nothing but it.
  if (field === "tcp flags" && typeof value === "string") return (Number(actual) & numberOf(field, value)) !== 0;
  if (typeof actual === "number") return actual === numberOf(field, value);
  if (typeof actual === "string") {
    const text = String(value);
    return text.endsWith("*") ? actual.startsWith(text.slice(0, -1)) : actual === text;
  }
  if ("value" in actual) {
    const network = parseNetwork(String(value));
    return network !== undefined && contains(network, actual);
  }
  return String(value)
    .split(",")
    .some((one) => actual.includes(one.trim()));
}

/** Words of nft(8) for numbers, by field. */
const words: Partial<Record<NftField, Readonly<Record<string, number>>>> = {
  l4proto: { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, "ipv6-icmp": 58, sctp: 132 },
  nfproto: { ipv4: 2, ipv6: 10 },
  "icmp type": icmpTypes,
  "icmpv6 type": icmpv6Types,
  "tcp flags": { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 },
};

function numberOf(field: NftField, value: string | number): number {
  return typeof value === "number" ? value : (words[field]?.[value] ?? Number(value));
}
