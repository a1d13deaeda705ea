/**
 * The matches and targets of iptables that iptables-nft puts into nf_tables as they are (nft_compat.c): a name, a
 * revision and the struct of linux/netfilter/xt_NAME.h. Those that Docker, firewalld and ufw write are read into the
 * words of nft(8), all others stay unknown. Numbers are in the machine's byte order unless they are of the wire.
 */
import type { NftField, NftStatement, NftValue } from "../../model/nft.js";
import { formatIpv4, formatIpv6, littleEndian } from "../codec/index.js";
import * as k from "./constants.js";
import type { Expression } from "./expressions.js";
import type { Known } from "./fields.js";

type Statements = readonly NftStatement[];
type Reader = (info: Info, known: Known) => Statements | undefined;

/** @returns undefined where it is no such expression, or one that nft(8) has no words for */
export function readCompat({ data }: Expression, known: Known): Statements | undefined {
  const [table, read] = data?.match === undefined ? [targets, data?.target] : [matches, data.match];
  if (read?.info === undefined) return undefined;
  const reader = table[`${read.name ?? ""} ${read.revision ?? 0}`];
  try {
    return reader?.(new Info(read.info), known);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // shorter than its header says
    throw error;
  }
}

/** The comment that `-m comment` put on a rule. */
export function compatComment(expressions: readonly Expression[]): string | undefined {
  const found = expressions.find(({ data }) => data?.match?.name === "comment")?.data?.match?.info;
  return found === undefined ? undefined : new Info(found).text(0, found.length);
}

/** One struct. Reading behind its end throws RangeError. */
class Info {
  readonly #view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, littleEndian);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, littleEndian);
  }

  wire16(at: number): number {
    return this.#view.getUint16(at);
  }

  ipv4(at: number): string {
    return formatIpv4(this.#slice(at, 4));
  }

  ipv6(at: number): string {
    return formatIpv6(this.#slice(at, 16));
  }

  text(at: number, length: number): string {
    const field = this.#slice(at, length);
    const nul = field.indexOf(0);
    return new TextDecoder().decode(nul === -1 ? field : field.subarray(0, nul));
  }

  #slice(at: number, length: number): Uint8Array {
    if (at + length > this.bytes.length) throw new RangeError("the struct is too short");
    return this.bytes.subarray(at, at + length);
  }
}

const matches: Readonly<Record<string, Reader>> = {
  "addrtype 1": readAddressType,
  "comment 0": () => [],
  "conntrack 3": readConntrack,
  "multiport 1": readMultiport,
  "tcp 0": readTcp,
  "udp 0": (info) => readPorts(info, info.u8(8)),
};

const targets: Readonly<Record<string, Reader>> = {
  "DNAT 0": (info) => translate("dnat", readOldRange(info)),
  "DNAT 1": (info, known) => translate("dnat", readRange(info, known)),
  "DNAT 2": (info, known) => translate("dnat", readRange(info, known)),
  "LOG 0": readLog,
  "MASQUERADE 0": (info, known) => readMasquerade(info.length < 40 ? readOldRange(info) : readRange(info, known)),
  "REDIRECT 0": (info, known) => readRedirect(info.length < 40 ? readOldRange(info) : readRange(info, known)),
  "REJECT 0": readReject,
  "SNAT 0": (info) => translate("snat", readOldRange(info)),
  "SNAT 1": (info, known) => translate("snat", readRange(info, known)),
  "SNAT 2": (info, known) => translate("snat", readRange(info, known)),
};

function match(field: NftField, value: NftValue, inverted: boolean): NftStatement {
  return { kind: "match", field, op: inverted ? "!=" : "==", value };
}

function oneOrSet(values: readonly string[]): NftValue {
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : values;
}

/** Names of the bits of a mask; undefined where one has no name. */
function bitNames(mask: number, names: Readonly<Record<number, string>>): string[] | undefined {
  const found: string[] = [];
  for (let bit = 0; bit < 16; bit += 1) {
    if ((mask & (1 << bit)) === 0) continue;
    const name = names[bit];
    if (name === undefined) return undefined;
    found.push(name);
  }
  return found.length === 0 ? undefined : found;
}

/** XT_ADDRTYPE_*: bits in the order of RTN_*. */
const addressTypes: Readonly<Record<number, string>> = {
  0: "unspec",
  1: "unicast",
  2: "local",
  3: "broadcast",
  4: "anycast",
  5: "multicast",
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
};
const XT_ADDRTYPE_INVERT_DEST = 2;

/** xt_addrtype_info_v1: source mask, destination mask, flags. */
function readAddressType(info: Info): Statements | undefined {
  const [source, destination, flags] = [info.u16(0), info.u16(2), info.u32(4)];
  const types = bitNames(destination, addressTypes);
  // Of the source, or looked up for one interface only: nft says that by other fields.
  if (source !== 0 || types === undefined || (flags & ~XT_ADDRTYPE_INVERT_DEST) !== 0) return undefined;
  return [match("fib daddr type", oneOrSet(types), (flags & XT_ADDRTYPE_INVERT_DEST) !== 0)];
}

const XT_CONNTRACK_STATE = 1;
const XT_CONNTRACK_STATUS = 1 << 6;
/** `-m state`, which reads the same. */
const XT_CONNTRACK_STATE_ALIAS = 1 << 13;
/** XT_CONNTRACK_STATE_BIT: one more than the IP_CT_* number, invalid before them. */
const states: Readonly<Record<number, string>> = {
  0: "invalid",
  1: "established",
  2: "related",
  3: "new",
  8: "untracked",
};
/** States that are a status in the words of nft: XT_CONNTRACK_STATE_SNAT and _DNAT. */
const translations: Readonly<Record<number, string>> = { 6: "snat", 7: "dnat" };
/** IPS_*. */
const statuses: Readonly<Record<number, string>> = {
  0: "expected",
  1: "seen-reply",
  2: "assured",
  3: "confirmed",
  4: "snat",
  5: "dnat",
  9: "dying",
};

/** xt_conntrack_mtinfo3: eight addresses, two times, protocol, four ports, and at 146 what of it counts. */
function readConntrack(info: Info): Statements | undefined {
  const inverted = info.u16(148);
  switch (info.u16(146) & ~XT_CONNTRACK_STATE_ALIAS) {
    case XT_CONNTRACK_STATE: {
      const mask = info.u16(150);
      const named = bitNames(mask, states);
      const not = (inverted & XT_CONNTRACK_STATE) !== 0;
      if (named !== undefined) return [match("ct state", oneOrSet(named), not)];
      const translated = bitNames(mask, translations);
      return translated === undefined ? undefined : [match("ct status", oneOrSet(translated), not)];
    }
    case XT_CONNTRACK_STATUS: {
      const named = bitNames(info.u16(152), statuses);
      return named && [match("ct status", oneOrSet(named), (inverted & XT_CONNTRACK_STATUS) !== 0)];
    }
    default:
      return undefined;
  }
}

/** xt_multiport_v1: which port, how many, 15 ports, 15 marks of where a range begins, inverted. */
function readMultiport(info: Info): Statements | undefined {
  const field = ({ 0: "th sport", 1: "th dport" } as const)[info.u8(0)];
  const count = info.u8(1);
  if (field === undefined || count > 15) return undefined;
  const values: (number | { from: number; to: number })[] = [];
  for (let at = 0; at < count; at += 1) {
    const from = info.u16(2 + 2 * at);
    if (info.u8(32 + at) === 0) values.push(from);
    else values.push({ from, to: info.u16(2 + 2 * ++at) });
  }
  return [match(field, values, info.u8(47) !== 0)];
}

/** xt_tcp: the ports, an option, mask and value of the flags, what is inverted. */
function readTcp(info: Info): Statements | undefined {
  const [option, flagMask, inverted] = [info.u8(8), info.u8(9), info.u8(11)];
  return option === 0 && flagMask === 0 ? readPorts(info, inverted) : undefined;
}

/** What xt_tcp and xt_udp begin with: lowest and highest source port, lowest and highest destination port. */
function readPorts(info: Info, inverted: number): Statements {
  return (["th sport", "th dport"] as const).flatMap((field, index) => {
    const [from, to] = [info.u16(4 * index), info.u16(4 * index + 2)];
    const not = (inverted & (1 << index)) !== 0;
    if (from === 0 && to === 0xffff && !not) return [];
    return [match(field, from === to ? from : { from, to }, not)];
  });
}

interface NatRange {
  readonly family: 4 | 6;
  /** NF_NAT_RANGE_*. */
  readonly flags: number;
  readonly addresses: readonly [string, string];
  readonly ports: readonly [number, number];
}

const NF_NAT_RANGE_MAP_IPS = 1;

/** nf_nat_range, and nf_nat_range2, which only adds a base for shifted ports. */
function readRange(info: Info, { nfproto }: Known): NatRange | undefined {
  if (nfproto !== k.NFPROTO_IPV4 && nfproto !== k.NFPROTO_IPV6) return undefined;
  const read = (at: number): string => (nfproto === k.NFPROTO_IPV4 ? info.ipv4(at) : info.ipv6(at));
  return {
    family: nfproto === k.NFPROTO_IPV4 ? 4 : 6,
    flags: info.u32(0),
    addresses: [read(4), read(20)],
    ports: [info.wire16(36), info.wire16(38)],
  };
}

/** nf_nat_ipv4_multi_range_compat: a count, which is 1, and the range. */
function readOldRange(info: Info): NatRange | undefined {
  if (info.u32(0) !== 1) return undefined;
  return {
    family: 4,
    flags: info.u32(4),
    addresses: [info.ipv4(8), info.ipv4(12)],
    ports: [info.wire16(16), info.wire16(18)],
  };
}

function translate(kind: "dnat" | "snat", range: NatRange | undefined): Statements | undefined {
  if (range === undefined) return undefined;
  const { family, flags, addresses, ports } = range;
  const mapsPorts = (flags & k.NF_NAT_RANGE_PROTO_SPECIFIED) !== 0;
  const mapsAddresses = (flags & NF_NAT_RANGE_MAP_IPS) !== 0;
  // A range of addresses has no words in our model, nor have shifted ports. Random ports change nothing that we say.
  if (mapsAddresses && addresses[0] !== addresses[1]) return undefined;
  if ((flags & NF_NAT_RANGE_PROTO_OFFSET) !== 0) return undefined;
  return [
    {
      kind,
      family,
      ...(mapsAddresses ? { address: addresses[0] } : {}),
      ...(mapsPorts ? { port: ports[0] } : {}),
      ...(mapsPorts && ports[0] !== ports[1] ? { toPort: ports[1] } : {}),
    },
  ];
}

const NF_NAT_RANGE_PROTO_OFFSET = 32;

function readMasquerade(range: NatRange | undefined): Statements | undefined {
  if (range === undefined) return undefined;
  return [
    (range.flags & k.NF_NAT_RANGE_PROTO_RANDOM) === 0 ? { kind: "masquerade" } : { kind: "masquerade", random: true },
  ];
}

function readRedirect(range: NatRange | undefined): Statements | undefined {
  if (range === undefined) return undefined;
  if ((range.flags & k.NF_NAT_RANGE_PROTO_SPECIFIED) === 0) return [{ kind: "redirect" }];
  return range.ports[0] === range.ports[1] ? [{ kind: "redirect", port: range.ports[0] }] : undefined;
}

/** LOGLEVEL_WARNING is what iptables sets where none is given. */
const DEFAULT_LOG_LEVEL = 4;

/** xt_log_info: level, flags, prefix of 30 bytes. */
function readLog(info: Info): Statements {
  const [level, prefix] = [info.u8(0), info.text(2, 30)];
  return [
    {
      kind: "log",
      ...(prefix === "" ? {} : { prefix }),
      ...(level === DEFAULT_LOG_LEVEL ? {} : { level }),
    },
  ];
}

/** ICMP codes of IPT_ICMP_* and ICMPv6 codes of IP6T_ICMP6_*, by their numbers; "reset" for the TCP reset. */
const icmpCodes: Readonly<Record<number, number | "reset">> = {
  0: 0,
  1: 1,
  2: 2,
  3: 3,
  5: 9,
  6: 10,
  7: "reset",
  8: 13,
};
const icmpv6Codes: Readonly<Record<number, number | "reset">> = {
  0: 0,
  1: 1,
  2: 2,
  3: 3,
  4: 4,
  6: "reset",
  7: 5,
  8: 6,
};

/** ipt_reject_info, ip6t_reject_info: what it is answered with. */
function readReject(info: Info, { nfproto }: Known): Statements | undefined {
  if (nfproto !== k.NFPROTO_IPV4 && nfproto !== k.NFPROTO_IPV6) return undefined;
  const [codes, kind, usual] =
    nfproto === k.NFPROTO_IPV4 ? ([icmpCodes, "icmp", 3] as const) : ([icmpv6Codes, "icmpv6", 4] as const);
  const code = codes[info.u32(0)];
  if (code === undefined) return undefined;
  if (code === "reset") return [{ kind: "reject", with: "tcp reset" }];
  return [{ kind: "reject", with: kind, ...(code === usual ? {} : { code }) }];
}
