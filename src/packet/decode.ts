/**
 * Frames to columns: Ethernet with VLAN tags, Linux cooked v2, raw IP, ARP, IPv4, IPv6 with extension headers and
 * fragments. `decode-transport.ts` reads what is inside, `link-header.ts` the link layers of other captures.
 *
 * Nothing here fails: whatever a frame lacks stays zero, and `Mark.cut` says so. Lengths come from the IP header, and
 * from the frame where that says 0 (IPv4 BIG TCP).
 */
import type { AddressBook } from "./address.js";
import { type Columns, Kind, Mark } from "./columns.js";
import { blankTransport, TransportDecoder } from "./decode-transport.js";
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
  /** The buffer that came last, and a view of it: a view reads a whole word, and checks its place once. */
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);

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
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const view = this.#view;
    this.#end = offset + captured;
    this.#transport.end = this.#end;
    this.#wireEnd = offset + length;
    c.length[row] = length;
    c.marks[row] = 0;
    switch (linkType) {
      case LinkType.ethernet:
        this.#ethernet(row, view, offset);
        return 0;
      case LinkType.linuxCooked2:
        return this.#cooked(row, view, offset);
      case LinkType.raw:
      case LinkType.rawOld: {
        const version = captured > 0 ? view.getUint8(offset) >> 4 : 0;
        this.#network(row, version === 6 ? EtherType.ipv6 : EtherType.ipv4, view, offset, offset);
        return 0;
      }
      default:
        this.#foreign(row, linkType, view, offset);
        return 0;
    }
  }

  /** A link layer that no tap of ours has. */
  #foreign(row: number, linkType: number, view: DataView, offset: number): void {
    const c = this.#columns;
    const header = linkHeader(linkType, view, offset, this.#end);
    if (header === undefined || this.#end - offset < header.length) {
      this.#frame(row, 0, view, offset, header !== undefined);
      return;
    }
    const { cooked } = header;
    if (cooked !== undefined) {
      const { packetType } = cooked;
      const group = packetType === PacketType.broadcast || packetType === PacketType.multicast;
      c.marks[row] = packetType === PacketType.outgoing ? Mark.outgoing : group ? Mark.group : 0;
      if (cooked.addressLength === 6) {
        const at = offset + cookedAddress;
        c.sourceMac[row] = view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);
      }
      // The frame as an Ethernet tap would count it.
      c.length[row] = this.#wireEnd - offset - 2;
    }
    let { type } = header;
    let at = offset + header.length;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = view.getUint16(at + 2);
      at += 4;
    }
    this.#network(row, type, view, at, at);
  }

  #ethernet(row: number, view: DataView, offset: number): void {
    const c = this.#columns;
    if (this.#end - offset < 14) {
      this.#frame(row, 0, view, offset, true);
      return;
    }
    c.destinationMac[row] = view.getUint16(offset) * 0x1_0000_0000 + view.getUint32(offset + 2);
    c.sourceMac[row] = view.getUint16(offset + 6) * 0x1_0000_0000 + view.getUint32(offset + 8);
    c.marks[row] = Mark.macs | (view.getUint8(offset) & Mark.group);
    let type = view.getUint16(offset + 12);
    let at = offset + 14;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = view.getUint16(at + 2);
      at += 4;
    }
    this.#network(row, type, view, at, offset);
  }

  /** LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, address length, 8 address bytes. */
  #cooked(row: number, view: DataView, offset: number): number {
    const c = this.#columns;
    if (this.#end - offset < 20) {
      this.#frame(row, 0, view, offset, true);
      return 0;
    }
    let type = view.getUint16(offset);
    const packetType = view.getUint8(offset + 10);
    if (view.getUint8(offset + 11) === 6) {
      c.sourceMac[row] = view.getUint16(offset + 12) * 0x1_0000_0000 + view.getUint32(offset + 14);
    }
    // PACKET_BROADCAST 1, PACKET_MULTICAST 2, PACKET_OUTGOING 4 of linux/if_packet.h.
    c.marks[row] = packetType === 4 ? Mark.outgoing : packetType === 1 || packetType === 2 ? Mark.group : 0;
    // The frame as an Ethernet tap would count it, so that one packet has one length at every hop.
    c.length[row] = this.#wireEnd - offset - 6;
    let at = offset + 20;
    while ((type === EtherType.vlan || type === EtherType.serviceVlan) && this.#end - at >= 4) {
      type = view.getUint16(at + 2);
      at += 4;
    }
    this.#network(row, type, view, at, at);
    return view.getUint32(offset + 4);
  }

  #network(row: number, type: number, view: DataView, at: number, frame: number): void {
    if (type === EtherType.ipv4) {
      this.#ipv4(row, view, at);
      return;
    }
    if (type === EtherType.ipv6) {
      this.#ipv6(row, view, at);
      return;
    }
    if (type === EtherType.arp) {
      this.#arp(row, view, at);
      return;
    }
    this.#frame(row, type, view, frame);
  }

  /** Anything without IP: the whole frame is its identity. */
  #frame(row: number, type: number, view: DataView, offset: number, cut = false): void {
    const c = this.#columns;
    blankNetwork(c, row);
    blankTransport(c, row);
    c.kind[row] = Kind.frame;
    c.window[row] = type;
    if (cut) c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
    const end = Math.min(this.#end, offset + DIGEST_BYTES);
    c.digest[row] = digestOf(view, offset, end);
    c.payload[row] = this.#wireEnd - offset;
    seal(c, row);
  }

  #arp(row: number, view: DataView, at: number): void {
    const c = this.#columns;
    // Ethernet and IPv4, the only pair in use (RFC 826).
    if (this.#end - at < 28 || view.getUint16(at + 2) !== EtherType.ipv4) {
      this.#frame(row, EtherType.arp, view, at, this.#end - at < 28);
      return;
    }
    blankNetwork(c, row);
    blankTransport(c, row);
    c.kind[row] = Kind.arp;
    c.family[row] = 4;
    c.flags[row] = view.getUint16(at + 6) & 255;
    c.source[row] = view.getUint32(at + 14);
    c.destination[row] = view.getUint32(at + 24);
    c.digest[row] = digestOf(view, at, at + 28);
    seal(c, row);
  }

  #ipv4(row: number, view: DataView, at: number): void {
    const c = this.#columns;
    const first = this.#end - at < 20 ? 0 : view.getUint8(at);
    const headerLength = (first & 15) * 4;
    if (first >> 4 !== 4 || headerLength < 20) {
      this.#frame(row, EtherType.ipv4, view, at, true);
      return;
    }
    const total = view.getUint16(at + 2);
    const fragment = view.getUint16(at + 6);
    const protocol = view.getUint8(at + 9);
    c.family[row] = 4;
    c.protocol[row] = protocol;
    c.trafficClass[row] = view.getUint8(at + 1);
    c.identification[row] = view.getUint16(at + 4);
    c.ttl[row] = view.getUint8(at + 8);
    c.source[row] = view.getUint32(at + 12);
    c.destination[row] = view.getUint32(at + 16);
    const offset = (fragment & 0x1fff) * 8;
    const more = (fragment & 0x2000) !== 0;
    c.fragmentOffset[row] = offset;
    c.marks[row] =
      (c.marks[row] ?? 0) |
      (fragment & 0x4000 ? Mark.dontFragment : 0) |
      (more ? Mark.moreFragments : 0) |
      (more && offset === 0 ? Mark.firstFragment : 0);
    const end = total === 0 ? this.#wireEnd : at + total;
    this.#transport.decode(row, protocol, view, at + headerLength, end, offset > 0);
  }

  #ipv6(row: number, view: DataView, at: number): void {
    const c = this.#columns;
    if (this.#end - at < 40 || view.getUint8(at) >> 4 !== 6) {
      this.#frame(row, EtherType.ipv6, view, at, true);
      return;
    }
    blankNetwork(c, row);
    c.family[row] = 6;
    c.trafficClass[row] = (view.getUint16(at) >> 4) & 255;
    c.ttl[row] = view.getUint8(at + 7);
    c.source[row] = this.#book.number(view, at + 8);
    c.destination[row] = this.#book.number(view, at + 24);
    const length = view.getUint16(at + 4);
    const end = length === 0 ? this.#wireEnd : at + 40 + length;
    let protocol = view.getUint8(at + 6);
    let here = at + 40;
    let later = false;
    for (let headers = 0; headers < 16 && isExtension(protocol) && this.#end - here >= 8; headers++) {
      const next = view.getUint8(here);
      if (protocol === Protocol.fragment) {
        const fragment = view.getUint16(here + 2);
        const offset = fragment & 0xfff8;
        const more = (fragment & 1) !== 0;
        c.identification[row] = view.getUint32(here + 4);
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
      const units = view.getUint8(here + 1);
      here += protocol === 51 ? (units + 2) * 4 : (units + 1) * 8;
      protocol = next;
    }
    c.protocol[row] = protocol;
    this.#transport.decode(row, protocol, view, here, end, later);
  }
}

/** What an IP header says, all 0. */
function blankNetwork(c: Columns, row: number): void {
  c.family[row] = 0;
  c.protocol[row] = 0;
  c.source[row] = 0;
  c.destination[row] = 0;
  c.ttl[row] = 0;
  c.trafficClass[row] = 0;
  c.identification[row] = 0;
  c.fragmentOffset[row] = 0;
}
