/** MAC, IPv4 and IPv6 addresses as text. */
import { addressFromBytes, addressToBytes, formatAddress, parseAddress, parseIPv4 } from "../../model/address.js";
import type { Codec, Fixed } from "./codec.js";
import { MalformedError, type Writer, need } from "./wire.js";

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

/** Written out here: dumps are full of them. */
export function formatIpv4(bytes: Uint8Array, at = 0): string {
  return `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}`;
}

/** The canonical form of RFC 5952. */
export function formatIpv6(bytes: Uint8Array, at = 0): string {
  const address = addressFromBytes(bytes.subarray(at, at + 16));
  if (address === undefined) throw new MalformedError("an IPv6 address of fewer than 16 bytes", at);
  return formatAddress(address);
}

/** Four bytes or sixteen. Throws RangeError for what is no address. */
export function parseIp(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`"${text}" is no IP address`);
  return addressToBytes(address);
}

/** Writes what `parseIp` gives; IPv4 without going by way of it. */
function writeIp(out: Writer, text: string): void {
  const number = parseIPv4(text);
  if (number === undefined) {
    out.bytes(parseIp(text));
    return;
  }
  const at = out.reserve(4);
  out.view.setUint32(at, number);
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
  write: writeIp,
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
      const at = out.length;
      writeIp(out, value);
      if (out.length - at !== size) throw new RangeError(`"${value}" is no IPv${family} address`);
    },
    read(input, start, end) {
      need(start, end, size, `IPv${family} address`);
      return format(input.bytes, start);
    },
  };
}

export const ipv4 = ofFamily(4);
export const ipv6 = ofFamily(6);
