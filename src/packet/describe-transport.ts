/** Fields of what an IP packet carries. */
import { ipv6Text } from "./address.js";
import { describeVxlan, isVxlan } from "./describe-vxlan.js";
import { type Field, type FieldReader, hex, leaf } from "./field.js";
import { EtherType, Protocol } from "./protocol.js";
import {
  capitalised,
  icmpNames,
  icmpv6Names,
  nameOf,
  protocolNames,
  tcpFlagNames,
  tcpOptionNames,
} from "./protocol-names.js";

/** Describes what stands inside. */
export interface Inside {
  /** A packet of layer 3: the one that an ICMP error quotes. */
  packet(type: number, at: number): void;
  /** An Ethernet frame: that of a tunnel. */
  frame(at: number): void;
}

export function describeTransport(r: FieldReader, protocol: number, at: number, end: number, inside: Inside): void {
  switch (protocol) {
    case Protocol.tcp:
      tcp(r, at, end);
      return;
    case Protocol.udp:
      udp(r, at, end, inside);
      return;
    case Protocol.icmp:
    case Protocol.icmpv6:
      icmp(r, protocol === Protocol.icmpv6, at, end, inside);
      return;
    default:
      r.payload(at, end, nameOf(protocolNames, protocol, `IP protocol ${protocol}`));
  }
}

function udp(r: FieldReader, at: number, end: number, inside: Inside): void {
  if (!r.has("UDP", at, 8)) return;
  const [source, destination] = [r.half(at), r.half(at + 2)];
  r.layer("UDP", `${source} > ${destination}`, at, 8, [
    leaf("Source port", String(source), at, 2),
    leaf("Destination port", String(destination), at + 2, 2),
    leaf("Length", `${r.half(at + 4)} B`, at + 4, 2),
    leaf("Checksum", hex(r.half(at + 6), 4), at + 6, 2),
  ]);
  if (isVxlan(r, destination, at + 8)) describeVxlan(r, at + 8, (frame) => inside.frame(frame));
  else r.payload(at + 8, end);
}

function tcp(r: FieldReader, at: number, end: number): void {
  if (!r.has("TCP", at, 20)) return;
  const headerLength = Math.max(20, (r.byte(at + 12) >> 4) * 4);
  const flags = r.byte(at + 13);
  const names = tcpFlagNames.filter((_, bit) => flags & (1 << bit));
  const [source, destination] = [r.half(at), r.half(at + 2)];
  r.layer("TCP", `${source} > ${destination} ${names.join(", ")}`, at, headerLength, [
    leaf("Source port", String(source), at, 2),
    leaf("Destination port", String(destination), at + 2, 2),
    leaf("Sequence number", String(r.word(at + 4)), at + 4, 4),
    leaf("Acknowledgement number", String(r.word(at + 8)), at + 8, 4),
    leaf("Header length", `${headerLength} B`, at + 12, 1),
    leaf("Flags", names.join(", ") || "none", at + 13, 1),
    leaf("Window", String(r.half(at + 14)), at + 14, 2),
    leaf("Checksum", hex(r.half(at + 16), 4), at + 16, 2),
    leaf("Urgent pointer", String(r.half(at + 18)), at + 18, 2),
    ...tcpOptions(r, at + 20, Math.min(at + headerLength, r.bytes.length)),
  ]);
  r.payload(at + headerLength, end);
}

function tcpOptions(r: FieldReader, from: number, end: number): Field[] {
  const options: Field[] = [];
  for (let at = from; at < end;) {
    const kind = r.byte(at);
    const length = kind <= 1 ? 1 : at + 1 < end ? r.byte(at + 1) : 0;
    if (length < 1 || (kind > 1 && length < 2) || at + length > end) break;
    let value = length <= 2 ? "" : `${length - 2} B`;
    if (kind === 2 && length === 4) value = String(r.half(at + 2));
    if (kind === 3 && length === 3) value = `× ${2 ** Math.min(14, r.byte(at + 2))}`;
    if (kind === 8 && length === 10) {
      value = `value ${r.word(at + 2)}, echo reply ${r.word(at + 6)}`;
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

function icmp(r: FieldReader, v6: boolean, at: number, end: number, inside: Inside): void {
  const label = v6 ? "ICMPv6" : "ICMP";
  if (!r.has(label, at, 8)) return;
  const [type, code] = [r.byte(at), r.byte(at + 1)];
  const name = nameOf(v6 ? icmpv6Names : icmpNames, type, `type ${type}`);
  const echo = v6 ? type === 128 || type === 129 : type === 0 || type === 8;
  const error = v6 ? type < 128 : type === 3 || type === 4 || type === 11 || type === 12;
  const neighbour = v6 && (type === 135 || type === 136) && r.bytes.length >= at + 24;
  r.layer(label, name, at, neighbour ? 24 : 8, [
    leaf("Type", `${type} (${name})`, at, 1),
    leaf("Code", String(code), at + 1, 1),
    leaf("Checksum", hex(r.half(at + 2), 4), at + 2, 2),
    ...(echo
      ? [
          leaf("Identifier", String(r.half(at + 4)), at + 4, 2),
          leaf("Sequence number", String(r.half(at + 6)), at + 6, 2),
        ]
      : []),
    ...(error && ((v6 && type === 2) || (!v6 && type === 3 && code === 4))
      ? [leaf("MTU", String(r.word(at + 4) & (v6 ? 0xffffffff : 0xffff)), at + 4, 4)]
      : []),
    ...(neighbour ? [leaf("Target", ipv6Text(r.bytes, at + 8), at + 8, 16)] : []),
  ]);
  if (error) {
    inside.packet(v6 ? EtherType.ipv6 : EtherType.ipv4, at + 8);
    return;
  }
  r.payload(at + (neighbour ? 24 : 8), end);
}
