/**
 * Whether a node takes a packet from where it comes: martian addresses and reverse path filtering (fib_validate_source
 * of net/ipv4/fib_frontend.c). IPv6 has neither.
 */
import type { NodeSnapshot } from "../model/snapshot.js";
import { formatAddress, isLoopback, isMulticast } from "../model/address.js";
import type { Header } from "./header.js";
import type { Network, Place } from "./network.js";
import { lookupRoute } from "./route.js";

export interface Unaccepted {
  readonly code: "martian" | "rp-filter";
  readonly text: string;
}

export function checkSource(network: Network, place: Place, header: Header): Unaccepted | undefined {
  if (header.family !== 4) return undefined;
  return martian(network, place, header) ?? reversePath(place, header);
}

function martian(network: Network, { node, interface: input }: Place, header: Header): Unaccepted | undefined {
  const { source, destination } = header;
  const localnet = switched(node, input.name, "route_localnet");
  const loopback = [source, destination].find(isLoopback);
  if (loopback !== undefined && !localnet)
    return {
      code: "martian",
      text: `${formatAddress(loopback)} is not taken from ${node.name}:${input.name}: route_localnet is 0`,
    };
  if (isMulticast(source) || source.value === 0xffffffffn)
    return { code: "martian", text: `${formatAddress(source)} cannot be a source` };
  if (network.localPlace(node.name, source) !== undefined && !switched(node, input.name, "accept_local"))
    return {
      code: "martian",
      text: `the source ${formatAddress(source)} is ${node.name}'s own address: accept_local is 0`,
    };
  return undefined;
}

/** 1, strict: the way back leads out of the interface it came in by. 2, loose: there is a way back. */
function reversePath({ node, interface: input }: Place, header: Header): Unaccepted | undefined {
  const read = (name: string): number => Number(node.sysctls[sysctl(name, "rp_filter")] ?? "0");
  const mode = Math.max(read("all"), read(input.name));
  if (mode === 0) return undefined;
  const back = lookupRoute(node, { ...header, source: header.destination, destination: header.source });
  if (back.kind === "unicast" && (mode === 2 || back.interface === input.name)) return undefined;
  if (back.kind === "local") return undefined;
  const by = back.kind === "unicast" ? `leads out of ${back.interface}` : "does not exist";
  return {
    code: "rp-filter",
    text: `rp_filter is ${mode} in ${node.name} and the route back to ${formatAddress(header.source)} ${by}`,
  };
}

function switched(node: NodeSnapshot, input: string, name: string): boolean {
  return node.sysctls[sysctl("all", name)] === "1" || node.sysctls[sysctl(input, name)] === "1";
}

/** Slashes and dots change places in a name that holds a dot (sysctl(8)). */
export function sysctl(name: string, key: string, family: 4 | 6 = 4): string {
  return `net.ipv${family}.conf.${name.replaceAll(".", "/")}.${key}`;
}
