/** What the numbers in headers are called. */
import { EtherType } from "./protocol.js";

export const etherTypeNames: Readonly<Record<number, string>> = {
  [EtherType.ipv4]: "IPv4",
  [EtherType.arp]: "ARP",
  [EtherType.vlan]: "VLAN",
  [EtherType.ipv6]: "IPv6",
  [EtherType.serviceVlan]: "service VLAN",
  0x88cc: "LLDP",
};
export const protocolNames: Readonly<Record<number, string>> = {
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
export const tcpFlagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
export const icmpNames: Readonly<Record<number, string>> = {
  0: "echo reply",
  3: "destination unreachable",
  4: "source quench",
  5: "redirect",
  8: "echo request",
  11: "time exceeded",
  12: "parameter problem",
};
export const icmpv6Names: Readonly<Record<number, string>> = {
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
export const tcpOptionNames: Readonly<Record<number, string>> = {
  0: "end of options",
  1: "no operation",
  2: "maximum segment size",
  3: "window scale",
  4: "SACK permitted",
  5: "SACK",
  8: "timestamps",
};

export function nameOf(names: Readonly<Record<number, string>>, value: number, otherwise: string): string {
  return names[value] ?? otherwise;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
