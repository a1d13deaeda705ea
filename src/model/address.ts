/**
 * Arithmetic on IPv4, IPv6 and link-layer addresses and on prefixes. Values are plain: an address is its family and its
 * number, so that adding, masking and comparing are what they are on integers. Text is RFC 5952 on the way out.
 */

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** 32 or 128 bits, most significant octet first. */
  readonly value: bigint;
}

/** A network: `value` has no bit below `length`. */
export interface Prefix {
  readonly family: Family;
  readonly value: bigint;
  /** Bits of the network part: 0 to 32 or 0 to 128. */
  readonly length: number;
}

export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Reads `10.0.0.1` or `fd00::1` (also `::ffff:10.0.0.1`). No zone, no prefix length, no leading zeros in IPv4. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(":")) {
    const value = parseIPv6(text);
    return value === undefined ? undefined : { family: 6, value };
  }
  const value = parseIPv4(text);
  return value === undefined ? undefined : { family: 4, value: BigInt(value) };
}

/** The number of `10.0.0.1`: 0 to 2^32 - 1. */
export function parseIPv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

function parseIPv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const left = groupsOf(halves[0] ?? "", halves.length === 1);
  const right = groupsOf(halves[1] ?? "", true);
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  // `::` stands for at least one group (RFC 4291, 2.2).
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...left, ...new Array<number>(missing).fill(0), ...right];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** @param last whether a dotted quad may end this half */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes(".")) {
      const quad = parseIPv4(part);
      if (quad === undefined) return undefined;
      groups.push(quad >>> 16, quad & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else return undefined;
  }
  return groups;
}

/** `10.0.0.1`; IPv6 as RFC 5952: lower case, the first longest run of two or more zero groups becomes `::`. */
export function formatAddress(address: Address): string {
  if (address.family === 4) {
    const value = Number(address.value);
    return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
  }
  const groups = Array.from({ length: 8 }, (_, index) => Number((address.value >> BigInt(112 - 16 * index)) & 0xffffn));
  // IPv4-mapped addresses keep their dotted quad (RFC 5952, 5).
  if (address.value >> 32n === 0xffffn) {
    return `::ffff:${formatAddress({ family: 4, value: address.value & 0xffffffffn })}`;
  }
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** The one spelling of an address: `FD00:0::1` -> `fd00::1`. Undefined where the text is no address. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

/** Network byte order: 4 or 16 bytes. */
export function addressToBytes(address: Address): Uint8Array {
  const length = bitsOf(address.family) / 8;
  return Uint8Array.from({ length }, (_, index) => Number((address.value >> BigInt(8 * (length - 1 - index))) & 0xffn));
}

/** @param bytes 4 or 16 bytes in network order; any other length is undefined */
export function addressFromBytes(bytes: Uint8Array): Address | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

function hostMask(family: Family, length: number): bigint {
  return (1n << BigInt(bitsOf(family) - length)) - 1n;
}

/** The network that an address with a prefix length lies in. */
export function networkOf(address: Address, length: number): Prefix {
  return { family: address.family, value: address.value & ~hostMask(address.family, length), length };
}

/** An address with the length of its network: `10.0.0.1/24`. Both parts are required. */
export function parseInterfaceAddress(text: string): { address: Address; length: number } | undefined {
  const [head, tail, rest] = text.split("/");
  if (head === undefined || tail === undefined || rest !== undefined || !/^(0|[1-9][0-9]{0,2})$/.test(tail)) {
    return undefined;
  }
  const address = parseAddress(head);
  const length = Number(tail);
  return address && length <= bitsOf(address.family) ? { address, length } : undefined;
}

/** A network: `10.0.0.0/24`, `fd00::/64`; host bits must be zero. A bare address is a prefix of full length. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  if (!parsed) return undefined;
  const prefix = networkOf(parsed.address, parsed.length);
  return prefix.value === parsed.address.value ? prefix : undefined;
}

/** A network as the kernel keeps one, in a policy rule for one: host bits may be set, and do not count. */
export function parseNetwork(text: string): Prefix | undefined {
  if (!text.includes("/")) return parsePrefix(text);
  const parsed = parseInterfaceAddress(text);
  return parsed && networkOf(parsed.address, parsed.length);
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix)}/${prefix.length}`;
}

/** Whether all of `inner` lies in `outer`; an address counts as a prefix of full length. */
export function contains(outer: Prefix, inner: Address | Prefix): boolean {
  if (outer.family !== inner.family) return false;
  if ("length" in inner && inner.length < outer.length) return false;
  return (inner.value & ~hostMask(outer.family, outer.length)) === outer.value;
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

/** The address that lies `offset` above the network address. Undefined outside the prefix. */
export function addressAt(prefix: Prefix, offset: bigint): Address | undefined {
  return offset >= 0n && offset <= hostMask(prefix.family, prefix.length)
    ? { family: prefix.family, value: prefix.value + offset }
    : undefined;
}

/**
 * First and last address that a host may have: without network and broadcast address in IPv4 (but for /31, RFC 3021,
 * and /32), without the subnet-router anycast address in IPv6 (RFC 4291, 2.6.1; but for /127, RFC 6164, and /128).
 */
export function hostRange(prefix: Prefix): { first: bigint; last: bigint } {
  const last = prefix.value + hostMask(prefix.family, prefix.length);
  const hostBits = bitsOf(prefix.family) - prefix.length;
  if (hostBits < 2) return { first: prefix.value, last };
  return { first: prefix.value + 1n, last: prefix.family === 4 ? last - 1n : last };
}

/** The IPv4 directed broadcast address; undefined for IPv6 and for networks too small to have one. */
export function broadcastOf(prefix: Prefix): Address | undefined {
  if (prefix.family === 6 || prefix.length > 30) return undefined;
  return { family: 4, value: prefix.value + hostMask(4, prefix.length) };
}

/** 169.254.0.0/16 and fe80::/10: never forwarded. */
export function isLinkLocal(address: Address): boolean {
  return address.family === 6 ? address.value >> 118n === 0x3fan : address.value >> 16n === 0xa9fen;
}

export function isMulticast(address: Address): boolean {
  return address.family === 6 ? address.value >> 120n === 0xffn : address.value >> 28n === 0xen;
}

export function isLoopback(address: Address): boolean {
  return address.family === 6 ? address.value === 1n : address.value >> 24n === 127n;
}

/** `0.0.0.0/0` or `::/0`. */
export function defaultPrefix(family: Family): string {
  return family === 4 ? "0.0.0.0/0" : "::/0";
}

/** Six octets, colon-separated: `02:00:5E:10:00:01` -> its bytes. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (octet) => Number.parseInt(octet, 16));
}

/** Lower case, colon-separated. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Whether an interface may have it: neither multicast nor all zero (is_valid_ether_addr in linux/etherdevice.h). */
export function isUnicastMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
