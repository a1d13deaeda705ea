/**
 * Link layers of captures that others made: Linux cooked v1 (`tcpdump -i any` of old), the loopback interfaces of the BSDs
 * and macOS, and IP of one version alone (https://www.tcpdump.org/linktypes.html). What our own taps have stands in `decode.ts`.
 */
import { EtherType, LinkType } from "./protocol.js";

export interface LinkHeader {
  readonly label: string;
  /** EtherType of what follows; 0 where the header names none that is known. */
  readonly type: number;
  /** Bytes of the header. */
  readonly length: number;
  /** Linux cooked v1: PACKET_* of linux/if_packet.h, ARPHRD_*, and where the source's link-layer address stands. */
  readonly cooked?: { readonly packetType: number; readonly device: number; readonly addressLength: number };
  /** Loopback: AF_* of the system that captured. */
  readonly family?: number;
}

/** Offset of the sender's address in a header of Linux cooked v1. */
export const cookedAddress = 6;
/** PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OUTGOING. */
export const PacketType = { broadcast: 1, multicast: 2, outgoing: 4 } as const;

/** AF_INET is 2 everywhere; AF_INET6 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS. */
const families: Readonly<Record<number, number>> = {
  2: EtherType.ipv4,
  10: EtherType.ipv6,
  24: EtherType.ipv6,
  28: EtherType.ipv6,
  30: EtherType.ipv6,
};

/**
 * @param end of the captured bytes
 * @returns undefined for a link type that is not decoded; a header longer than what there is, where that is cut off
 */
export function linkHeader(linkType: number, view: DataView, offset: number, end: number): LinkHeader | undefined {
  switch (linkType) {
    case LinkType.linuxCooked: {
      const label = "Linux cooked capture v1";
      if (end - offset < 16) return { label, type: 0, length: 16 };
      const cooked = {
        packetType: view.getUint16(offset),
        device: view.getUint16(offset + 2),
        addressLength: view.getUint16(offset + 4),
      };
      return { label, type: view.getUint16(offset + 14), length: 16, cooked };
    }
    case LinkType.null:
    case LinkType.loop: {
      const label = "Loopback";
      if (end - offset < 4) return { label, type: 0, length: 4 };
      // BSD's is in the byte order of the machine that captured, and no family needs more than a byte.
      const value = view.getUint32(offset);
      const family = value > 0xffff ? value >>> 24 : value;
      return { label, type: families[family] ?? 0, length: 4, family };
    }
    case LinkType.ipv4:
      return { label: "Raw IPv4", type: EtherType.ipv4, length: 0 };
    case LinkType.ipv6:
      return { label: "Raw IPv6", type: EtherType.ipv6, length: 0 };
    default:
      return undefined;
  }
}
