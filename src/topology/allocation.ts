/**
 * Fourth step: addresses. What the file gives stands; the rest comes from the subnets of networks and from pools, in the
 * order of the file, so that the same file gives the same addresses.
 */
import {
  type Address,
  addressAt,
  bitsOf,
  contains,
  type Family,
  formatAddress,
  formatPrefix,
  hostRange,
  networkOf,
  overlaps,
  parseAddress,
  parseInterfaceAddress,
  parsePrefix,
  type Prefix,
} from "../model/address.js";
import type { Draft, DraftInterface, DraftLink, DraftNetwork } from "./draft.js";
import { listOf } from "./merge.js";
import type { Path } from "./problem.js";
import { suggestion } from "./suggest.js";

/** Sizes of subnets from a pool that does not say: a link has two ends, a network as many as people expect. */
const linkLength = { 4: 30, 6: 64 } as const;
const networkLength = { 4: 24, 6: 64 } as const;

/** What is given away already, and where the search for more goes on. */
interface Taken {
  readonly prefixes: Prefix[];
  readonly cursors: Map<string, bigint>;
}

export function allocate(draft: Draft): void {
  const taken: Taken = { prefixes: takenPrefixes(draft), cursors: new Map() };
  for (const network of draft.networks) {
    const subnets = [
      ...network.subnets.flatMap((text) => parsePrefix(text) ?? []),
      ...(network.pool === undefined
        ? []
        : subnetsOf(draft, network.pool, [...network.at, "pool"], networkLength, taken)),
    ];
    giveNetwork(draft, network, subnets);
  }
  for (const link of draft.links) if (link.pool) giveLink(draft, link, link.pool, taken);
}

/** Networks that the file names: no pool gives them away. */
function takenPrefixes(draft: Draft): Prefix[] {
  const named = draft.networks.flatMap(({ subnets }) => subnets.flatMap((text) => parsePrefix(text) ?? []));
  for (const node of draft.nodes.values()) {
    for (const { addresses } of node.interfaces.values()) {
      for (const { address, length } of addresses) named.push(networkOf(address, length));
    }
  }
  return named;
}

function giveNetwork(draft: Draft, network: DraftNetwork, subnets: readonly Prefix[]): void {
  const { document } = draft;
  const { bridge, gateway, members, at } = network;
  const used = new Set<string>();
  for (const { address } of bridge.addresses) used.add(formatAddress(address));
  const explicit = members.map((member) => {
    const given = [...explicitAddresses(draft, member.addresses, member.at, subnets)];
    for (const { address } of [...given, ...member.interface.addresses]) used.add(formatAddress(address));
    return given;
  });
  const gateways = typeof gateway === "object" ? explicitAddresses(draft, gateway, [...at, "gateway"], subnets) : [];
  for (const { address } of gateways) used.add(formatAddress(address));
  for (const subnet of subnets) {
    const own = [...bridge.addresses, ...gateways].some(({ address }) => contains(subnet, address));
    if (gateway !== false && !own) {
      const first = nextFree(subnet, used);
      if (first) gateways.push({ address: first, length: subnet.length, at: [...at, "subnets"] });
    }
  }
  bridge.addresses.push(...gateways);
  // One search position a subnet: 1,000 members do not look at each other's addresses again.
  const positions = new Map<Prefix, bigint>();
  for (const [index, member] of members.entries()) {
    const addresses = member.interface.addresses;
    addresses.push(...(explicit[index] ?? []));
    for (const subnet of subnets) {
      if (addresses.some(({ address }) => contains(subnet, address))) continue;
      const next = nextFree(subnet, used, positions.get(subnet));
      if (!next) {
        document.error(
          at,
          `the subnet ${formatPrefix(subnet)} has no address left for "${member.interface.node.name}"`,
          {
            code: "conflict",
            atKey: true,
          },
        );
        break;
      }
      positions.set(subnet, next.value + 1n);
      addresses.push({ address: next, length: subnet.length, at: member.at });
    }
  }
}

function explicitAddresses(
  draft: Draft,
  texts: readonly string[],
  at: Path,
  subnets: readonly Prefix[],
): DraftInterface["addresses"] {
  return texts.flatMap((text) => {
    const whole = parseInterfaceAddress(text);
    if (whole) return [{ ...whole, at }];
    const address = parseAddress(text);
    if (!address) return [];
    const subnet = subnets.find((prefix) => contains(prefix, address));
    if (subnet) return [{ address, length: subnet.length, at }];
    draft.document.error(at, `${text} lies in no subnet of this network`, {
      code: "conflict",
      hint:
        subnets.length > 0
          ? `its subnets: ${subnets.map(formatPrefix).join(", ")}`
          : 'give the network "subnets", or the address a prefix length',
    });
    return [];
  });
}

function nextFree(subnet: Prefix, used: Set<string>, from?: bigint): Address | undefined {
  const { first, last } = hostRange(subnet);
  for (let value = from ?? first; value <= last; value++) {
    const address: Address = { family: subnet.family, value };
    const text = formatAddress(address);
    if (used.has(text)) continue;
    used.add(text);
    return address;
  }
  return undefined;
}

function giveLink(
  draft: Draft,
  link: DraftLink,
  { name, required }: { name: string; required: boolean },
  taken: Taken,
): void {
  const at = [...link.at, "pool"];
  const reason = link.ends.some((end) => end.master !== undefined)
    ? "an end of it is a port of a bridge"
    : link.ends.some((end) => end.addresses.length > 0)
      ? "its ends have addresses"
      : undefined;
  if (reason !== undefined) {
    if (required) draft.document.error(at, `this link takes no addresses from a pool: ${reason}`, { code: "conflict" });
    return;
  }
  for (const subnet of subnetsOf(draft, name, at, linkLength, taken)) {
    const { first, last } = hostRange(subnet);
    for (const [side, end] of link.ends.entries()) {
      const value = first + BigInt(side);
      if (value <= last) end.addresses.push({ address: { ...subnet, value }, length: subnet.length, at: link.at });
    }
  }
}

/** The next free subnet of each prefix of a pool. */
function subnetsOf(
  draft: Draft,
  name: string,
  at: Path,
  lengths: Readonly<Record<Family, number>>,
  taken: Taken,
): Prefix[] {
  const pools = draft.form.pools ?? {};
  const pool = pools[name];
  if (pool === undefined) {
    draft.document.error(at, `there is no pool "${name}"`, {
      code: "unknown-name",
      hint: suggestion(name, Object.keys(pools)),
    });
    return [];
  }
  const form = typeof pool === "string" || Array.isArray(pool) ? { from: pool } : pool;
  return listOf(form.from).flatMap((text) => {
    const whole = parsePrefix(text);
    if (!whole) return [];
    const length = (whole.family === 4 ? form.ipv4 : form.ipv6) ?? Math.max(lengths[whole.family], whole.length);
    const subnet = length < whole.length ? undefined : nextSubnet(whole, length, taken);
    if (!subnet) {
      draft.document.error(at, `the pool "${name}" has no free /${length} left in ${text}`, { code: "conflict" });
      return [];
    }
    taken.prefixes.push(subnet);
    return [subnet];
  });
}

/** @param cursors where the last search in each pool ended, so that 1,000 links do not start 1,000 times at its front */
function nextSubnet(whole: Prefix, length: number, { prefixes, cursors }: Taken): Prefix | undefined {
  const step = 1n << BigInt(bitsOf(whole.family) - length);
  const cursor = `${formatPrefix(whole)} ${length}`;
  for (let offset = cursors.get(cursor) ?? 0n; ; offset += step) {
    const start = addressAt(whole, offset);
    if (!start) return undefined;
    const subnet: Prefix = { ...start, length };
    if (prefixes.some((other) => overlaps(other, subnet))) continue;
    cursors.set(cursor, offset + step);
    return subnet;
  }
}
