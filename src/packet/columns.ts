/**
 * Sightings as numbers: one typed array a field, one index a sighting. The decoder writes a row, the correlator reads
 * it; no object is made for a packet until someone wants to look at it.
 *
 * A row is taken with `take` and given back with `release`. The arrays grow when no row is free: read them through the
 * instance, never keep one.
 */
import { grown } from "./grown.js";
import { RowPool } from "./row-pool.js";

/** What the decoder made of a frame. */
export const Kind = {
  /** No IP and no ARP: spanning tree, LLDP, … `protocol` is 0, `window` the ethertype. */
  frame: 0,
  tcp: 1,
  udp: 2,
  /** ICMP or ICMPv6 echo: `sourcePort` and `destinationPort` are its identifier, `sequence` type, code and number. */
  echo: 3,
  /** ICMP or ICMPv6 error: ports and `inner*` are those of the offending packet. */
  icmpError: 4,
  /** ICMP or ICMPv6 of other kinds: neighbour discovery, router advertisements, … */
  icmp: 5,
  /** A fragment that is not the first one: no ports. */
  fragment: 6,
  /** Another IP protocol, or a transport header that was cut off. */
  ip: 7,
  /** `flags` is the operation, `source` and `destination` are the sender's and the target's address. */
  arp: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** TCP flags as they stand in the header (RFC 9293). */
export const Tcp = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

/** Bits of `marks`. */
export const Mark = {
  /** Destination is a link-layer group address (broadcast, multicast). */
  group: 1,
  /** More fragments follow. */
  moreFragments: 2,
  dontFragment: 4,
  /** The capture holds less of the headers than the frame had: what could be read is there. */
  cut: 8,
  /** First fragment of several. */
  firstFragment: 16,
  /** SLL2: the frame was on its way out of the interface. */
  outgoing: 32,
  /** Link-layer addresses are known (they are not in SLL2's destination, nor in raw IP). */
  macs: 64,
  /** Larger than its interface lets out: a super-packet of segmentation offload. Set by who knows the interface. */
  oversize: 128,
} as const;

const FIRST_CAPACITY = 4096;

export class Columns {
  /** Nanoseconds since the epoch of the trace. */
  time = new Float64Array(FIRST_CAPACITY);
  hop = new Uint16Array(FIRST_CAPACITY);
  /** Number of the capture that it stands in. */
  tap = new Uint16Array(FIRST_CAPACITY);
  /** Number of the record in its capture, from 0. */
  record = new Uint32Array(FIRST_CAPACITY);
  /** Bytes on the wire, link layer included. */
  length = new Uint32Array(FIRST_CAPACITY);
  kind = new Uint8Array(FIRST_CAPACITY);
  marks = new Uint8Array(FIRST_CAPACITY);
  /** 4, 6, or 0 where there is no network layer. */
  family = new Uint8Array(FIRST_CAPACITY);
  /** IP protocol number. */
  protocol = new Uint8Array(FIRST_CAPACITY);
  /** IPv4 address as a number, or the number of an IPv6 address in the `AddressBook`. */
  source = new Uint32Array(FIRST_CAPACITY);
  destination = new Uint32Array(FIRST_CAPACITY);
  sourcePort = new Uint16Array(FIRST_CAPACITY);
  destinationPort = new Uint16Array(FIRST_CAPACITY);
  ttl = new Uint8Array(FIRST_CAPACITY);
  /** DSCP and ECN. */
  trafficClass = new Uint8Array(FIRST_CAPACITY);
  /** IP identification: 16 bits of IPv4, 32 of an IPv6 fragment; 0 where there is none. */
  identification = new Uint32Array(FIRST_CAPACITY);
  /** Bytes. */
  fragmentOffset = new Uint16Array(FIRST_CAPACITY);
  /** Bytes behind the transport header (behind the IP header, where there is no transport header). */
  payload = new Uint32Array(FIRST_CAPACITY);
  /** TCP sequence number; ICMP: type << 24 | code << 16 | number of an echo. */
  sequence = new Uint32Array(FIRST_CAPACITY);
  acknowledgement = new Uint32Array(FIRST_CAPACITY);
  flags = new Uint8Array(FIRST_CAPACITY);
  window = new Uint16Array(FIRST_CAPACITY);
  /** TCP maximum segment size of a SYN. */
  mss = new Uint16Array(FIRST_CAPACITY);
  /** Hash of the TCP options without MSS, or of the first payload bytes of the rest. */
  digest = new Uint32Array(FIRST_CAPACITY);
  /** Hash over everything that forwarding and NAT leave alone; equal packets have equal ones, not the other way round. */
  fingerprint = new Uint32Array(FIRST_CAPACITY);
  /** 48-bit numbers; see `Mark.macs`. */
  sourceMac = new Float64Array(FIRST_CAPACITY);
  destinationMac = new Float64Array(FIRST_CAPACITY);
  /** Of the packet inside an ICMP error. */
  innerSource = new Uint32Array(FIRST_CAPACITY);
  innerDestination = new Uint32Array(FIRST_CAPACITY);
  innerProtocol = new Uint8Array(FIRST_CAPACITY);
  innerIdentification = new Uint32Array(FIRST_CAPACITY);
  /** TCP: sequence number; else the four bytes behind the ports. */
  innerSequence = new Uint32Array(FIRST_CAPACITY);
  /** Entry of its tuple in the flow table, -1 where none is known: written and read by the `FlowIndex` alone. */
  entry = new Int32Array(FIRST_CAPACITY);

  readonly #pool = new RowPool(FIRST_CAPACITY);

  /** Rows in use. */
  get used(): number {
    return this.#pool.used;
  }

  get capacity(): number {
    return this.#pool.capacity;
  }

  /** A row to write to. What stands in it is whatever was there before. */
  take(): number {
    const row = this.#pool.take();
    if (row >= 0) return row;
    this.#grow();
    return this.#pool.take();
  }

  release(row: number): void {
    this.#pool.release(row);
  }

  /** A second row with the same content. */
  copy(row: number): number {
    const to = this.take();
    for (const column of Object.values(this) as (Float64Array | Uint32Array)[]) column[to] = column[row] ?? 0;
    return to;
  }

  #grow(): void {
    const capacity = this.#pool.capacity * 2;
    this.#pool.grow(capacity);
    this.time = grown(Float64Array, this.time, capacity);
    this.hop = grown(Uint16Array, this.hop, capacity);
    this.tap = grown(Uint16Array, this.tap, capacity);
    this.record = grown(Uint32Array, this.record, capacity);
    this.length = grown(Uint32Array, this.length, capacity);
    this.kind = grown(Uint8Array, this.kind, capacity);
    this.marks = grown(Uint8Array, this.marks, capacity);
    this.family = grown(Uint8Array, this.family, capacity);
    this.protocol = grown(Uint8Array, this.protocol, capacity);
    this.source = grown(Uint32Array, this.source, capacity);
    this.destination = grown(Uint32Array, this.destination, capacity);
    this.sourcePort = grown(Uint16Array, this.sourcePort, capacity);
    this.destinationPort = grown(Uint16Array, this.destinationPort, capacity);
    this.ttl = grown(Uint8Array, this.ttl, capacity);
    this.trafficClass = grown(Uint8Array, this.trafficClass, capacity);
    this.identification = grown(Uint32Array, this.identification, capacity);
    this.fragmentOffset = grown(Uint16Array, this.fragmentOffset, capacity);
    this.payload = grown(Uint32Array, this.payload, capacity);
    this.sequence = grown(Uint32Array, this.sequence, capacity);
    this.acknowledgement = grown(Uint32Array, this.acknowledgement, capacity);
    this.flags = grown(Uint8Array, this.flags, capacity);
    this.window = grown(Uint16Array, this.window, capacity);
    this.mss = grown(Uint16Array, this.mss, capacity);
    this.digest = grown(Uint32Array, this.digest, capacity);
    this.fingerprint = grown(Uint32Array, this.fingerprint, capacity);
    this.sourceMac = grown(Float64Array, this.sourceMac, capacity);
    this.destinationMac = grown(Float64Array, this.destinationMac, capacity);
    this.innerSource = grown(Uint32Array, this.innerSource, capacity);
    this.innerDestination = grown(Uint32Array, this.innerDestination, capacity);
    this.innerProtocol = grown(Uint8Array, this.innerProtocol, capacity);
    this.innerIdentification = grown(Uint32Array, this.innerIdentification, capacity);
    this.innerSequence = grown(Uint32Array, this.innerSequence, capacity);
    this.entry = grown(Int32Array, this.entry, capacity);
  }
}
