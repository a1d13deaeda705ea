/** Which node has which uplink, under what name and addresses: worked out, nothing done. */
import {
  addressAt,
  formatAddress,
  formatPrefix,
  networkOf,
  overlaps,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../../model/address.js";
import { Failure } from "../../model/failure.js";
import { labOfText } from "./mark.js";
import { wireName } from "../../topology/wire-name.js";
import type { ResolvedNode, ResolvedTopology } from "../../topology/resolved.js";

/** The interface of an uplink in its node. */
export const uplinkName = "uplink";

/** Shared address space of carriers (RFC 6598): what least likely is in use on a machine or in a lab. */
const pool = { first: 0x64400000n, networks: 1n << 20n } as const;
const length = 30;

export interface UplinkNetwork {
  readonly network: Prefix;
  readonly machine: string;
  readonly node: string;
}

/** The machine's end of a node's uplink: the same from run to run. */
export function uplinkEnd(lab: string, node: string): string {
  return wireName(`yapcup-${lab}-${node}`);
}

/** Whether an interface is an uplink, at either end. */
export function isUplink({ alias }: { readonly alias?: string | undefined }): boolean {
  return labOfText(alias) !== undefined && alias?.endsWith(`:${uplinkName}`) === true;
}

/** Nodes that get an uplink. @param machine the node that is the machine itself, which is its own way out */
export function uplinkNodes(topology: ResolvedTopology, machine?: string): ResolvedNode[] {
  return topology.nodes.filter((node) => node.uplink && node.name !== machine);
}

/** @throws Failure (usage) where a node cannot have the uplink that it asks for */
export function checkUplinks(topology: ResolvedTopology, nodes: readonly ResolvedNode[]): void {
  for (const node of nodes) {
    const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.node === node.name);
    if (ends.some((end) => end.interface === uplinkName) || node.bridges.some(({ name }) => name === uplinkName))
      throw new Failure("usage", `node '${node.name}' has an interface '${uplinkName}' of its own`, {
        hint: "an uplink takes that name: give the interface another",
      });
    if (node.routes.some((route) => route.destination === "0.0.0.0/0" && route.table === undefined))
      throw new Failure("usage", `node '${node.name}' has a default route of its own, and an uplink beside it`, {
        hint: 'take one of them away: the route, or "uplink"',
      });
  }
}

/** IPv4 networks of a lab. */
export function labNetworks(topology: ResolvedTopology): Prefix[] {
  const all = topology.nodes
    .flatMap((node) => node.interfaces.flatMap((member) => member.addresses))
    .filter(({ family }) => family === 4)
    .flatMap(({ address, prefixLength }) => {
      const parsed = parseAddress(address);
      return parsed === undefined ? [] : [networkOf(parsed, prefixLength)];
    });
  return [...new Map(all.map((prefix) => [formatPrefix(prefix), prefix])).values()];
}

/** A network of four addresses that overlaps with none that is in use; which one is tried first follows from the name. */
export function freeNetwork(name: string, used: readonly Prefix[]): UplinkNetwork {
  let state = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(name)) state = Math.imul(state ^ byte, 0x01000193);
  for (let attempt = 0n; attempt < pool.networks; attempt += 1n) {
    const number = (BigInt(state >>> 0) + attempt) % pool.networks;
    const network: Prefix = { family: 4, value: pool.first + (number << 2n), length };
    if (!used.some((prefix) => overlaps(prefix, network))) return uplinkNetwork(network);
  }
  throw new Failure("machine", "no network of 100.64.0.0/10 is free for an uplink");
}

export function uplinkNetwork(network: Prefix): UplinkNetwork {
  const [machine, node] = [addressAt(network, 1n), addressAt(network, 2n)];
  if (machine === undefined || node === undefined) throw new RangeError(`${formatPrefix(network)} is too small`);
  return { network, machine: formatAddress(machine), node: formatAddress(node) };
}

/** What routes say is in use: default routes stand for everything else. */
export function usedNetworks(destinations: readonly string[]): Prefix[] {
  return destinations.flatMap((destination) => {
    const prefix = parsePrefix(destination);
    return prefix === undefined || prefix.length === 0 ? [] : [prefix];
  });
}
