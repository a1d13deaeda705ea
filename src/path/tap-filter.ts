/**
 * The pcap filter (pcap-filter(7)) of each tap: a superset of what `--port`, `--host`, `--proto` ask for, on whichever
 * side of NAT the tap sits. The exact choice is made later, when all sightings of a packet are known.
 */
import { Failure } from "../model/failure.js";
import type { NftRule } from "../model/nft.js";
import type { NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { didYouMean } from "../model/spelling.js";
import type { TraceFilter } from "../model/trace.js";

/** Errors of ICMP and ICMPv6: they tell why a packet that matches did not arrive. */
const ERRORS =
  "(icmp and (icmp[0] == 3 or icmp[0] == 4 or icmp[0] == 11 or icmp[0] == 12)) or (icmp6 and ip6[40] < 128)";
/** Fragments that are not first ones have no ports. IPv6: any packet with a fragment header. */
const FRAGMENTS = "(ip[6:2] & 0x1fff != 0) or (ip6[6] == 44)";

const named: Readonly<Record<string, string>> = {
  tcp: "tcp",
  udp: "udp",
  icmp: "icmp",
  icmp6: "icmp6",
  icmpv6: "icmp6",
  sctp: "sctp",
  arp: "arp",
  ip: "ip",
  ip6: "ip6",
  igmp: "igmp",
  gre: "(ip proto 47 or ip6 proto 47)",
};

/** @throws Failure (usage) for a protocol that no packet can be asked for */
export function checkProtocols({ protocols }: TraceFilter): void {
  for (const name of protocols) {
    if (Object.hasOwn(named, name) || (/^\d{1,3}$/.test(name) && Number(name) < 256)) continue;
    const names = Object.keys(named);
    throw new Failure("usage", `'${name}' is no protocol that can be asked for`, {
      hint: didYouMean(name, names) ?? `one of ${names.join(", ")}, or a number of IP's`,
    });
  }
}

/**
 * @returns filter text, the same for every tap; empty where everything is wanted. A raw filter comes back as it is.
 * Addresses and ports of every side of every NAT are wanted at each of them, because one NAT may stand before another.
 */
export function tapFilter(filter: TraceFilter, snapshot: Snapshot): string {
  if (filter.raw !== undefined && filter.raw.trim() !== "") return filter.raw;
  const protocols = filter.protocols.map((name) => name.toLowerCase());
  const choices: string[] = [];
  const ports = sameService(filter.ports, snapshot);
  const hosts = filter.hosts.length === 0 ? [] : sameHosts(filter.hosts, snapshot);
  const withoutArp = protocols.filter((name) => name !== "arp");
  if (withoutArp.length > 0) choices.push(any(withoutArp.map(protocolFilter)));
  if (ports.length > 0) choices.push(any(ports.map((port) => `port ${port}`)));
  if (hosts.length > 0) choices.push(any(hosts));
  if (choices.length === 0 && protocols.length === 0) return "";
  const parts: string[] = [];
  if (choices.length > 0) parts.push(choices.join(" and "), ERRORS, FRAGMENTS);
  if (protocols.includes("arp")) parts.push("arp");
  return parts.map((part) => `(${part})`).join(" or ");
}

function any(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] ?? "") : `(${parts.join(" or ")})`;
}

function protocolFilter(name: string): string {
  return named[name] ?? (/^\d+$/.test(name) ? `(ip proto ${name} or ip6 proto ${name})` : name);
}

/** Ports that NAT gives to, or takes from, one of `ports`: closed over chains of NAT. */
export function sameService(ports: readonly number[], snapshot: Snapshot): number[] {
  const pairs: (readonly [number, number])[] = [];
  for (const node of snapshot.nodes) {
    for (const rule of rulesOf(node)) {
      const to = translationOf(rule)?.port;
      if (to === undefined) continue;
      for (const from of portsMatched(rule)) pairs.push([from, to]);
    }
    for (const { original, reply } of node.conntrack) {
      if (original.destinationPort !== undefined && reply.sourcePort !== undefined) {
        pairs.push([original.destinationPort, reply.sourcePort]);
      }
      if (original.sourcePort !== undefined && reply.destinationPort !== undefined) {
        pairs.push([original.sourcePort, reply.destinationPort]);
      }
    }
  }
  return closure(ports, pairs).sort((a, b) => a - b);
}

/** A rule that leads ports somewhere else. */
export interface Publication {
  /** Ports that it asks for; none for any. */
  readonly ports: readonly number[];
  /** Where it leads; absent: the port of the packet, an address of the node. */
  readonly port?: number;
  readonly address?: string;
}

/** What the rules of all nodes publish, whether or not anybody listens there. */
export function publications(snapshot: Snapshot): Publication[] {
  return snapshot.nodes.flatMap(rulesOf).flatMap((rule) => {
    const to = translationOf(rule);
    if (to?.kind !== "destination") return [];
    const { port, address } = to;
    return [
      {
        ports: portsMatched(rule),
        ...(port === undefined ? {} : { port }),
        ...(address === undefined ? {} : { address }),
      },
    ];
  });
}

/** `host …` and `net …` of everything that NAT makes of `hosts`; empty where that may be any address. */
function sameHosts(hosts: readonly string[], snapshot: Snapshot): string[] {
  const pairs: (readonly [string, string])[] = [];
  for (const node of snapshot.nodes) {
    const own = node.interfaces.flatMap((one) =>
      one.addresses.filter((address) => address.scope === "global").map((address) => address.address),
    );
    for (const rule of rulesOf(node)) {
      const translation = translationOf(rule);
      if (!translation) continue;
      const outside = translation.address === undefined ? own : [translation.address];
      const matched = addressesMatched(rule, translation.kind === "destination" ? "daddr" : "saddr");
      if (translation.kind === "source") {
        if (matched.length === 0) {
          // Anyone may hide behind this address: nothing can be left out where it is asked for, or hides itself.
          return [];
        }
        for (const from of matched) for (const to of outside) pairs.push([from, to]);
      } else {
        const before = matched.length > 0 ? matched : own;
        if (translation.address !== undefined) for (const from of before) pairs.push([from, translation.address]);
      }
    }
    for (const { original, reply } of node.conntrack) {
      pairs.push([original.source, reply.destination], [original.destination, reply.source]);
    }
  }
  const wanted = new Set(hosts);
  // A host inside of a translated prefix stands for the prefix.
  for (const [from] of pairs) if (from.includes("/") && hosts.some((host) => mayContain(from, host))) wanted.add(from);
  return closure([...wanted], pairs)
    .sort()
    .map((address) => (address.includes("/") ? `net ${address}` : `host ${address}`));
}

/** Same family is close enough for a superset. */
function mayContain(prefix: string, host: string): boolean {
  return prefix.includes(":") === host.includes(":");
}

function closure<T>(start: readonly T[], pairs: readonly (readonly [T, T])[]): T[] {
  const found = new Set(start);
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const [a, b] of pairs) {
      if (found.has(a)) found.add(b);
      else if (found.has(b)) found.add(a);
    }
  }
  return [...found];
}

function rulesOf(node: NodeSnapshot): readonly NftRule[] {
  return node.nftables.flatMap((table) => table.chains.flatMap((chain) => chain.rules));
}

function translationOf(
  rule: NftRule,
): { readonly kind: "source" | "destination"; readonly address?: string; readonly port?: number } | undefined {
  for (const statement of rule.statements) {
    switch (statement.kind) {
      case "dnat":
      case "snat":
        return {
          kind: statement.kind === "dnat" ? "destination" : "source",
          ...(statement.address === undefined ? {} : { address: statement.address }),
          ...(statement.port === undefined ? {} : { port: statement.port }),
        };
      case "redirect":
        return { kind: "destination", ...(statement.port === undefined ? {} : { port: statement.port }) };
      case "masquerade":
        return { kind: "source" };
      default:
    }
  }
  return undefined;
}

/** Destination ports that a rule asks for; ranges of any length are spelled out up to 64 ports. */
function portsMatched(rule: NftRule): number[] {
  return rule.statements.flatMap((statement) => {
    if (statement.kind !== "match" || statement.field !== "th dport" || statement.op !== "==") return [];
    const values = Array.isArray(statement.value) ? statement.value : [statement.value];
    return values.flatMap((value: unknown) => {
      if (typeof value === "number") return [value];
      if (typeof value !== "object" || value === null || !("from" in value) || !("to" in value)) return [];
      const from = Number(value.from);
      const length = Number(value.to) - from + 1;
      return Array.from({ length: Math.min(64, Math.max(0, length)) }, (_, i) => from + i);
    });
  });
}

function addressesMatched(rule: NftRule, side: "saddr" | "daddr"): string[] {
  return rule.statements.flatMap((statement) => {
    if (statement.kind !== "match" || statement.op !== "==") return [];
    if (statement.field !== `ip ${side}` && statement.field !== `ip6 ${side}`) return [];
    const values = Array.isArray(statement.value) ? statement.value : [statement.value];
    return values.filter((value): value is string => typeof value === "string");
  });
}
