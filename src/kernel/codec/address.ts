/** MAC, IPv4 and IPv6 addresses as text. */
import type { Codec, Fixed } from "./codec.js";
import { MalformedError, need } from "./wire.js";

const hexByte = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

/** `02:00:00:00:00:01`, lower case; any length, as link-layer addresses have many. */
export function formatMac(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (text === "" ? "" : ":") + (hexByte[byte] ?? "");
  return text;
}

/** Throws RangeError for what is no colon-separated address. */
export function parseMac(text: string): Uint8Array {
  const parts = text.split(":");
  if (!parts.every((part) => /^[0-9a-fA-F]{1,2}$/.test(part))) throw new RangeError(`"${text}" is no MAC address`);
  return Uint8Array.from(parts, (part) => Number.parseInt(part, 16));
}

export function formatIpv4(bytes: Uint8Array, at = 0): string {
  return `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}`;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

/** The canonical form of RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
export function formatIpv6(bytes: Uint8Array, at = 0): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[at + 2 * i] ?? 0) << 8) | (bytes[at + 2 * i + 1] ?? 0));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatIpv4(bytes, at + 12)}`;
  }
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (best.start === -1) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const embedded = dotted?.[2] === undefined ? undefined : parseIpv4(dotted[2]);
  if (dotted !== null && embedded === undefined) return undefined;
  const plain = embedded === undefined ? text : `${dotted?.[1] ?? ""}${pair(embedded, 0)}:${pair(embedded, 2)}`;
  const halves = plain.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const count = head.length + tail.length;
  if (halves.length === 1 ? count !== 8 : count > 7) return undefined;
  const groups = [...head, ...Array<string>(8 - count).fill("0"), ...tail];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

function pair(bytes: Uint8Array, at: number): string {
  return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16);
}

/** Four bytes or sixteen. Throws RangeError for what is no address. */
export function parseIp(text: string): Uint8Array {
  const parsed = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is no IP address`);
  return parsed;
}

/** 4 or 6, by the form of the text. */
export function ipFamily(text: string): 4 | 6 {
  return text.includes(":") ? 6 : 4;
}

export const mac: Codec<string> = {
  write: (out, value) => out.bytes(parseMac(value)),
  read: (input, start, end) => formatMac(input.bytes.subarray(start, end)),
};

/** IPv4 or IPv6, told by the number of bytes. */
export const ip: Codec<string> = {
  write: (out, value) => out.bytes(parseIp(value)),
  read(input, start, end) {
    if (end - start === 4) return formatIpv4(input.bytes, start);
    if (end - start === 16) return formatIpv6(input.bytes, start);
    throw new MalformedError(`an IP address of ${end - start} bytes`, start);
  },
};

function ofFamily(family: 4 | 6): Fixed<string> {
  const size = family === 4 ? 4 : 16;
  const format = family === 4 ? formatIpv4 : formatIpv6;
  return {
    size,
    write(out, value) {
      const parsed = parseIp(value);
      if (parsed.length !== size) throw new RangeError(`"${value}" is no IPv${family} address`);
      out.bytes(parsed);
    },
    read(input, start, end) {
      need(start, end, size, `IPv${family} address`);
      return format(input.bytes, start);
    },
  };
}

export const ipv4 = ofFamily(4);
export const ipv6 = ofFamily(6);
