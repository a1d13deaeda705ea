/** Frames for tests, built byte by byte. Checksums are left zero: nothing here reads them. */
import { parseAddress } from "../../src/model/address.js";

export interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export interface FrameOptions extends Ends {
  readonly ttl?: number;
  readonly id?: number;
  readonly sourceMac?: string;
  readonly destinationMac?: string;
  readonly vlan?: number;
  readonly dontFragment?: boolean;
  /** Bytes; `more` tells of further ones. */
  readonly fragmentOffset?: number;
  readonly more?: boolean;
}

export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

export function bytes(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}

const u16 = (value: number): number[] => [(value >>> 8) & 255, value & 255];
const u32 = (value: number): number[] => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

export function mac(text: string): number[] {
  return text.split(":").map((part) => Number.parseInt(part, 16));
}

export function address(text: string): number[] {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`no address: ${text}`);
  const length = parsed.family === 4 ? 4 : 16;
  return Array.from({ length }, (_, i) => Number((parsed.value >> BigInt(8 * (length - 1 - i))) & 255n));
}

export function ethernet(options: FrameOptions, type: number, payload: Uint8Array): Uint8Array {
  return bytes(
    mac(options.destinationMac ?? "02:00:00:00:00:02"),
    mac(options.sourceMac ?? "02:00:00:00:00:01"),
    options.vlan === undefined ? [] : [...u16(0x8100), ...u16(options.vlan)],
    u16(type),
    payload,
  );
}

export function ip(options: FrameOptions, protocol: number, payload: Uint8Array): Uint8Array {
  const source = address(options.source);
  const destination = address(options.destination);
  const ttl = options.ttl ?? 64;
  if (source.length === 4) {
    const fragment =
      (options.dontFragment ? 0x4000 : 0) | (options.more ? 0x2000 : 0) | ((options.fragmentOffset ?? 0) >> 3);
    return bytes(
      0x45,
      0,
      u16(20 + payload.length),
      u16(options.id ?? 0),
      u16(fragment),
      ttl,
      protocol,
      0,
      0,
      source,
      destination,
      payload,
    );
  }
  const fragmented = options.more !== undefined || options.fragmentOffset !== undefined;
  const inner = fragmented
    ? bytes(protocol, 0, u16((options.fragmentOffset ?? 0) | (options.more ? 1 : 0)), u32(options.id ?? 0), payload)
    : payload;
  return bytes(0x60, 0, 0, 0, u16(inner.length), fragmented ? 44 : protocol, ttl, source, destination, inner);
}

export function ipFrame(options: FrameOptions, protocol: number, payload: Uint8Array): Uint8Array {
  return ethernet(options, options.source.includes(":") ? 0x86dd : 0x0800, ip(options, protocol, payload));
}

export interface TcpOptions extends FrameOptions {
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly payload?: number;
  /** TSval and TSecr. */
  readonly stamps?: readonly [number, number];
  readonly mss?: number;
}

export function tcpSegment(options: TcpOptions): Uint8Array {
  const extra = bytes(
    options.mss === undefined ? [] : [2, 4, ...u16(options.mss)],
    options.stamps ? [1, 1, 8, 10, ...u32(options.stamps[0]), ...u32(options.stamps[1])] : [],
  );
  return bytes(
    u16(options.sourcePort ?? 0),
    u16(options.destinationPort ?? 0),
    u32(options.sequence ?? 0),
    u32(options.acknowledgement ?? 0),
    (5 + extra.length / 4) << 4,
    options.flags ?? flag.ack,
    u16(options.window ?? 500),
    0,
    0,
    0,
    0,
    extra,
    new Uint8Array(options.payload ?? 0).fill(0x61),
  );
}

export function tcp(options: TcpOptions): Uint8Array {
  return ipFrame(options, 6, tcpSegment(options));
}

export function udpDatagram(options: Ends, payload: Uint8Array): Uint8Array {
  return bytes(u16(options.sourcePort ?? 0), u16(options.destinationPort ?? 0), u16(8 + payload.length), 0, 0, payload);
}

export function udp(options: FrameOptions & { readonly payload?: Uint8Array }): Uint8Array {
  return ipFrame(options, 17, udpDatagram(options, options.payload ?? new Uint8Array(0)));
}

export function echo(
  options: FrameOptions & { readonly reply?: boolean; readonly identifier?: number; readonly sequence?: number },
): Uint8Array {
  const v6 = options.source.includes(":");
  const type = v6 ? (options.reply ? 129 : 128) : options.reply ? 0 : 8;
  const body = bytes(
    type,
    0,
    0,
    0,
    u16(options.identifier ?? 1),
    u16(options.sequence ?? 1),
    new Uint8Array(48).fill(7),
  );
  return ipFrame(options, v6 ? 58 : 1, body);
}

/** An ICMP error that quotes `inner`, an IP packet without its link layer. */
export function icmpError(options: FrameOptions, type: number, code: number, inner: Uint8Array, mtu = 0): Uint8Array {
  const v6 = options.source.includes(":");
  const quoted = inner.slice(0, v6 ? 48 : 28);
  return ipFrame(options, v6 ? 58 : 1, bytes(type, code, 0, 0, 0, 0, u16(mtu), quoted));
}

export function arp(
  operation: number,
  sender: { mac: string; address: string },
  target: { mac?: string; address: string },
): Uint8Array {
  return bytes(
    operation === 1 ? [255, 255, 255, 255, 255, 255] : mac(target.mac ?? "ff:ff:ff:ff:ff:ff"),
    mac(sender.mac),
    u16(0x0806),
    u16(1),
    u16(0x0800),
    6,
    4,
    u16(operation),
    mac(sender.mac),
    address(sender.address),
    mac(target.mac ?? "00:00:00:00:00:00"),
    address(target.address),
  );
}
