/** Numbers by which a header names the next one. */

/** LINKTYPE_* values that are decoded. */
export const LinkType = {
  null: 0,
  ethernet: 1,
  rawOld: 12,
  raw: 101,
  loop: 108,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  linuxCooked2: 276,
} as const;

export const EtherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;

/** IP protocol numbers. */
export const Protocol = { icmp: 1, tcp: 6, udp: 17, fragment: 44, icmpv6: 58 } as const;

/** Hop-by-hop 0, routing 43, fragment 44, authentication 51, destination 60, mobility 135 (RFC 8200). */
export function isExtension(protocol: number): boolean {
  return protocol === 0 || protocol === 43 || protocol === 44 || protocol === 51 || protocol === 60 || protocol === 135;
}
