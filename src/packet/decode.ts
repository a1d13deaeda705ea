/**
 * Frames to columns: Ethernet with VLAN tags, Linux cooked v2, raw IP, ARP, IPv4, IPv6 with extension headers and
 * fragments, TCP, UDP, ICMP and ICMPv6 with the packet inside their errors.
 *
 * Nothing here fails: whatever a frame lacks stays zero, and `Mark.cut` says so. Lengths come from the IP header, and
 * from the frame where that says 0 (IPv4 BIG TCP). The fingerprint leaves out what forwarding and NAT change: link
 * layer, TTL, traffic class, checksums, addresses, ports, echo identifiers and the MSS option.
 */
import { type AddressBook, finish, half, mix, word } from "./address.js";
import { type Columns, Kind, Mark, Tcp } from "./columns.js";

/** LINKTYPE_* values that are decoded. */
export const LinkType = { ethernet: 1, rawOld: 12, raw: 101, linuxCooked2: 276 } as const;

export const EtherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;

/** IP protocol numbers. */
export const Protocol = { icmp: 1, tcp: 6, udp: 17, fragment: 44, icmpv6: 58 } as const;

/** Payload bytes that take part in a fingerprint. A snapshot length of 256 holds them behind any usual header. */
export const DIGEST_BYTES = 64;

export class Decoder {
  readonly #book: AddressBook;
  readonly #columns: Columns;
  /** End of the captured bytes, and of the frame as it was on the wire, both as offsets into the buffer. */
  #end = 0;
  #wireEnd = 0;

  constructor(columns: Columns, book: AddressBook) {
    this.#columns = columns;
    this.#book = book;
  }

  /**
   * Writes all columns of a row but `time`, `hop` and `record`.
   * @returns interface index of an SLL2 record, 0 elsewhere
   */
  decode(row: number, linkType: number, bytes: Uint8Array, offset: number, captured: number, length: number): number {
    const c = this.#columns;
    this.#end = offset + captured;
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
        this.#frame(row, 0, bytes, offset);
        return 0;
    }
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
    c.digest[row] = hash(bytes, offset, end);
    c.payload[row] = this.#wireEnd - offset;
    this.#seal(row);
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
    c.digest[row] = hash(bytes, at, at + 28);
    this.#seal(row);
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
    this.#transport(row, protocol, bytes, at + headerLength, end, offset > 0);
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
    // Hop-by-hop 0, routing 43, fragment 44, authentication 51, destination 60, mobility 135 (RFC 8200).
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
    this.#transport(row, protocol, bytes, here, end, later);
  }

  /** @param end of the IP packet as its header says; beyond the captured bytes where the capture is short */
  #transport(row: number, protocol: number, bytes: Uint8Array, at: number, end: number, later: boolean): void {
    const c = this.#columns;
    if (later) {
      c.kind[row] = Kind.fragment;
      this.#rest(row, bytes, at, end);
      return;
    }
    const available = Math.min(this.#end, end) - at;
    if (protocol === Protocol.tcp && available >= 20) {
      this.#tcp(row, bytes, at, end);
      return;
    }
    if (protocol === Protocol.udp && available >= 8) {
      c.kind[row] = Kind.udp;
      c.sourcePort[row] = half(bytes, at);
      c.destinationPort[row] = half(bytes, at + 2);
      this.#rest(row, bytes, at + 8, end);
      return;
    }
    if ((protocol === Protocol.icmp || protocol === Protocol.icmpv6) && available >= 8) {
      this.#icmp(row, protocol, bytes, at, end);
      return;
    }
    c.kind[row] = Kind.ip;
    if (protocol === Protocol.tcp || protocol === Protocol.udp) {
      c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
      if (available >= 4) {
        c.sourcePort[row] = half(bytes, at);
        c.destinationPort[row] = half(bytes, at + 2);
        this.#rest(row, bytes, at + 4, end);
        return;
      }
    }
    this.#rest(row, bytes, at, end);
  }

  #tcp(row: number, bytes: Uint8Array, at: number, end: number): void {
    const c = this.#columns;
    const headerLength = Math.max(20, ((bytes[at + 12] ?? 0) >> 4) * 4);
    const flags = bytes[at + 13] ?? 0;
    c.kind[row] = Kind.tcp;
    c.sourcePort[row] = half(bytes, at);
    c.destinationPort[row] = half(bytes, at + 2);
    c.sequence[row] = word(bytes, at + 4);
    c.acknowledgement[row] = word(bytes, at + 8);
    c.flags[row] = flags;
    c.window[row] = half(bytes, at + 14);
    c.payload[row] = Math.max(0, end - at - headerLength);
    const optionsEnd = Math.min(this.#end, at + headerLength);
    if ((flags & Tcp.syn) !== 0) this.#synOptions(row, bytes, at + 20, optionsEnd);
    else {
      let digest = 1;
      for (let i = at + 20; i + 4 <= optionsEnd; i += 4) digest = mix(digest, word(bytes, i));
      c.digest[row] = digest;
    }
    if (optionsEnd < at + headerLength) c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
    this.#seal(row);
  }

  /** Options of a SYN, without the MSS, which routers clamp. */
  #synOptions(row: number, bytes: Uint8Array, from: number, end: number): void {
    const c = this.#columns;
    let digest = 1;
    for (let i = from; i < end;) {
      const kind = bytes[i] ?? 0;
      if (kind === 0) break;
      if (kind === 1) {
        digest = mix(digest, 1);
        i++;
        continue;
      }
      const length = i + 1 < end ? (bytes[i + 1] ?? 0) : 0;
      if (length < 2 || i + length > end) break;
      if (kind === 2 && length === 4) c.mss[row] = half(bytes, i + 2);
      else digest = mix(digest, hash(bytes, i, i + length));
      i += length;
    }
    c.digest[row] = digest;
  }

  #icmp(row: number, protocol: number, bytes: Uint8Array, at: number, end: number): void {
    const c = this.#columns;
    const type = bytes[at] ?? 0;
    const code = bytes[at + 1] ?? 0;
    const error = protocol === Protocol.icmp ? type === 3 || type === 4 || type === 11 || type === 12 : type < 128;
    c.sequence[row] = ((type << 24) | (code << 16)) >>> 0;
    if (error) {
      c.kind[row] = Kind.icmpError;
      c.payload[row] = Math.max(0, end - at - 8);
      c.window[row] = half(bytes, at + 6); // MTU of "fragmentation needed"
      if (protocol === Protocol.icmpv6) c.window[row] = word(bytes, at + 4) & 0xffff;
      this.#inner(row, bytes, at + 8);
      this.#seal(row);
      return;
    }
    const echo = protocol === Protocol.icmp ? type === 0 || type === 8 : type === 128 || type === 129;
    if (echo) {
      c.kind[row] = Kind.echo;
      c.sourcePort[row] = half(bytes, at + 4);
      c.destinationPort[row] = half(bytes, at + 4);
      c.sequence[row] = ((type << 24) | (code << 16) | half(bytes, at + 6)) >>> 0;
      this.#rest(row, bytes, at + 8, end);
      return;
    }
    c.kind[row] = Kind.icmp;
    this.#rest(row, bytes, at + 4, end);
  }

  /** The packet that an ICMP error quotes: at least its IP header and eight bytes more (RFC 792, RFC 4443). */
  #inner(row: number, bytes: Uint8Array, at: number): void {
    const c = this.#columns;
    const version = at < this.#end ? (bytes[at] ?? 0) >> 4 : 0;
    let here: number;
    let protocol: number;
    c.innerSource[row] = 0;
    c.innerDestination[row] = 0;
    c.innerIdentification[row] = 0;
    c.innerSequence[row] = 0;
    c.innerProtocol[row] = 0;
    if (version === 4 && this.#end - at >= 20) {
      protocol = bytes[at + 9] ?? 0;
      c.innerIdentification[row] = half(bytes, at + 4);
      c.innerSource[row] = word(bytes, at + 12);
      c.innerDestination[row] = word(bytes, at + 16);
      here = at + ((bytes[at] ?? 0) & 15) * 4;
    } else if (version === 6 && this.#end - at >= 40) {
      protocol = bytes[at + 6] ?? 0;
      c.innerSource[row] = this.#book.number(bytes, at + 8);
      c.innerDestination[row] = this.#book.number(bytes, at + 24);
      here = at + 40;
    } else {
      c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
      return;
    }
    c.innerProtocol[row] = protocol;
    if (this.#end - here < 8) return;
    if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
      c.sourcePort[row] = half(bytes, here + 4);
      c.destinationPort[row] = half(bytes, here + 4);
      c.innerSequence[row] =
        (((bytes[here] ?? 0) << 24) | ((bytes[here + 1] ?? 0) << 16) | half(bytes, here + 6)) >>> 0;
      return;
    }
    c.sourcePort[row] = half(bytes, here);
    c.destinationPort[row] = half(bytes, here + 2);
    // TCP: the sequence number. UDP: length and checksum, of which NAT changes the latter.
    c.innerSequence[row] = protocol === Protocol.tcp ? word(bytes, here + 4) : half(bytes, here + 4);
  }

  /** Payload length and digest, for everything that has no sequence numbers of its own. */
  #rest(row: number, bytes: Uint8Array, at: number, end: number): void {
    const c = this.#columns;
    const payload = Math.max(0, end - at);
    c.payload[row] = payload;
    const digested = Math.min(payload, DIGEST_BYTES);
    // All of them or none: taps with link layers of different sizes cut the same packet at different bytes.
    c.digest[row] = this.#end - at >= digested ? hash(bytes, at, at + digested) : 0;
    this.#seal(row);
  }

  #seal(row: number): void {
    const c = this.#columns;
    let h = mix(((c.kind[row] ?? 0) << 16) | ((c.protocol[row] ?? 0) << 8) | (c.flags[row] ?? 0), c.payload[row] ?? 0);
    h = mix(h, c.identification[row] ?? 0);
    h = mix(h, c.sequence[row] ?? 0);
    h = mix(h, c.acknowledgement[row] ?? 0);
    h = mix(h, ((c.window[row] ?? 0) << 16) | (c.fragmentOffset[row] ?? 0));
    if (c.kind[row] === Kind.icmpError) {
      h = mix(h, c.innerIdentification[row] ?? 0);
      h = mix(h, c.innerSequence[row] ?? 0);
    }
    c.fingerprint[row] = finish(mix(h, c.digest[row] ?? 0));
  }
}

/** Whether two rows are equal in all that forwarding and NAT leave alone: the columns, not their hash. */
export function sameInvariants(c: Columns, a: number, b: number): boolean {
  return (
    c.fingerprint[a] === c.fingerprint[b] &&
    c.kind[a] === c.kind[b] &&
    c.family[a] === c.family[b] &&
    c.protocol[a] === c.protocol[b] &&
    c.payload[a] === c.payload[b] &&
    c.identification[a] === c.identification[b] &&
    c.sequence[a] === c.sequence[b] &&
    c.acknowledgement[a] === c.acknowledgement[b] &&
    c.flags[a] === c.flags[b] &&
    c.window[a] === c.window[b] &&
    c.fragmentOffset[a] === c.fragmentOffset[b] &&
    c.digest[a] === c.digest[b] &&
    (c.kind[a] !== Kind.icmpError ||
      (c.innerIdentification[a] === c.innerIdentification[b] && c.innerSequence[a] === c.innerSequence[b]))
  );
}

function isExtension(protocol: number): boolean {
  return protocol === 0 || protocol === 43 || protocol === 44 || protocol === 51 || protocol === 60 || protocol === 135;
}

/** Hash of bytes [from, to). */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = 1;
  let i = from;
  for (; i + 4 <= to; i += 4) h = mix(h, word(bytes, i));
  for (; i < to; i++) h = mix(h, bytes[i] ?? 0);
  return finish(mix(h, to - from));
}
