/** A packet in a few words, from its columns. */
import { type AddressBook, ipv4Text } from "../packet/address.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { EtherType } from "../packet/protocol.js";
import { Texts } from "../packet/texts.js";

const etherTypes: Readonly<Record<number, string>> = {
  [EtherType.arp]: "arp",
  [EtherType.ipv4]: "ipv4",
  [EtherType.ipv6]: "ipv6",
  0x88cc: "lldp",
};

/** `tcp`, `udp`, `icmp`, `icmpv6`, `arp`, `ip-47`, `eth-88b5`. */
export function protocolName(c: Columns, row: number): string {
  switch (c.kind[row]) {
    case Kind.arp:
      return "arp";
    case Kind.frame: {
      const type = c.window[row] ?? 0;
      return type < 0x600 ? "llc" : (etherTypes[type] ?? `eth-${type.toString(16).padStart(4, "0")}`);
    }
    default:
      return protocolText(c.protocol[row] ?? 0);
  }
}

const protocols: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

export function protocolText(protocol: number): string {
  return protocols[protocol] ?? `ip-${protocol}`;
}

export function summarize(c: Columns, row: number, book: AddressBook): string {
  switch (c.kind[row]) {
    case Kind.tcp:
      return flagsText(c.flags[row] ?? 0) + ((c.payload[row] ?? 0) === 0 ? "" : ` ${c.payload[row]} B`);
    case Kind.udp:
      return (c.marks[row] ?? 0) & Mark.firstFragment ? `${c.payload[row]} B, first fragment` : `${c.payload[row]} B`;
    case Kind.echo: {
      const type = (c.sequence[row] ?? 0) >>> 24;
      const word = type === 8 || type === 128 ? "request" : "reply";
      return `echo ${word} ${(c.sequence[row] ?? 0) & 0xffff}`;
    }
    case Kind.icmpError:
      return errorText(c, row);
    case Kind.icmp:
      return icmpText(c.family[row] ?? 0, (c.sequence[row] ?? 0) >>> 24);
    case Kind.fragment:
      return `fragment at ${c.fragmentOffset[row]}, ${c.payload[row]} B`;
    case Kind.arp: {
      const source = ipv4Text(c.source[row] ?? 0);
      if (c.flags[row] === 2) return `${source} is-at`;
      if (c.flags[row] !== 1) return `operation ${c.flags[row]}`;
      return source === book.text(4, c.destination[row] ?? 0)
        ? `announces ${source}`
        : `who-has ${ipv4Text(c.destination[row] ?? 0)}`;
    }
    default:
      return `${c.payload[row]} B`;
  }
}

/** `SYN`, `PSH ACK`; `none` for a segment without flags. */
export function flagsText(flags: number): string {
  return flagTexts.of(flags);
}

const flagTexts = new Texts((flags) => {
  const names: string[] = [];
  if (flags & Tcp.syn) names.push("SYN");
  if (flags & Tcp.fin) names.push("FIN");
  if (flags & Tcp.rst) names.push("RST");
  if (flags & Tcp.psh) names.push("PSH");
  if (flags & Tcp.ack) names.push("ACK");
  if (flags & Tcp.urg) names.push("URG");
  return names.length === 0 ? "none" : names.join(" ");
});

const unreachable = ["network unreachable", "host unreachable", "protocol unreachable", "port unreachable"];
const unreachableV6 = ["no route", "prohibited", "beyond scope", "address unreachable", "port unreachable"];

/** `port unreachable`, `fragmentation needed (mtu 1400)`, `time exceeded`: what an ICMP error says. */
export function errorText(c: Columns, row: number): string {
  const type = (c.sequence[row] ?? 0) >>> 24;
  const code = ((c.sequence[row] ?? 0) >>> 16) & 255;
  const mtu = c.window[row] ?? 0;
  if (c.family[row] === 6) {
    if (type === 1) return unreachableV6[code] ?? `unreachable, code ${code}`;
    if (type === 2) return `packet too big (mtu ${mtu})`;
    if (type === 3) return "time exceeded";
    return type === 4 ? "parameter problem" : `error ${type}, code ${code}`;
  }
  if (type === 3) {
    if (code === 4) return `fragmentation needed (mtu ${mtu})`;
    if (code === 9 || code === 10 || code === 13) return "administratively prohibited";
    return unreachable[code] ?? `unreachable, code ${code}`;
  }
  if (type === 11) return "time exceeded";
  return type === 12 ? "parameter problem" : `error ${type}, code ${code}`;
}

function icmpText(family: number, type: number): string {
  if (family === 6) {
    const names: Readonly<Record<number, string>> = {
      130: "multicast listener query",
      131: "multicast listener report",
      132: "multicast listener done",
      133: "router solicitation",
      134: "router advertisement",
      135: "neighbour solicitation",
      136: "neighbour advertisement",
      137: "redirect",
      143: "multicast listener report",
    };
    return names[type] ?? `type ${type}`;
  }
  return (
    { 5: "redirect", 9: "router advertisement", 13: "timestamp request", 14: "timestamp reply" }[type] ?? `type ${type}`
  );
}
