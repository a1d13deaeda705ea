/** One record as a tree of labelled fields with their bytes, for a person who looks at it. */
import { formatMac } from "../model/address.js";
import { half, ipv4Text, ipv6Text, word } from "./address.js";
import { EtherType, LinkType, Protocol } from "./protocol.js";

export interface Field {
  /** `Ethernet`, `Time to live`, … */
  readonly label: string;
  /** As it is read: `203.0.113.1`, `SYN, ACK`; of a layer, what it says in one line. */
  readonly value: string;
  /** Byte range in the record. */
  readonly offset: number;
  readonly length: number;
  readonly fields: readonly Field[];
}

/**
 * @param bytes of the record, as captured
 * @param linkType LINKTYPE_*
 * @returns layers in order, the outermost first; a layer that is cut off has a field `Cut off`
 */
export function describe(bytes: Uint8Array, linkType: number): Field[] {
  const layers: Field[] = [];
  const reading = new Reading(bytes, layers);
  switch (linkType) {
    case LinkType.ethernet:
      reading.ethernet();
      break;
    case LinkType.linuxCooked2:
      reading.cooked();
      break;
    case LinkType.raw:
    case LinkType.rawOld:
      reading.network((bytes[0] ?? 0) >> 4 === 6 ? EtherType.ipv6 : EtherType.ipv4, 0);
      break;
    default:
      reading.payload(0, bytes.length, `link type ${linkType} is not decoded`);
  }
  return layers;
}

const etherTypeNames: Readonly<Record<number, string>> = {
  [EtherType.ipv4]: "IPv4",
  [EtherType.arp]: "ARP",
  [EtherType.vlan]: "VLAN",
  [EtherType.ipv6]: "IPv6",
  [EtherType.serviceVlan]: "service VLAN",
  0x88cc: "LLDP",
};
const protocolNames: Readonly<Record<number, string>> = {
  0: "hop-by-hop options",
  1: "ICMP",
  2: "IGMP",
  6: "TCP",
  17: "UDP",
  43: "routing header",
  44: "fragment header",
  47: "GRE",
  51: "authentication header",
  58: "ICMPv6",
  60: "destination options",
  132: "SCTP",
  135: "mobility header",
};
const tcpFlagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
const icmpNames: Readonly<Record<number, string>> = {
  0: "echo reply",
  3: "destination unreachable",
  4: "source quench",
  5: "redirect",
  8: "echo request",
  11: "time exceeded",
  12: "parameter problem",
};
const icmpv6Names: Readonly<Record<number, string>> = {
  1: "destination unreachable",
  2: "packet too big",
  3: "time exceeded",
  4: "parameter problem",
  128: "echo request",
  129: "echo reply",
  133: "router solicitation",
  134: "router advertisement",
  135: "neighbour solicitation",
  136: "neighbour advertisement",
  137: "redirect",
  143: "multicast listener report",
};
const tcpOptionNames: Readonly<Record<number, string>> = {
  0: "end of options",
  1: "no operation",
  2: "maximum segment size",
  3: "window scale",
  4: "SACK permitted",
  5: "SACK",
  8: "timestamps",
};

/** Headers inside of ICMP errors are read too, and no deeper. */
const MAXIMUM_LAYERS = 12;

class Reading {
  readonly #bytes: Uint8Array;
  readonly #layers: Field[];

  constructor(bytes: Uint8Array, layers: Field[]) {
    this.#bytes = bytes;
    this.#layers = layers;
  }

  ethernet(): void {
    if (!this.#has("Ethernet", 0, 14)) return;
    const type = this.#half(12);
    this.#layer("Ethernet", `${this.#mac(6)} > ${this.#mac(0)}`, 0, 14, [
      leaf("Destination", this.#mac(0), 0, 6),
      leaf("Source", this.#mac(6), 6, 6),
      leaf("Type", nameOf(etherTypeNames, type, hex(type, 4)), 12, 2),
    ]);
    this.network(type, 14);
  }

  /** LINKTYPE_LINUX_SLL2. */
  cooked(): void {
    if (!this.#has("Linux cooked capture v2", 0, 20)) return;
    const type = this.#half(0);
    const kind = this.#byte(10);
    const ways = ["to us", "broadcast", "multicast", "to someone else", "sent by us"];
    this.#layer("Linux cooked capture v2", `interface ${word(this.#bytes, 4)}, ${ways[kind] ?? String(kind)}`, 0, 20, [
      leaf("Type", nameOf(etherTypeNames, type, hex(type, 4)), 0, 2),
      leaf("Interface index", String(word(this.#bytes, 4)), 4, 4),
      leaf("Device type (ARPHRD)", String(this.#half(8)), 8, 2),
      leaf("Packet type", ways[kind] ?? String(kind), 10, 1),
      leaf("Source", this.#mac(12), 12, Math.min(8, this.#byte(11))),
    ]);
    this.network(type, 20);
  }

  network(type: number, at: number): void {
    if (this.#layers.length > MAXIMUM_LAYERS) return;
    switch (type) {
      case EtherType.vlan:
      case EtherType.serviceVlan: {
        if (!this.#has("VLAN", at, 4)) return;
        const tag = this.#half(at);
        const next = this.#half(at + 2);
        this.#layer("VLAN", `id ${tag & 0xfff}`, at, 4, [
          leaf("Priority", String(tag >> 13), at, 1),
          leaf("Id", String(tag & 0xfff), at, 2),
          leaf("Type", nameOf(etherTypeNames, next, hex(next, 4)), at + 2, 2),
        ]);
        this.network(next, at + 4);
        return;
      }
      case EtherType.arp: {
        this.#arp(at);
        return;
      }
      case EtherType.ipv4: {
        this.#ipv4(at);
        return;
      }
      case EtherType.ipv6: {
        this.#ipv6(at);
        return;
      }
      default:
        this.payload(at, this.#bytes.length, "Payload");
    }
  }

  payload(at: number, end: number, label = "Payload"): void {
    const length = Math.max(0, Math.min(end, this.#bytes.length) - at);
    if (length > 0) this.#layer(label, `${length} B`, at, length, []);
  }

  #arp(at: number): void {
    if (!this.#has("ARP", at, 28)) return;
    const operation = this.#half(at + 6);
    const words = { 1: "request", 2: "reply" } as Readonly<Record<number, string>>;
    const sender = ipv4Text(word(this.#bytes, at + 14));
    const target = ipv4Text(word(this.#bytes, at + 24));
    const text = operation === 2 ? `${sender} is at ${this.#mac(at + 8)}` : `who has ${target}? tell ${sender}`;
    this.#layer("ARP", text, at, 28, [
      leaf("Operation", nameOf(words, operation, String(operation)), at + 6, 2),
      leaf("Sender hardware address", this.#mac(at + 8), at + 8, 6),
      leaf("Sender address", sender, at + 14, 4),
      leaf("Target hardware address", this.#mac(at + 18), at + 18, 6),
      leaf("Target address", target, at + 24, 4),
    ]);
  }

  #ipv4(at: number): void {
    if (!this.#has("IPv4", at, 20)) return;
    const headerLength = Math.max(20, (this.#byte(at) & 15) * 4);
    const total = this.#half(at + 2);
    const fragment = this.#half(at + 6);
    const offset = (fragment & 0x1fff) * 8;
    const protocol = this.#byte(at + 9);
    const source = ipv4Text(word(this.#bytes, at + 12));
    const destination = ipv4Text(word(this.#bytes, at + 16));
    const flags = [fragment & 0x4000 ? "don't fragment" : "", fragment & 0x2000 ? "more fragments" : ""];
    this.#layer("IPv4", `${source} > ${destination}`, at, headerLength, [
      leaf("Header length", `${headerLength} B`, at, 1),
      leaf("DSCP", String(this.#byte(at + 1) >> 2), at + 1, 1),
      leaf("ECN", String(this.#byte(at + 1) & 3), at + 1, 1),
      leaf("Total length", total === 0 ? "0 (larger than 65,535)" : `${total} B`, at + 2, 2),
      leaf("Identification", `${this.#half(at + 4)} (${hex(this.#half(at + 4), 4)})`, at + 4, 2),
      leaf("Flags", flags.filter(Boolean).join(", ") || "none", at + 6, 1),
      leaf("Fragment offset", `${offset} B`, at + 6, 2),
      leaf("Time to live", String(this.#byte(at + 8)), at + 8, 1),
      leaf("Protocol", nameOf(protocolNames, protocol, String(protocol)), at + 9, 1),
      leaf("Header checksum", hex(this.#half(at + 10), 4), at + 10, 2),
      leaf("Source", source, at + 12, 4),
      leaf("Destination", destination, at + 16, 4),
      ...(headerLength > 20 ? [leaf("Options", `${headerLength - 20} B`, at + 20, headerLength - 20)] : []),
    ]);
    const end = total === 0 ? this.#bytes.length : at + total;
    if (offset > 0) {
      this.payload(at + headerLength, end, "Fragment");
      return;
    }
    this.#transport(protocol, at + headerLength, end);
  }

  #ipv6(at: number): void {
    if (!this.#has("IPv6", at, 40)) return;
    const first = word(this.#bytes, at);
    const length = this.#half(at + 4);
    let protocol = this.#byte(at + 6);
    const source = ipv6Text(this.#bytes, at + 8);
    const destination = ipv6Text(this.#bytes, at + 24);
    this.#layer("IPv6", `${source} > ${destination}`, at, 40, [
      leaf("Traffic class", hex((first >>> 20) & 255, 2), at, 2),
      leaf("Flow label", hex(first & 0xfffff, 5), at + 1, 3),
      leaf("Payload length", `${length} B`, at + 4, 2),
      leaf("Next header", nameOf(protocolNames, protocol, String(protocol)), at + 6, 1),
      leaf("Hop limit", String(this.#byte(at + 7)), at + 7, 1),
      leaf("Source", source, at + 8, 16),
      leaf("Destination", destination, at + 24, 16),
    ]);
    const end = length === 0 ? this.#bytes.length : at + 40 + length;
    let here = at + 40;
    for (let count = 0; count < 16 && [0, 43, 44, 51, 60, 135].includes(protocol); count++) {
      const name = nameOf(protocolNames, protocol, String(protocol));
      if (!this.#has(name, here, 8)) return;
      const next = this.#byte(here);
      const nextName = nameOf(protocolNames, next, String(next));
      if (protocol === Protocol.fragment) {
        const fragment = this.#half(here + 2);
        this.#layer("Fragment header", `offset ${fragment & 0xfff8} B`, here, 8, [
          leaf("Next header", nextName, here, 1),
          leaf("Offset", `${fragment & 0xfff8} B`, here + 2, 2),
          leaf("More fragments", fragment & 1 ? "yes" : "no", here + 3, 1),
          leaf("Identification", String(word(this.#bytes, here + 4)), here + 4, 4),
        ]);
        here += 8;
        if ((fragment & 0xfff8) > 0) {
          this.payload(here, end, "Fragment");
          return;
        }
      } else {
        const size = protocol === 51 ? (this.#byte(here + 1) + 2) * 4 : (this.#byte(here + 1) + 1) * 8;
        this.#layer(capitalised(name), nextName, here, Math.min(size, this.#bytes.length - here), [
          leaf("Next header", nextName, here, 1),
          leaf("Length", `${size} B`, here + 1, 1),
        ]);
        here += size;
      }
      protocol = next;
    }
    this.#transport(protocol, here, end);
  }

  #transport(protocol: number, at: number, end: number): void {
    switch (protocol) {
      case Protocol.tcp: {
        this.#tcp(at, end);
        return;
      }
      case Protocol.udp: {
        if (!this.#has("UDP", at, 8)) return;
        const [source, destination] = [this.#half(at), this.#half(at + 2)];
        this.#layer("UDP", `${source} > ${destination}`, at, 8, [
          leaf("Source port", String(source), at, 2),
          leaf("Destination port", String(destination), at + 2, 2),
          leaf("Length", `${this.#half(at + 4)} B`, at + 4, 2),
          leaf("Checksum", hex(this.#half(at + 6), 4), at + 6, 2),
        ]);
        this.payload(at + 8, end);
        return;
      }
      case Protocol.icmp:
      case Protocol.icmpv6: {
        this.#icmp(protocol === Protocol.icmpv6, at, end);
        return;
      }
      default:
        this.payload(at, end, nameOf(protocolNames, protocol, `IP protocol ${protocol}`));
    }
  }

  #tcp(at: number, end: number): void {
    if (!this.#has("TCP", at, 20)) return;
    const headerLength = Math.max(20, (this.#byte(at + 12) >> 4) * 4);
    const flags = this.#byte(at + 13);
    const names = tcpFlagNames.filter((_, bit) => flags & (1 << bit));
    const [source, destination] = [this.#half(at), this.#half(at + 2)];
    this.#layer("TCP", `${source} > ${destination} ${names.join(", ")}`, at, headerLength, [
      leaf("Source port", String(source), at, 2),
      leaf("Destination port", String(destination), at + 2, 2),
      leaf("Sequence number", String(word(this.#bytes, at + 4)), at + 4, 4),
      leaf("Acknowledgement number", String(word(this.#bytes, at + 8)), at + 8, 4),
      leaf("Header length", `${headerLength} B`, at + 12, 1),
      leaf("Flags", names.join(", ") || "none", at + 13, 1),
      leaf("Window", String(this.#half(at + 14)), at + 14, 2),
      leaf("Checksum", hex(this.#half(at + 16), 4), at + 16, 2),
      leaf("Urgent pointer", String(this.#half(at + 18)), at + 18, 2),
      ...this.#tcpOptions(at + 20, Math.min(at + headerLength, this.#bytes.length)),
    ]);
    this.payload(at + headerLength, end);
  }

  #tcpOptions(from: number, end: number): Field[] {
    const options: Field[] = [];
    for (let at = from; at < end;) {
      const kind = this.#byte(at);
      const length = kind <= 1 ? 1 : at + 1 < end ? this.#byte(at + 1) : 0;
      if (length < 1 || (kind > 1 && length < 2) || at + length > end) break;
      let value = length <= 2 ? "" : `${length - 2} B`;
      if (kind === 2 && length === 4) value = String(this.#half(at + 2));
      if (kind === 3 && length === 3) value = `× ${2 ** Math.min(14, this.#byte(at + 2))}`;
      if (kind === 8 && length === 10) {
        value = `value ${word(this.#bytes, at + 2)}, echo reply ${word(this.#bytes, at + 6)}`;
      }
      options.push(leaf(capitalised(nameOf(tcpOptionNames, kind, `option ${kind}`)), value, at, length));
      if (kind === 0) break;
      at += length;
    }
    const length = end - from;
    return options.length === 0
      ? []
      : [{ label: "Options", value: `${length} B`, offset: from, length, fields: options }];
  }

  #icmp(v6: boolean, at: number, end: number): void {
    const label = v6 ? "ICMPv6" : "ICMP";
    if (!this.#has(label, at, 8)) return;
    const [type, code] = [this.#byte(at), this.#byte(at + 1)];
    const name = nameOf(v6 ? icmpv6Names : icmpNames, type, `type ${type}`);
    const echo = v6 ? type === 128 || type === 129 : type === 0 || type === 8;
    const error = v6 ? type < 128 : type === 3 || type === 4 || type === 11 || type === 12;
    const neighbour = v6 && (type === 135 || type === 136) && this.#bytes.length >= at + 24;
    this.#layer(label, name, at, neighbour ? 24 : 8, [
      leaf("Type", `${type} (${name})`, at, 1),
      leaf("Code", String(code), at + 1, 1),
      leaf("Checksum", hex(this.#half(at + 2), 4), at + 2, 2),
      ...(echo
        ? [
            leaf("Identifier", String(this.#half(at + 4)), at + 4, 2),
            leaf("Sequence number", String(this.#half(at + 6)), at + 6, 2),
          ]
        : []),
      ...(error && ((v6 && type === 2) || (!v6 && type === 3 && code === 4))
        ? [leaf("MTU", String(word(this.#bytes, at + 4) & (v6 ? 0xffffffff : 0xffff)), at + 4, 4)]
        : []),
      ...(neighbour ? [leaf("Target", ipv6Text(this.#bytes, at + 8), at + 8, 16)] : []),
    ]);
    if (error) {
      this.network(v6 ? EtherType.ipv6 : EtherType.ipv4, at + 8);
      return;
    }
    this.payload(at + (neighbour ? 24 : 8), end);
  }

  /** Notes a header that is not whole. */
  #has(label: string, at: number, length: number): boolean {
    const there = this.#bytes.length - at;
    if (there >= length) return true;
    if (there > 0) {
      this.#layer(label, "cut off", at, there, [leaf("Cut off", `${there} of ${length} B captured`, at, there)]);
    }
    return false;
  }

  #layer(label: string, value: string, offset: number, length: number, fields: readonly Field[]): void {
    const whole = { label, value, offset, length, fields };
    this.#layers.push(clamped(whole, this.#bytes.length));
  }

  #byte(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  #half(at: number): number {
    return half(this.#bytes, at);
  }

  #mac(at: number): string {
    return formatMac(this.#bytes.subarray(at, at + 6));
  }
}

/** A field without the bytes that were not captured. */
function clamped(field: Field, end: number): Field {
  return {
    ...field,
    length: Math.max(0, Math.min(field.length, end - field.offset)),
    fields: field.fields.filter((one) => one.offset <= end).map((one) => clamped(one, end)),
  };
}

function leaf(label: string, value: string, offset: number, length: number): Field {
  return { label, value, offset, length, fields: [] };
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

function nameOf(names: Readonly<Record<number, string>>, value: number, otherwise: string): string {
  return names[value] ?? otherwise;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
