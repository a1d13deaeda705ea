/** `--port`, `--host`, `--proto` as a question to one sighting. */
import type { TraceFilter } from "../model/trace.js";
import type { Snapshot } from "../model/snapshot.js";
import { parseAddress } from "../model/address.js";
import { publications, sameService } from "../path/tap-filter.js";
import type { AddressBook } from "../packet/address.js";
import { type Columns, Kind } from "../packet/columns.js";
import { Protocol } from "../packet/protocol.js";

export type SightingFilter = (row: number) => boolean;

const protocols: Readonly<Record<string, readonly number[]>> = {
  tcp: [Protocol.tcp],
  udp: [Protocol.udp],
  icmp: [Protocol.icmp],
  icmpv6: [Protocol.icmpv6],
  icmp6: [Protocol.icmpv6],
  sctp: [132],
  gre: [47],
  igmp: [2],
};

/**
 * A raw filter has chosen at the tap already. An ICMP error counts as what it is about. A port is a service: what is
 * addressed to a node whose rules lead another port to it belongs to it too, also where it died before they could; and so
 * does what goes where the rules lead the port, also where nobody saw it before they did (sent by the node itself).
 */
export function sightingFilter(
  filter: TraceFilter,
  columns: Columns,
  book: AddressBook,
  snapshot: Snapshot,
): SightingFilter {
  const ports = new Set(filter.ports);
  const published = new Set(sameService(filter.ports, snapshot).filter((port) => !ports.has(port)));
  const publishers = published.size === 0 ? new Set<string>() : translatingAddresses(snapshot, book);
  const targets = publishedTargets(filter.ports, snapshot, book);
  const hosts = filter.hosts.flatMap((host) => {
    const address = parseAddress(host);
    return address ? [{ family: address.family, number: book.numberOf(address.family, address.value) }] : [];
  });
  const wanted = filter.protocols.map((name) => name.toLowerCase());
  const numbers = new Set(wanted.flatMap((name) => protocols[name] ?? (/^\d+$/.test(name) ? [Number(name)] : [])));
  const arp = wanted.includes("arp");
  const ip = wanted.includes("ip");
  const ip6 = wanted.includes("ip6");
  const c = columns;
  return (row) => {
    const kind = c.kind[row];
    const family = c.family[row] ?? 0;
    const error = kind === Kind.icmpError;
    if (ports.size > 0) {
      // A fragment has no ports of its own: it shows with the flow of its first one, or not at all.
      if (kind === Kind.arp || kind === Kind.frame || kind === Kind.echo || kind === Kind.icmp) return false;
      const [from, to] = [c.sourcePort[row] ?? 0, c.destinationPort[row] ?? 0];
      const service =
        ports.has(from) ||
        ports.has(to) ||
        (published.has(to) && publishers.has(`${family} ${c.destination[row] ?? 0}`)) ||
        (published.has(from) && publishers.has(`${family} ${c.source[row] ?? 0}`)) ||
        (published.has(to) && targets.has(`${family} ${c.destination[row] ?? 0} ${to}`)) ||
        (published.has(from) && targets.has(`${family} ${c.source[row] ?? 0} ${from}`));
      if (!service) return false;
    }
    if (hosts.length > 0) {
      const known = hosts.some(
        (host) =>
          host.family === family &&
          (host.number === c.source[row] ||
            host.number === c.destination[row] ||
            (error && (host.number === c.innerSource[row] || host.number === c.innerDestination[row]))),
      );
      if (!known) return false;
    }
    if (wanted.length > 0) {
      const protocol = c.protocol[row] ?? 0;
      return (
        (kind === Kind.arp && arp) ||
        (family === 4 && kind !== Kind.arp && ip) ||
        (family === 6 && ip6) ||
        (family !== 0 && kind !== Kind.arp && numbers.has(protocol)) ||
        (error && numbers.has(c.innerProtocol[row] ?? 0))
      );
    }
    return true;
  };
}

/** Where rules lead one of the ports, as `FAMILY ADDRESS PORT`. */
function publishedTargets(ports: readonly number[], snapshot: Snapshot, book: AddressBook): Set<string> {
  const targets = new Set<string>();
  for (const { ports: from, port, address } of publications(snapshot)) {
    const parsed = address === undefined ? undefined : parseAddress(address);
    if (parsed === undefined || port === undefined || !ports.some((each) => from.includes(each))) continue;
    targets.add(`${parsed.family} ${book.numberOf(parsed.family, parsed.value)} ${port}`);
  }
  return targets;
}

/** Addresses of nodes that translate destinations, as `FAMILY NUMBER`. */
function translatingAddresses(snapshot: Snapshot, book: AddressBook): Set<string> {
  const translates = snapshot.nodes.filter((node) =>
    node.nftables.some((table) =>
      table.chains.some((chain) =>
        chain.rules.some((rule) => rule.statements.some(({ kind }) => kind === "dnat" || kind === "redirect")),
      ),
    ),
  );
  return new Set(
    translates.flatMap((node) =>
      node.interfaces.flatMap((each) =>
        each.addresses.flatMap(({ address }) => {
          const parsed = parseAddress(address);
          return parsed === undefined ? [] : [`${parsed.family} ${book.numberOf(parsed.family, parsed.value)}`];
        }),
      ),
    ),
  );
}
