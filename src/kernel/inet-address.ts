/** Socket addresses of IPv4 and IPv6 in wire form: ip(7), ipv6(7). */
import { formatIpv4, formatIpv6, parseIp } from "./codec/address.js";
import { constants, littleEndian } from "./syscalls.js";

export interface InetAddress {
  readonly address: string;
  readonly port: number;
}

/** AF_INET or AF_INET6 of an address. */
export function familyOf(address: string): number {
  return address.includes(":") ? constants.AF_INET6 : constants.AF_INET;
}

/**
 * `sockaddr_in` or `sockaddr_in6`.
 * @param port 0 where there is none
 * @param scope index of the interface, for a link-local address
 */
export function inetAddress(address: string, port: number, scope = 0): Uint8Array {
  const bytes = parseIp(address);
  const six = bytes.length === 16;
  const wire = new Uint8Array(six ? 28 : 16);
  const view = new DataView(wire.buffer);
  view.setUint16(0, familyOf(address), littleEndian);
  view.setUint16(2, port);
  wire.set(bytes, six ? 8 : 4);
  if (six) view.setUint32(24, scope, littleEndian);
  return wire;
}

/** @param wire as getsockname(2) gives it */
export function readInetAddress(wire: Uint8Array): InetAddress {
  const view = new DataView(wire.buffer, wire.byteOffset, wire.byteLength);
  const six = view.getUint16(0, littleEndian) === constants.AF_INET6;
  return { address: six ? formatIpv6(wire, 8) : formatIpv4(wire, 4), port: view.getUint16(2) };
}
