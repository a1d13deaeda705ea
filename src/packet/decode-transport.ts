/** Behind the IP header: TCP, UDP, ICMP and ICMPv6 with the packet inside their errors, and whatever else. */
import { type AddressBook, mix } from "./address.js";
import { type Columns, Kind, Mark, Tcp } from "./columns.js";
import { DIGEST_BYTES, digestOf, seal, tcpFingerprint } from "./fingerprint.js";
import { Protocol } from "./protocol.js";

export class TransportDecoder {
  /** End of the captured bytes, as an offset into the buffer: set for each frame. */
  end = 0;
  readonly #book: AddressBook;
  readonly #columns: Columns;

  constructor(columns: Columns, book: AddressBook) {
    this.#columns = columns;
    this.#book = book;
  }

  /** @param end of the IP packet as its header says; beyond the captured bytes where the capture is short */
  decode(row: number, protocol: number, view: DataView, at: number, end: number, later: boolean): void {
    const c = this.#columns;
    const available = Math.min(this.end, end) - at;
    if (protocol === Protocol.tcp && available >= 20 && !later) {
      this.#tcp(row, view, at, end);
      return;
    }
    blankTransport(c, row);
    if (later) {
      c.kind[row] = Kind.fragment;
      this.#rest(row, view, at, end);
      return;
    }
    if (protocol === Protocol.udp && available >= 8) {
      c.kind[row] = Kind.udp;
      c.sourcePort[row] = view.getUint16(at);
      c.destinationPort[row] = view.getUint16(at + 2);
      this.#rest(row, view, at + 8, end);
      return;
    }
    if ((protocol === Protocol.icmp || protocol === Protocol.icmpv6) && available >= 8) {
      this.#icmp(row, protocol, view, at, end);
      return;
    }
    c.kind[row] = Kind.ip;
    if (protocol === Protocol.tcp || protocol === Protocol.udp) {
      c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
      if (available >= 4) {
        c.sourcePort[row] = view.getUint16(at);
        c.destinationPort[row] = view.getUint16(at + 2);
        this.#rest(row, view, at + 4, end);
        return;
      }
    }
    this.#rest(row, view, at, end);
  }

  #tcp(row: number, view: DataView, at: number, end: number): void {
    const c = this.#columns;
    const headerLength = Math.max(20, (view.getUint8(at + 12) >> 4) * 4);
    const flags = view.getUint8(at + 13);
    c.kind[row] = Kind.tcp;
    c.sourcePort[row] = view.getUint16(at);
    c.destinationPort[row] = view.getUint16(at + 2);
    const sequence = view.getUint32(at + 4);
    const acknowledgement = view.getUint32(at + 8);
    const window = view.getUint16(at + 14);
    const payload = Math.max(0, end - at - headerLength);
    c.sequence[row] = sequence;
    c.acknowledgement[row] = acknowledgement;
    c.flags[row] = flags;
    c.window[row] = window;
    c.payload[row] = payload;
    c.mss[row] = 0;
    const optionsEnd = Math.min(this.end, at + headerLength);
    const syn = (flags & Tcp.syn) !== 0;
    const digest = syn ? this.#synOptions(row, view, at + 20, optionsEnd) : optionsDigest(view, at + 20, optionsEnd);
    c.digest[row] = digest;
    if (optionsEnd < at + headerLength) c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
    const identification = c.identification[row] ?? 0;
    c.fingerprint[row] = tcpFingerprint(flags, payload, identification, sequence, acknowledgement, window, digest);
  }

  /** Options of a SYN, without the MSS, which routers clamp. @returns their hash */
  #synOptions(row: number, view: DataView, from: number, end: number): number {
    const c = this.#columns;
    let digest = 1;
    for (let i = from; i < end;) {
      const kind = view.getUint8(i);
      if (kind === 0) break;
      if (kind === 1) {
        digest = mix(digest, 1);
        i++;
        continue;
      }
      const length = i + 1 < end ? view.getUint8(i + 1) : 0;
      if (length < 2 || i + length > end) break;
      if (kind === 2 && length === 4) c.mss[row] = view.getUint16(i + 2);
      else digest = mix(digest, digestOf(view, i, i + length));
      i += length;
    }
    return digest;
  }

  #icmp(row: number, protocol: number, view: DataView, at: number, end: number): void {
    const c = this.#columns;
    const type = view.getUint8(at);
    const code = view.getUint8(at + 1);
    const error = protocol === Protocol.icmp ? type === 3 || type === 4 || type === 11 || type === 12 : type < 128;
    c.sequence[row] = ((type << 24) | (code << 16)) >>> 0;
    if (error) {
      c.kind[row] = Kind.icmpError;
      c.payload[row] = Math.max(0, end - at - 8);
      c.window[row] = view.getUint16(at + 6); // MTU of "fragmentation needed"
      if (protocol === Protocol.icmpv6) c.window[row] = view.getUint32(at + 4) & 0xffff;
      this.#inner(row, view, at + 8, end);
      seal(c, row);
      return;
    }
    const echo = protocol === Protocol.icmp ? type === 0 || type === 8 : type === 128 || type === 129;
    if (echo) {
      c.kind[row] = Kind.echo;
      c.sourcePort[row] = view.getUint16(at + 4);
      c.destinationPort[row] = view.getUint16(at + 4);
      c.sequence[row] = ((type << 24) | (code << 16) | view.getUint16(at + 6)) >>> 0;
      this.#rest(row, view, at + 8, end);
      return;
    }
    c.kind[row] = Kind.icmp;
    this.#rest(row, view, at + 4, end);
  }

  /** The packet that an ICMP error quotes: at least its IP header and eight bytes more (RFC 792, RFC 4443). */
  #inner(row: number, view: DataView, at: number, end: number): void {
    const c = this.#columns;
    const version = at < this.end ? view.getUint8(at) >> 4 : 0;
    let here: number;
    let protocol: number;
    c.innerSource[row] = 0;
    c.innerDestination[row] = 0;
    c.innerIdentification[row] = 0;
    c.innerSequence[row] = 0;
    c.innerProtocol[row] = 0;
    if (version === 4 && this.end - at >= 20) {
      protocol = view.getUint8(at + 9);
      c.innerIdentification[row] = view.getUint16(at + 4);
      c.innerSource[row] = view.getUint32(at + 12);
      c.innerDestination[row] = view.getUint32(at + 16);
      here = at + (view.getUint8(at) & 15) * 4;
    } else if (version === 6 && this.end - at >= 40) {
      protocol = view.getUint8(at + 6);
      c.innerSource[row] = this.#book.number(view, at + 8);
      c.innerDestination[row] = this.#book.number(view, at + 24);
      here = at + 40;
    } else {
      c.marks[row] = (c.marks[row] ?? 0) | Mark.cut;
      return;
    }
    c.innerProtocol[row] = protocol;
    if (this.end - here < 8) return;
    if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
      c.sourcePort[row] = view.getUint16(here + 4);
      c.destinationPort[row] = view.getUint16(here + 4);
      c.innerSequence[row] =
        ((view.getUint8(here) << 24) | (view.getUint8(here + 1) << 16) | view.getUint16(here + 6)) >>> 0;
      return;
    }
    c.sourcePort[row] = view.getUint16(here);
    c.destinationPort[row] = view.getUint16(here + 2);
    // TCP: the sequence number. UDP: length and checksum, of which NAT changes the latter.
    c.innerSequence[row] = protocol === Protocol.tcp ? view.getUint32(here + 4) : view.getUint16(here + 4);
    // Behind the checksum, which NAT changes: what tells errors of equal datagrams without a number apart.
    const from = here + (protocol === Protocol.tcp ? 18 : 8);
    const to = Math.min(end, from + DIGEST_BYTES);
    if (to > from && this.end >= to) c.digest[row] = digestOf(view, from, to);
  }

  /** Payload length and digest, for everything that has no sequence numbers of its own. */
  #rest(row: number, view: DataView, at: number, end: number): void {
    const c = this.#columns;
    const payload = Math.max(0, end - at);
    c.payload[row] = payload;
    const digested = Math.min(payload, DIGEST_BYTES);
    // All of them or none: taps with link layers of different sizes cut the same packet at different bytes.
    c.digest[row] = this.end - at >= digested ? digestOf(view, at, at + digested) : 0;
    seal(c, row);
  }
}

function optionsDigest(view: DataView, from: number, end: number): number {
  let digest = 1;
  for (let i = from; i + 4 <= end; i += 4) digest = mix(digest, view.getUint32(i));
  return digest;
}

/** What a transport header says, all 0. TCP writes each of these itself. */
export function blankTransport(c: Columns, row: number): void {
  c.sourcePort[row] = 0;
  c.destinationPort[row] = 0;
  c.payload[row] = 0;
  c.sequence[row] = 0;
  c.acknowledgement[row] = 0;
  c.flags[row] = 0;
  c.window[row] = 0;
  c.mss[row] = 0;
  c.digest[row] = 0;
}
