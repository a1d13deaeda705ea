/**
 * Which hops a trace of a machine taps: a machine has interfaces that no packet of its containers ever passes, and may
 * run more containers than a filter can concern.
 */
import type { Hop } from "../model/hop.js";
import { hopName } from "../model/hop.js";
import type { InterfaceRef, NodeSnapshot, Snapshot } from "../model/snapshot.js";
import type { TraceFilter } from "../model/trace.js";
import { hops } from "./hops.js";
import { Network, type Place } from "./network.js";
import { parseAddress, sameAddress } from "../model/address.js";
import { publications, sameService } from "./tap-filter.js";

export interface MachineSelection {
  readonly filter: TraceFilter;
  /** Node where the traffic begins: always tapped, and first. */
  readonly from?: string;
  /** Only these, and the machine's interfaces on the way to them; none for all. */
  readonly nodes: readonly string[];
  /** Only these, and what lies on the wire behind them; beside `nodes`. */
  readonly interfaces?: readonly InterfaceRef[];
  /** With `nodes`: also the links by which the machine is reached from outside, and their far ends. */
  readonly around?: boolean;
  /** Every container, whatever the filter. */
  readonly all: boolean;
}

export interface MachineHops {
  readonly hops: readonly Hop[];
  /** Containers without a tap, because the filter seems not to concern them. */
  readonly left: readonly string[];
}

/** So many nodes beside the machine are tapped without asking whether they can match. */
const few = 8;

/** @param snapshot with one node of role `machine` */
export function machineHops(snapshot: Snapshot, selection: MachineSelection): MachineHops {
  const network = new Network(snapshot);
  const { from, interfaces = [], nodes } = selection;
  const wired = interfaces.length === 0 ? undefined : onTheWire(network, interfaces);
  const chosen = chooseNodes(snapshot, selection);
  const way = wired !== undefined && nodes.length === 0 ? [] : onTheWay(network, chosen, nodes);
  const doors = selection.around === true ? outerLinks(network) : [];
  const kept = new Set([...way, ...doors, ...(wired ?? [])]);
  return {
    hops: hops(snapshot, { ...(from === undefined ? {} : { from }), filter: (hop) => kept.has(hopName(hop)) }),
    left:
      nodes.length + interfaces.length > 0
        ? []
        : others(snapshot).flatMap(({ name }) => (chosen.has(name) ? [] : [name])),
  };
}

function others(snapshot: Snapshot): readonly NodeSnapshot[] {
  return snapshot.nodes.filter(({ role }) => role !== "machine");
}

function chooseNodes(snapshot: Snapshot, { filter, from, nodes, all }: MachineSelection): ReadonlySet<string> {
  const own = from === undefined ? [] : [from];
  if (nodes.length > 0) return new Set([...nodes, ...own]);
  const everyone = others(snapshot);
  const named = filter.ports.length > 0 || filter.hosts.length > 0;
  const concerned =
    named && !all && everyone.length > few ? everyone.filter((node) => concerns(node, snapshot, filter)) : [];
  return new Set([...(concerned.length > 0 ? concerned : everyone).map(({ name }) => name), ...own]);
}

/** Whether a node serves one of the ports, or is one of the hosts, or is a place between: no container. */
function concerns(node: NodeSnapshot, snapshot: Snapshot, { ports, hosts }: TraceFilter): boolean {
  if (node.role === "namespace") return true;
  const addresses = node.interfaces.flatMap((one) => one.addresses.map(({ address }) => address));
  const services = ports.length === 0 ? [] : sameService(ports, snapshot);
  const published = publications(snapshot).flatMap(({ ports: from, port, address = "" }) =>
    ports.some((each) => each === port || from.includes(each)) ? [address] : [],
  );
  const asked = [...hosts, ...published].map(parseAddress);
  return (
    node.listeners.some(({ port }) => services.includes(port)) ||
    addresses.map(parseAddress).some((own) => own && asked.some((other) => other && sameAddress(own, other))) ||
    node.conntrack.some(({ original, reply }) =>
      [original.sourcePort, original.destinationPort, reply.sourcePort, reply.destinationPort].some(
        (port) => port !== undefined && services.includes(port),
      ),
    )
  );
}

/** Links of the machine that it routes by itself, to what is no container: where what comes from outside comes in. */
function outerLinks(network: Network): string[] {
  return network.places
    .filter(({ node, peer, master, interface: own }) => {
      const routed =
        master === undefined && own.bridge === undefined && own.addresses.some(({ scope }) => scope === "global");
      return node.role === "machine" && routed && peer?.node.role === "namespace";
    })
    .flatMap((place) => [place, ...(place.peer ? [place.peer] : [])])
    .map(placeName);
}

/** Names of the interfaces themselves, their bridge or ports, and the far ends of those. */
function onTheWire(network: Network, interfaces: readonly InterfaceRef[]): ReadonlySet<string> {
  const kept = new Set<Place>();
  for (const { node, interface: name } of interfaces) {
    const place = network.place(node, name);
    if (place === undefined) continue;
    for (const own of [place, ...place.ports]) for (const each of [own, own.peer, own.master]) if (each) kept.add(each);
  }
  return new Set([...kept].map(placeName));
}

function placeName({ node, interface: { name } }: Place): string {
  return hopName({ node: node.name, interface: name });
}

/** Names of the hops that packets from or to the chosen nodes can pass. */
function onTheWay(network: Network, chosen: ReadonlySet<string>, named: readonly string[]): ReadonlySet<string> {
  const kept = new Set<Place>();
  for (const place of network.places) {
    const { node, peer } = place;
    if (node.role !== "machine") {
      if (chosen.has(node.name)) kept.add(place);
    } else if (peer === undefined ? carries(place) : chosen.has(peer.node.name) || named.includes(node.name)) {
      kept.add(place);
    }
  }
  // Bridges with a port that is kept, and bridges of bridges, as often as one more is found.
  for (const place of kept) if (place.master !== undefined) kept.add(place.master);
  return new Set([...kept].map(placeName));
}

/** Whether an interface of the machine that is no end of a pair, and no bridge, leads anywhere. */
function carries({ interface: own, node }: Place): boolean {
  // A veth whose peer lies in no node leads to somebody who is not asked for.
  if (own.bridge !== undefined || own.kind === "veth") return false;
  const routed = node.routes.some(({ nexthops }) => nexthops.some((hop) => hop.interface === own.name));
  return own.addresses.some(({ scope }) => scope === "global") || own.master !== undefined || routed;
}
