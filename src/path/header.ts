import type { Tuple } from "../model/conntrack.js";
import { type Address, formatAddress, parseAddress, sameAddress } from "../model/address.js";

/** What routing, bridges and rules decide by. */
export interface Header {
  readonly family: 4 | 6;
  /** IP protocol number. */
  readonly protocol: number;
  readonly source: Address;
  readonly destination: Address;
  /** ICMP echo: the identifier, in both. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
  readonly tcpFlags?: number;
  readonly ttl?: number;
  readonly mark?: number;
  /** A port that is absent is one of these, as the sender's kernel chooses it. */
  readonly anyPort?: readonly [from: number, to: number];
  /** Of an ICMP error: the packet that it is about, as it was where the error was made. */
  readonly about?: Header;
}

/** The TTL of what a node makes itself. IPv6 goes by its interfaces, which no snapshot has: 64 unless somebody changed it. */
export function ownTtl({ sysctls }: { readonly sysctls: Readonly<Record<string, string>> }, family: 4 | 6): number {
  return family === 6 ? 64 : Number(sysctls["net.ipv4.ip_default_ttl"] ?? "64");
}

/** The header of an answer: ends changed over. */
export function mirror(header: Header): Header {
  const { sourcePort, destinationPort, ...rest } = header;
  return withPorts({ ...rest, source: header.destination, destination: header.source }, destinationPort, sourcePort);
}

/** `203.0.113.2 -> 203.0.113.1:8080`; a port that is not known is left out. */
export function endsText(header: Header): string {
  return `${sourceText(header)} -> ${destinationText(header)}`;
}

export function sourceText(header: Header): string {
  return endText(header.source, hasPorts(header) ? header.sourcePort : undefined);
}

export function destinationText(header: Header): string {
  return endText(header.destination, hasPorts(header) ? header.destinationPort : undefined);
}

/** ICMP and ICMPv6 have none: an echo's identifier stands in their place. */
export function hasPorts({ protocol }: Header): boolean {
  return protocol !== 1 && protocol !== 58;
}

function endText(address: Address, port: number | undefined): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

/** Whether a header is what a conntrack tuple describes. */
export function matchesTuple(header: Header, tuple: Tuple): boolean {
  const source = parseAddress(tuple.source);
  const destination = parseAddress(tuple.destination);
  return (
    header.protocol === tuple.protocol &&
    source !== undefined &&
    destination !== undefined &&
    sameAddress(header.source, source) &&
    sameAddress(header.destination, destination) &&
    (tuple.icmp === undefined
      ? header.sourcePort === tuple.sourcePort && header.destinationPort === tuple.destinationPort
      : header.sourcePort === tuple.icmp.id)
  );
}

/** The header of a packet that goes the other way of a tuple. */
export function mirrored(header: Header, tuple: Tuple): Header {
  const source = parseAddress(tuple.destination);
  const destination = parseAddress(tuple.source);
  if (source === undefined || destination === undefined) return header;
  return withPorts(
    { ...header, source, destination },
    tuple.icmp?.id ?? tuple.destinationPort,
    tuple.icmp?.id ?? tuple.sourcePort,
  );
}

export function withPorts(header: Header, source: number | undefined, destination: number | undefined): Header {
  return {
    ...header,
    ...(source === undefined ? {} : { sourcePort: source }),
    ...(destination === undefined ? {} : { destinationPort: destination }),
  };
}

export function destinationOf(header: Header): Partial<Header> {
  return {
    destination: header.destination,
    ...(header.destinationPort === undefined ? {} : { destinationPort: header.destinationPort }),
  };
}

export function sourceOf(header: Header): Partial<Header> {
  return {
    source: header.source,
    ...(header.sourcePort === undefined ? {} : { sourcePort: header.sourcePort }),
  };
}

export function sameEnds(a: Header, b: Header): boolean {
  return (
    a.source.value === b.source.value &&
    a.destination.value === b.destination.value &&
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort
  );
}
