/** What a rule can look at: for each field of `NftField`, how it is loaded into a register and how its values look there. */
import { icmpTypes, icmpv6Types } from "../../model/icmp.js";
import type { NftField } from "../../model/nft.js";
import { formatIpv4, formatIpv6, littleEndian, parseIp } from "../codec/index.js";
import * as k from "./constants.js";
import { type Expression, make } from "./expressions.js";

/** A value that a field is compared with: bytes in a register, and text or number in a statement. */
export interface DataType {
  /** Bytes. */
  readonly size: number;
  /** TYPE_* of nft(8)'s datatype.h: lets `nft list` print elements of a set. */
  readonly setType: number;
  readonly byteOrder: "big" | "host";
  encode(value: string | number): Uint8Array;
  decode(bytes: Uint8Array): string | number;
  /** Names of single bits, where the field is a bit mask: `established` 2. */
  readonly bits?: Readonly<Record<string, number>>;
  /** Whether a value can be a prefix: `10.0.0.0/8`. */
  readonly prefixes?: true;
  /** Whether a value can be the beginning of a text: `veth*`. */
  readonly wildcards?: true;
}

/** What nft(8) puts before a field by itself, and does not show: it makes sure that the field is there. */
export interface Dependency {
  readonly field: "nfproto" | "l4proto";
  readonly value: number;
}

export interface Field {
  readonly type: DataType;
  /** Loads it into register 1. @param length bytes, where a prefix makes fewer do */
  readonly load: (length: number) => Expression;
  readonly needs?: readonly Dependency[];
}

interface Spelling {
  /** Words for values, both ways. */
  readonly names?: Names;
  /** Words for single bits. */
  readonly bits?: Names;
  /** Words that are understood; what is read back is the number. */
  readonly words?: Names;
}

function integer(
  size: 1 | 2 | 4,
  byteOrder: "big" | "host",
  setType: number,
  { names = {}, bits, words = {} }: Spelling = {},
): DataType {
  const little = byteOrder === "host" && littleEndian;
  const byNumber = new Map(Object.entries(names).map(([name, number]) => [number, name]));
  return {
    size,
    setType,
    byteOrder,
    ...(bits === undefined ? {} : { bits }),
    encode(value) {
      const number =
        typeof value === "number"
          ? value
          : (names[value] ?? bits?.[value] ?? words[value] ?? Number(value || Number.NaN));
      if (!Number.isInteger(number) || number < 0 || number >= 2 ** (8 * size)) {
        throw new RangeError(`"${value}" is no value of this field`);
      }
      const encoded = new Uint8Array(size);
      const view = new DataView(encoded.buffer);
      if (size === 1) view.setUint8(0, number);
      else if (size === 2) view.setUint16(0, number, little);
      else view.setUint32(0, number, little);
      return encoded;
    },
    decode(encoded) {
      const number = numberOf(encoded, little);
      return byNumber.get(number) ?? number;
    },
  };
}

type Names = Readonly<Record<string, number>>;

function numberOf(bytes: Uint8Array, little: boolean): number {
  const ordered = little ? [...bytes].reverse() : [...bytes];
  return ordered.reduce((value, byte) => value * 256 + byte, 0);
}

const IFNAMSIZ = 16;

const interfaceName: DataType = {
  size: IFNAMSIZ,
  setType: 41,
  byteOrder: "host",
  wildcards: true,
  encode(value) {
    const name = new TextEncoder().encode(String(value));
    if (name.length >= IFNAMSIZ) throw new RangeError(`"${value}" is longer than an interface name can be`);
    const encoded = new Uint8Array(IFNAMSIZ);
    encoded.set(name);
    return encoded;
  },
  decode(encoded) {
    const nul = encoded.indexOf(0);
    const text = new TextDecoder().decode(nul === -1 ? encoded : encoded.subarray(0, nul));
    return nul === -1 ? `${text}*` : text;
  },
};

function address(family: 4 | 6): DataType {
  const size = family === 4 ? 4 : 16;
  return {
    size,
    setType: family === 4 ? 7 : 8,
    byteOrder: "big",
    prefixes: true,
    encode(value) {
      const parsed = parseIp(String(value));
      if (parsed.length !== size) throw new RangeError(`"${value}" is no IPv${family} address`);
      return parsed;
    },
    decode: (encoded) => (family === 4 ? formatIpv4(encoded) : formatIpv6(encoded)),
  };
}

const ipv4Address = address(4);
const ipv6Address = address(6);
const service = integer(2, "big", 13);
const protocol = integer(1, "big", 12, { words: { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } });
const family = integer(1, "host", 2, { words: { ipv4: k.NFPROTO_IPV4, ipv6: k.NFPROTO_IPV6 } });
const mark = integer(4, "host", 19);

const connectionStates: Names = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 };
const connectionStatus: Names = {
  expected: 1,
  "seen-reply": 2,
  assured: 4,
  confirmed: 8,
  snat: 16,
  dnat: 32,
  dying: 512,
};
const tcpFlags: Names = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 };
const addressTypes: Names = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
};
const packetTypes: Names = { host: 0, broadcast: 1, multicast: 2, other: 3 };

function meta(key: number, type: DataType): Field {
  return { type, load: () => make("meta", { dreg: k.NFT_REG_1, key }) };
}

function ct(key: number, type: DataType): Field {
  return { type, load: () => make("ct", { dreg: k.NFT_REG_1, key }) };
}

function payload(base: number, offset: number, type: DataType, needs?: readonly Dependency[]): Field {
  return {
    type,
    ...(needs === undefined ? {} : { needs }),
    load: (length) => make("payload", { dreg: k.NFT_REG_1, base, offset, length }),
  };
}

const network = (offset: number, type: DataType, family: number) =>
  payload(k.NFT_PAYLOAD_NETWORK_HEADER, offset, type, [{ field: "nfproto", value: family }]);
const transport = (offset: number, type: DataType, needs?: readonly Dependency[]) =>
  payload(k.NFT_PAYLOAD_TRANSPORT_HEADER, offset, type, needs);

const IPPROTO_ICMP = 1;
const IPPROTO_TCP = 6;
const IPPROTO_ICMPV6 = 58;

export const fields: Readonly<Record<NftField, Field>> = {
  iifname: meta(k.NFT_META_IIFNAME, interfaceName),
  oifname: meta(k.NFT_META_OIFNAME, interfaceName),
  nfproto: meta(k.NFT_META_NFPROTO, family),
  l4proto: meta(k.NFT_META_L4PROTO, protocol),
  mark: meta(k.NFT_META_MARK, mark),
  pkttype: meta(k.NFT_META_PKTTYPE, integer(1, "host", 31, { names: packetTypes })),
  "ip saddr": network(12, ipv4Address, k.NFPROTO_IPV4),
  "ip daddr": network(16, ipv4Address, k.NFPROTO_IPV4),
  "ip6 saddr": network(8, ipv6Address, k.NFPROTO_IPV6),
  "ip6 daddr": network(24, ipv6Address, k.NFPROTO_IPV6),
  "th sport": transport(0, service),
  "th dport": transport(2, service),
  "tcp flags": transport(13, integer(1, "host", 15, { bits: tcpFlags }), [{ field: "l4proto", value: IPPROTO_TCP }]),
  "icmp type": transport(0, integer(1, "big", 14, { words: icmpTypes }), [
    { field: "nfproto", value: k.NFPROTO_IPV4 },
    { field: "l4proto", value: IPPROTO_ICMP },
  ]),
  "icmpv6 type": transport(0, integer(1, "big", 29, { words: icmpv6Types }), [
    { field: "nfproto", value: k.NFPROTO_IPV6 },
    { field: "l4proto", value: IPPROTO_ICMPV6 },
  ]),
  "ct state": ct(k.NFT_CT_STATE, integer(4, "host", 26, { bits: connectionStates })),
  "ct status": ct(k.NFT_CT_STATUS, integer(4, "host", 28, { bits: connectionStatus })),
  "ct direction": ct(k.NFT_CT_DIRECTION, integer(1, "host", 27, { names: { original: 0, reply: 1 } })),
  "ct mark": ct(k.NFT_CT_MARK, mark),
  "fib daddr type": {
    type: integer(4, "host", 38, { names: addressTypes }),
    load: () => make("fib", { dreg: k.NFT_REG_1, result: k.NFT_FIB_RESULT_ADDRTYPE, flags: k.NFTA_FIB_F_DADDR }),
  },
};

/** What a rule has made sure of: the families of tables and earlier matches tell. */
export type Known = Readonly<Partial<Record<Dependency["field"], number | undefined>>>;

/**
 * The field that an expression loads. Fields lie at the same places (`icmp type` and a port, `ip ttl` and the first byte
 * of `ip6 saddr`): only one whose needs are known counts.
 */
export function fieldOf(expression: Expression, known: Known): NftField | undefined {
  const candidates = (Object.keys(fields) as NftField[]).filter((name) => {
    const { needs = [] } = fields[name];
    return loads(expression, fields[name]) && needs.every(({ field, value }) => known[field] === value);
  });
  // `icmp type` rather than what needs nothing.
  return candidates.find((name) => fields[name].needs !== undefined) ?? candidates[0];
}

function loads({ data = {} }: Expression, { type, load }: Field): boolean {
  const own = load(type.size).data ?? {};
  if (data.meta !== undefined) return data.meta.dreg !== undefined && data.meta.key === own.meta?.key;
  if (data.ct !== undefined) {
    return data.ct.dreg !== undefined && data.ct.direction === undefined && data.ct.key === own.ct?.key;
  }
  if (data.fib !== undefined) return data.fib.result === own.fib?.result && data.fib.flags === own.fib?.flags;
  const { payload } = data;
  if (payload === undefined || own.payload === undefined) return false;
  const { dreg, base, offset, length = 0 } = payload;
  const whole = type.prefixes === true ? length <= type.size : length === type.size;
  return dreg !== undefined && base === own.payload.base && offset === own.payload.offset && whole;
}
