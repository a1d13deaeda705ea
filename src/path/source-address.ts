/**
 * The address that a node sends from where the program leaves it open: the route's preferred source, else an address of
 * the interface it leaves by (inet_select_addr of net/ipv4/devinet.c; RFC 6724 for IPv6).
 */
import type { AddressSnapshot, NodeSnapshot } from "../model/snapshot.js";
import {
  type Address,
  contains,
  isLinkLocal,
  isLoopback,
  parseAddress,
  type Prefix,
  sameAddress,
} from "../model/address.js";
import { lookupRoute, type RouteResult } from "./route.js";

export interface SourceChoice {
  readonly address: Address;
  readonly text: string;
}

/** @returns undefined where the node has no address of the family to send from */
export function sourceFor(node: NodeSnapshot, destination: Address): SourceChoice | undefined {
  const unspecified = { family: destination.family, value: 0n };
  const route = lookupRoute(node, { family: destination.family, protocol: 0, source: unspecified, destination });
  return sourceOfRoute(node, route, destination);
}

/** @param route where the packet goes */
export function sourceOfRoute(node: NodeSnapshot, route: RouteResult, destination: Address): SourceChoice | undefined {
  if (isLoopback(destination)) return { address: destination, text: "the loopback address" };
  if (route.kind === "local" || ownsAddress(node, destination))
    return { address: destination, text: `${node.name}'s own address` };
  if (route.kind !== "unicast") return firstAddress(node, destination.family);
  const preferred = route.route.preferredSource === undefined ? undefined : parseAddress(route.route.preferredSource);
  if (preferred !== undefined) return { address: preferred, text: `the source of route ${route.route.destination}` };
  return destination.family === 4
    ? fromInterface(node, route.interface, route.nexthop)
    : byRfc6724(node, route.interface, destination);
}

/** Masquerade takes it, too. */
export function fromInterface(node: NodeSnapshot, name: string, near: Address): SourceChoice | undefined {
  const own = candidates(node, near.family).filter((one) => one.interface === name && one.scope === "global");
  const chosen = own.find(({ prefix }) => contains(prefix, near)) ?? own[0];
  if (chosen !== undefined) return { address: chosen.address, text: `an address of ${node.name}:${name}` };
  return firstAddress(node, near.family);
}

interface Candidate {
  readonly interface: string;
  readonly address: Address;
  readonly prefix: Prefix;
  readonly scope: AddressSnapshot["scope"];
}

function candidates(node: NodeSnapshot, family: 4 | 6): Candidate[] {
  return node.interfaces.flatMap((one) =>
    one.addresses.flatMap(({ address: text, prefixLength, scope, tentative, family: own }) => {
      const address = parseAddress(text);
      if (own !== family || tentative || address === undefined) return [];
      const mask = ~((1n << BigInt((family === 4 ? 32 : 128) - prefixLength)) - 1n);
      const prefix = { family, value: address.value & mask, length: prefixLength };
      return [{ interface: one.name, address, prefix, scope }];
    }),
  );
}

function firstAddress(node: NodeSnapshot, family: 4 | 6): SourceChoice | undefined {
  const found = candidates(node, family).find(({ scope }) => scope === "global");
  return found && { address: found.address, text: `an address of ${node.name}:${found.interface}` };
}

function ownsAddress(node: NodeSnapshot, address: Address): boolean {
  return candidates(node, address.family).some((one) => sameAddress(one.address, address));
}

/** Rules 2 (scope), 5 (outgoing interface), 6 (label) and 8 (longest prefix); the others need what no snapshot has. */
export function byRfc6724(node: NodeSnapshot, output: string, destination: Address): SourceChoice | undefined {
  const local = isLinkLocal(destination);
  const all = candidates(node, 6).filter(
    (one) => !isLoopback(one.address) && (!local || (one.interface === output && isLinkLocal(one.address))),
  );
  const score = (one: Candidate): readonly number[] => [
    Number(isLinkLocal(one.address) === local),
    Number(one.interface === output),
    Number(labelOf(one.address) === labelOf(destination)),
    commonBits(one.address, destination),
  ];
  const [best] = all
    .map((one) => ({ one, score: score(one) }))
    .sort((a, b) => {
      const at = a.score.findIndex((value, index) => value !== b.score[index]);
      return at < 0 ? 0 : (b.score[at] ?? 0) - (a.score[at] ?? 0);
    });
  return best && { address: best.one.address, text: `an address of ${node.name}:${best.one.interface} (RFC 6724)` };
}

/** Of the default policy table: unique local addresses have a label of their own. */
function labelOf({ value }: Address): number {
  return value >> 121n === 0x7en ? 13 : 1;
}

function commonBits(a: Address, b: Address): number {
  const difference = a.value ^ b.value;
  return difference === 0n ? 128 : 128 - difference.toString(2).length;
}
