/** One record as a tree of labelled fields with their bytes, for a person who looks at it. */
import { ipv4Text, ipv6Text } from "./address.js";
import { describeTransport, type Inside } from "./describe-transport.js";
import { type Field, FieldReader, hex, leaf } from "./field.js";
import { cookedAddress, linkHeader } from "./link-header.js";
import { EtherType, isExtension, LinkType, Protocol } from "./protocol.js";
import { capitalised, etherTypeNames, nameOf, protocolNames } from "./protocol-names.js";

export type { Field } from "./field.js";

/**
 * @param bytes of the record, as captured
 * @param linkType LINKTYPE_*
 * @returns layers in order, the outermost first; a layer that is cut off has a field `Cut off`
 */
export function describe(bytes: Uint8Array, linkType: number): Field[] {
  const r = new FieldReader(bytes);
  switch (linkType) {
    case LinkType.ethernet:
      ethernet(r, 0);
      break;
    case LinkType.linuxCooked2:
      cooked(r);
      break;
    case LinkType.raw:
    case LinkType.rawOld:
      network(r, (bytes[0] ?? 0) >> 4 === 6 ? EtherType.ipv6 : EtherType.ipv4, 0);
      break;
    default:
      foreign(r, linkType);
  }
  return r.layers;
}

/** Headers inside of ICMP errors and of tunnels are read too, and no deeper. */
const MAXIMUM_LAYERS = 12;

function ethernet(r: FieldReader, at: number): void {
  if (!r.has("Ethernet", at, 14)) return;
  const type = r.half(at + 12);
  r.layer("Ethernet", `${r.mac(at + 6)} > ${r.mac(at)}`, at, 14, [
    leaf("Destination", r.mac(at), at, 6),
    leaf("Source", r.mac(at + 6), at + 6, 6),
    leaf("Type", nameOf(etherTypeNames, type, hex(type, 4)), at + 12, 2),
  ]);
  network(r, type, at + 14);
}

/** PACKET_* of linux/if_packet.h. */
const ways = ["to us", "broadcast", "multicast", "to someone else", "sent by us"];

/** A link layer that no tap of ours has. */
function foreign(r: FieldReader, linkType: number): void {
  const header = linkHeader(
    linkType,
    new DataView(r.bytes.buffer, r.bytes.byteOffset, r.bytes.byteLength),
    0,
    r.bytes.length,
  );
  if (header === undefined) {
    r.payload(0, r.bytes.length, `link type ${linkType} is not decoded`);
    return;
  }
  const { label, type, length, cooked, family } = header;
  if (!r.has(label, 0, length)) return;
  if (cooked !== undefined) {
    const { packetType, device, addressLength } = cooked;
    r.layer(label, ways[packetType] ?? String(packetType), 0, length, [
      leaf("Packet type", ways[packetType] ?? String(packetType), 0, 2),
      leaf("Device type (ARPHRD)", String(device), 2, 2),
      ...(addressLength === 6 ? [leaf("Source", r.mac(cookedAddress), cookedAddress, 6)] : []),
      leaf("Type", nameOf(etherTypeNames, type, hex(type, 4)), 14, 2),
    ]);
  } else if (family !== undefined)
    r.layer(label, nameOf(etherTypeNames, type, `family ${family}`), 0, length, [
      leaf("Address family", String(family), 0, 4),
    ]);
  network(r, type, length);
}

/** LINKTYPE_LINUX_SLL2. */
function cooked(r: FieldReader): void {
  if (!r.has("Linux cooked capture v2", 0, 20)) return;
  const type = r.half(0);
  const kind = r.byte(10);
  r.layer("Linux cooked capture v2", `interface ${r.word(4)}, ${ways[kind] ?? String(kind)}`, 0, 20, [
    leaf("Type", nameOf(etherTypeNames, type, hex(type, 4)), 0, 2),
    leaf("Interface index", String(r.word(4)), 4, 4),
    leaf("Device type (ARPHRD)", String(r.half(8)), 8, 2),
    leaf("Packet type", ways[kind] ?? String(kind), 10, 1),
    leaf("Source", r.mac(12), 12, Math.min(8, r.byte(11))),
  ]);
  network(r, type, 20);
}

function network(r: FieldReader, type: number, at: number): void {
  if (r.layers.length > MAXIMUM_LAYERS) return;
  switch (type) {
    case EtherType.vlan:
    case EtherType.serviceVlan: {
      if (!r.has("VLAN", at, 4)) return;
      const tag = r.half(at);
      const next = r.half(at + 2);
      r.layer("VLAN", `id ${tag & 0xfff}`, at, 4, [
        leaf("Priority", String(tag >> 13), at, 1),
        leaf("Id", String(tag & 0xfff), at, 2),
        leaf("Type", nameOf(etherTypeNames, next, hex(next, 4)), at + 2, 2),
      ]);
      network(r, next, at + 4);
      return;
    }
    case EtherType.arp: {
      arp(r, at);
      return;
    }
    case EtherType.ipv4: {
      ipv4(r, at);
      return;
    }
    case EtherType.ipv6: {
      ipv6(r, at);
      return;
    }
    default:
      r.payload(at, r.bytes.length, "Payload");
  }
}

/** What may stand inside of a transport header: the packet that an ICMP error quotes, the frame of a tunnel. */
function insideOf(r: FieldReader): Inside {
  return {
    packet: (type, at) => network(r, type, at),
    frame: (at) => {
      if (r.layers.length <= MAXIMUM_LAYERS) ethernet(r, at);
    },
  };
}

function arp(r: FieldReader, at: number): void {
  if (!r.has("ARP", at, 28)) return;
  const operation = r.half(at + 6);
  const words = { 1: "request", 2: "reply" } as Readonly<Record<number, string>>;
  const sender = ipv4Text(r.word(at + 14));
  const target = ipv4Text(r.word(at + 24));
  const text = operation === 2 ? `${sender} is at ${r.mac(at + 8)}` : `who has ${target}? tell ${sender}`;
  r.layer("ARP", text, at, 28, [
    leaf("Operation", nameOf(words, operation, String(operation)), at + 6, 2),
    leaf("Sender hardware address", r.mac(at + 8), at + 8, 6),
    leaf("Sender address", sender, at + 14, 4),
    leaf("Target hardware address", r.mac(at + 18), at + 18, 6),
    leaf("Target address", target, at + 24, 4),
  ]);
}

function ipv4(r: FieldReader, at: number): void {
  if (!r.has("IPv4", at, 20)) return;
  const headerLength = Math.max(20, (r.byte(at) & 15) * 4);
  const total = r.half(at + 2);
  const fragment = r.half(at + 6);
  const offset = (fragment & 0x1fff) * 8;
  const protocol = r.byte(at + 9);
  const source = ipv4Text(r.word(at + 12));
  const destination = ipv4Text(r.word(at + 16));
  const flags = [fragment & 0x4000 ? "don't fragment" : "", fragment & 0x2000 ? "more fragments" : ""];
  r.layer("IPv4", `${source} > ${destination}`, at, headerLength, [
    leaf("Header length", `${headerLength} B`, at, 1),
    leaf("DSCP", String(r.byte(at + 1) >> 2), at + 1, 1),
    leaf("ECN", String(r.byte(at + 1) & 3), at + 1, 1),
    leaf("Total length", total === 0 ? "0 (larger than 65,535)" : `${total} B`, at + 2, 2),
    leaf("Identification", `${r.half(at + 4)} (${hex(r.half(at + 4), 4)})`, at + 4, 2),
    leaf("Flags", flags.filter(Boolean).join(", ") || "none", at + 6, 1),
    leaf("Fragment offset", `${offset} B`, at + 6, 2),
    leaf("Time to live", String(r.byte(at + 8)), at + 8, 1),
    leaf("Protocol", nameOf(protocolNames, protocol, String(protocol)), at + 9, 1),
    leaf("Header checksum", hex(r.half(at + 10), 4), at + 10, 2),
    leaf("Source", source, at + 12, 4),
    leaf("Destination", destination, at + 16, 4),
    ...(headerLength > 20 ? [leaf("Options", `${headerLength - 20} B`, at + 20, headerLength - 20)] : []),
  ]);
  const end = total === 0 ? r.bytes.length : at + total;
  if (offset > 0) {
    r.payload(at + headerLength, end, "Fragment");
    return;
  }
  describeTransport(r, protocol, at + headerLength, end, insideOf(r));
}

function ipv6(r: FieldReader, at: number): void {
  if (!r.has("IPv6", at, 40)) return;
  const first = r.word(at);
  const length = r.half(at + 4);
  let protocol = r.byte(at + 6);
  const source = ipv6Text(r.bytes, at + 8);
  const destination = ipv6Text(r.bytes, at + 24);
  r.layer("IPv6", `${source} > ${destination}`, at, 40, [
    leaf("Traffic class", hex((first >>> 20) & 255, 2), at, 2),
    leaf("Flow label", hex(first & 0xfffff, 5), at + 1, 3),
    leaf("Payload length", `${length} B`, at + 4, 2),
    leaf("Next header", nameOf(protocolNames, protocol, String(protocol)), at + 6, 1),
    leaf("Hop limit", String(r.byte(at + 7)), at + 7, 1),
    leaf("Source", source, at + 8, 16),
    leaf("Destination", destination, at + 24, 16),
  ]);
  const end = length === 0 ? r.bytes.length : at + 40 + length;
  let here = at + 40;
  for (let count = 0; count < 16 && isExtension(protocol); count++) {
    const name = nameOf(protocolNames, protocol, String(protocol));
    if (!r.has(name, here, 8)) return;
    const next = r.byte(here);
    const nextName = nameOf(protocolNames, next, String(next));
    if (protocol === Protocol.fragment) {
      const fragment = r.half(here + 2);
      r.layer("Fragment header", `offset ${fragment & 0xfff8} B`, here, 8, [
        leaf("Next header", nextName, here, 1),
        leaf("Offset", `${fragment & 0xfff8} B`, here + 2, 2),
        leaf("More fragments", fragment & 1 ? "yes" : "no", here + 3, 1),
        leaf("Identification", String(r.word(here + 4)), here + 4, 4),
      ]);
      here += 8;
      if ((fragment & 0xfff8) > 0) {
        r.payload(here, end, "Fragment");
        return;
      }
    } else {
      const size = protocol === 51 ? (r.byte(here + 1) + 2) * 4 : (r.byte(here + 1) + 1) * 8;
      r.layer(capitalised(name), nextName, here, Math.min(size, r.bytes.length - here), [
        leaf("Next header", nextName, here, 1),
        leaf("Length", `${size} B`, here + 1, 1),
      ]);
      here += size;
    }
    protocol = next;
  }
  describeTransport(r, protocol, here, end, insideOf(r));
}
