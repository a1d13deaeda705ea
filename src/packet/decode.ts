/**
 * Frames to columns: Ethernet with VLAN tags, Linux cooked v2, raw IP, ARP, IPv4, IPv6 with extension headers and
 * fragments. `decode-transport.ts` reads what is inside, `link-header.ts` the link layers of other captures.
 *
 * Nothing here fails: whatever a frame lacks stays zero, and `Mark.cut` says so. Lengths come from the IP header, and
 * from the frame where that says 0 (IPv4 BIG TCP).
 */
import { type AddressBook, half, word } from "./address.js";
import { type Columns, Kind, Mark } from "./columns.js";
import { TransportDecoder } from "./decode-transport.js";
import { DIGEST_BYTES, digestOf, seal } from "./fingerprint.js";
import { cookedAddress, linkHeader, PacketType } from "./link-header.js";
import { EtherType, isExtension, LinkType, Protocol } from "./protocol.js";

export class Decoder {
  readonly #book: AddressBook;
  readonly #columns: Columns;
  readonly #transport: TransportDecoder;
  /** End of the captured bytes, and of the frame as it was on the wire, both as offsets into the buffer. */
  #end = 0;
  #wireEnd = 0;

  constructor(columns: Columns, book: AddressBook) {
    this.#columns = columns;
    this.#book = book;
    this.#transport = new TransportDecoder(columns, book);
  }

  /**
   * Writes all columns of a row but `time`, `hop` and `record`.
   * @returns interface index of an SLL2 record, 0 elsewhere
   */
  decode(row: number, linkType: number, bytes: Uint8Array, offset: number, captured: number, length: number): number {
    const c = this.#columns;
    this.#end = offset + captured;
    this.#transport.end = this.#end;
    this.#wireEnd = offset + length;
    c.length[row] = length;
    c.family[row] = 0;
    c.protocol[row] = 0;
    c.source[row] = 0;
    c.destination[row] = 0;
    c.sourcePort[row] = 0;
    c.destinationPort[row] = 0;
    c.ttl[row] = 0;
    c.trafficClass[row] = 0;
    c.identification[row] = 0;
    c.fragmentOffset[row] = 0;
    c.payload[row] = 0;
    c.sequence[row] = 0;
    c.acknowledgement[row] = 0;
    c.flags[row] = 0;
    c.window[row] = 0;
    c.mss[row] = 0;
    c.digest[row] = 0;
    c.kind[row] = Kind.frame;
    c.marks[row] = 0;
    switch (linkType) {
      case LinkType.ethernet:
        this.#ethernet(row, bytes, offset);
        return 0;
      case LinkType.linuxCooked2:
        return this.#cooked(row, bytes, offset);
      case LinkType.raw:
      case LinkType.rawOld: {
        const version = captured > 0 ? (bytes[offset] ?? 0) >> 4 : 0;
        this.#network(row, version === 6 ? EtherType.ipv6 : EtherType.ipv4, bytes, offset, offset);
        return 0;
      }
      default:
        this.#foreign(row, linkType, bytes, offset);
        return 0;
    }
  }

  /** A link layer that no tap of ours has. */
  #foreign(row: number, linkType: number, bytes: Uint8Array, offset: number): void {
    const c = this.#columns;
    const header = linkHeader(linkType, bytes, offset, this.#end);
    if (header === undefined || this.#end - offset < header.length) {
      this.#frame(row, 0, bytes, offset, header !== undefined);
      return;
    }
    const { cooked } = header;
    if (cooked !== undefined) {
      const { packetType } = cooked;
      const group = packetType === PacketType.broadcast || packetType === PacketType.multicast;
      c.marks[row] = packetType === PacketType.outgoing ? Mark.outgoing : group ? Mark.group : 0;
      if (cooked.addressLength === 6) {
        const at = offset + cookedAddress;
        c.sourceMac[row] = half(bytes, at) * 0x1_0000_0000 + word(bytes, at + 2);
      }
      // The frame as an Ethernet tap would count it.
      c.length[row] = this.#wireEnd - offset - 2;
    }
    let { type } = header;
    let at = offset + header.length;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = half(bytes, at + 2);
      at += 4;
    }
    this.#network(row, type, bytes, at, at);
  }

  #ethernet(row: number, bytes: Uint8Array, offset: number): void {
    const c = this.#columns;
    if (this.#end - offset < 14) {
      this.#frame(row, 0, bytes, offset, true);
      return;
    }
    c.destinationMac[row] = half(bytes, offset) * 0x1_0000_0000 + word(bytes, offset + 2);
    c.sourceMac[row] = half(bytes, offset + 6) * 0x1_0000_0000 + word(bytes, offset + 8);
    c.marks[row] = Mark.macs | ((bytes[offset] ?? 0) & Mark.group);
    let type = half(bytes, offset + 12);
    let at = offset + 14;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = half(bytes, at + 2);
      at += 4;
    }
    this.#network(row, type, bytes, at, offset);
  }

  /** LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, address length, 8 address bytes. */
  #cooked(row: number, bytes: Uint8Array, offset: number): number {
    const c = this.#columns;
    if (this.#end - offset < 20) {
      this.#frame(row, 0, bytes, offset, true);
      return 0;
    }
    let type = half(bytes, offset);
    const packetType = bytes[offset + 10] ?? 0;
    if (bytes[offset + 11] === 6) {
      c.sourceMac[row] = half(bytes, offset + 12) * 0x1_0000_0000 + word(bytes, offset + 14);
    }
    // PACKET_BROADCAST 1, PACKET_MULTICAST 2, PACKET_OUTGOING 4 of linux/if_packet.h.
    c.marks[row] = packetType === 4 ? Mark.outgoing : packetType === 1 || packetType === 2 ? Mark.group : 0;
    // The frame as an Ethernet tap would count it, so that one packet has one length at every hop.
    c.length[row] = this.#wireEnd - offset - 6;
    let at = offset + 20;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = half(bytes, at + 2);
      at += 4;
    }
    this.#network(row, type, bytes, at, at);
    return word(bytes, offset + 4);
  }

  #network(row: number, type: number, bytes: Uint8Array, at: number, frame: number): void {
    if (type === EtherType.ipv4) {
      this.#ipv4(row, bytes, at);
      return;
    }
    if (type === EtherType.ipv6) {
      this.#ipv6(row, bytes, at);
      return;
    }
    if (type === EtherType.arp) {
      this.#arp(row, bytes, at);
      return;
    }
    this.#frame(row, type, bytes, frame);
  }

  /** Anything without IP: the whole frame is its identity. */
  #frame(row: number, type: number, bytes: Uint8Array, offset: number, cut = false): void {
    const c = this.#columns;
    c.kind[row] = Kind.frame;
    c.family[row] = 0;
    c.window[row] = type;
    if (cut) c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
    const end = Math.min(this.#end, offset + DIGEST_BYTES);
    c.digest[row] = digestOf(bytes, offset, end);
    c.payload[row] = this.#wireEnd - offset;
    seal(c, row);
  }

  #arp(row: number, bytes: Uint8Array, at: number): void {
    const c = this.#columns;
    // Ethernet and IPv4, the only pair in use (RFC 826).
    if (this.#end - at < 28 || half(bytes, at + 2) !== EtherType.ipv4) {
      this.#frame(row, EtherType.arp, bytes, at, this.#end - at < 28);
      return;
    }
    c.kind[row] = Kind.arp;
    c.family[row] = 4;
    c.flags[row] = half(bytes, at + 6) & 255;
    c.source[row] = word(bytes, at + 14);
    c.destination[row] = word(bytes, at + 24);
    c.digest[row] = digestOf(bytes, at, at + 28);
    seal(c, row);
  }

  #ipv4(row: number, bytes: Uint8Array, at: number): void {
    const c = this.#columns;
    const headerLength = ((bytes[at] ?? 0) & 15) * 4;
    if (this.#end - at < 20 || (bytes[at] ?? 0) >> 4 !== 4 || headerLength < 20) {
      this.#frame(row, EtherType.ipv4, bytes, at, true);
      return;
    }
    const total = half(bytes, at + 2);
    const fragment = half(bytes, at + 6);
    const protocol = bytes[at + 9] ?? 0;
    c.family[row] = 4;
    c.protocol[row] = protocol;
    c.trafficClass[row] = bytes[at + 1] ?? 0;
    c.identification[row] = half(bytes, at + 4);
    c.ttl[row] = bytes[at + 8] ?? 0;
    c.source[row] = word(bytes, at + 12);
    c.destination[row] = word(bytes, at + 16);
    const offset = (fragment & 0x1fff) * 8;
    const more = (fragment & 0x2000) !== 0;
    c.fragmentOffset[row] = offset;
    c.marks[row] =
      (c.marks[row] ?? 0) |
      (fragment & 0x4000 ? Mark.dontFragment : 0) |
      (more ? Mark.moreFragments : 0) |
      (more && offset === 0 ? Mark.firstFragment : 0);
    const end = total === 0 ? this.#wireEnd : at + total;
    this.#transport.decode(row, protocol, bytes, at + headerLength, end, offset > 0);
  }

  #ipv6(row: number, bytes: Uint8Array, at: number): void {
    const c = this.#columns;
    if (this.#end - at < 40 || (bytes[at] ?? 0) >> 4 !== 6) {
      this.#frame(row, EtherType.ipv6, bytes, at, true);
      return;
    }
    c.family[row] = 6;
    c.trafficClass[row] = (half(bytes, at) >> 4) & 255;
    c.ttl[row] = bytes[at + 7] ?? 0;
    c.source[row] = this.#book.number(bytes, at + 8);
    c.destination[row] = this.#book.number(bytes, at + 24);
    const length = half(bytes, at + 4);
    const end = length === 0 ? this.#wireEnd : at + 40 + length;
    let protocol = bytes[at + 6] ?? 0;
    let here = at + 40;
    let later = false;
    for (let headers = 0; headers < 16 && isExtension(protocol) && this.#end - here >= 8; headers++) {
      const next = bytes[here] ?? 0;
      if (protocol === Protocol.fragment) {
        const fragment = half(bytes, here + 2);
        const offset = fragment & 0xfff8;
        const more = (fragment & 1) !== 0;
        c.identification[row] = word(bytes, here + 4);
        c.fragmentOffset[row] = offset;
        c.marks[row] =
          (c.marks[row] ?? 0) | (more ? Mark.moreFragments : 0) | (more && offset === 0 ? Mark.firstFragment : 0);
        here += 8;
        protocol = next;
        if (offset > 0) {
          later = true;
          break;
        }
        continue;
      }
      const units = bytes[here + 1] ?? 0;
      here += protocol === 51 ? (units + 2) * 4 : (units + 1) * 8;
      protocol = next;
    }
    c.protocol[row] = protocol;
    this.#transport.decode(row, protocol, bytes, here, end, later);
  }
}
