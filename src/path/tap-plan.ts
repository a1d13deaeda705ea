/** Where the taps of a trace sit, and what each of them asks for. */
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { NamespaceTap } from "../model/tap.js";
import type { TraceFilter } from "../model/trace.js";
import { tapFilter } from "./tap-filter.js";

/** More hops than this are tapped by the node from the start: a tcpdump each takes its share of memory and of start-up. */
export const manyHops = 48;

/** One tap a node that has a hop, in the order of the hops. */
export function namespaceTaps(hops: readonly Hop[]): NamespaceTap[] {
  const nodes = [...new Set(hops.map(({ node }) => node))];
  return nodes.map((node) => ({
    node,
    interfaces: hops.flatMap((hop, number) => (hop.node === node ? [[hop.index, number] as const] : [])),
  }));
}

/**
 * Filter of a tap on a whole node: that of its hops, on their interfaces only (`ifindex`, pcap-filter(7)). A raw filter is
 * given as it is.
 */
export function namespaceFilter({ interfaces }: NamespaceTap, filter: TraceFilter, snapshot: Snapshot): string {
  const text = tapFilter(filter, snapshot);
  if (filter.raw !== undefined && filter.raw.trim() !== "") return text;
  const own = interfaces.map(([index]) => `ifindex ${index}`).join(" or ");
  return text === "" ? own : `(${own}) and (${text})`;
}
