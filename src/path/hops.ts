/** Which hops there are, and in which order a person reads them. */
import type { Hop } from "../model/hop.js";
import type { NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { Network, type Place } from "./network.js";

export interface HopSelection {
  /** Node where the traffic begins: it comes first. */
  readonly from?: string;
  /** Node where it is meant to end: it comes last. */
  readonly to?: string;
  /** Loopback interfaces too. */
  readonly loopback?: boolean;
  /** Keeps the hops it says yes to. */
  readonly filter?: (hop: Hop) => boolean;
}

/**
 * Every interface a tap can sit on (it must be up), in path order: a walk from `from` along the links, breadth first, `to` last. Where
 * `from` is absent it begins at the node that is furthest from the containers (a client outside), then at the machine.
 *
 * The order is a function of the snapshot alone; it is the order of columns in a view, and it breaks ties of time.
 */
export function hops(snapshot: Snapshot, selection: HopSelection = {}): Hop[] {
  const network = new Network(snapshot);
  const start = network.places.filter((place) => place.node.name === firstNode(snapshot, selection));
  const ordered = walk(network, start, selection.to);
  return ordered
    .filter((place) => place.interface.up)
    .filter((place) => selection.loopback === true || !place.loopback)
    .map(hopOf)
    .filter((hop) => selection.filter?.(hop) ?? true);
}

export function hopOf(place: Place): Hop {
  const { kind, mac, name, index } = place.interface;
  return {
    node: place.node.name,
    interface: name,
    index,
    kind: kind === "veth" || kind === "bridge" || kind === "physical" ? kind : "other",
    ...(mac === undefined ? {} : { mac }),
  };
}

function firstNode(snapshot: Snapshot, selection: HopSelection): string | undefined {
  if (selection.from !== undefined) return selection.from;
  const plain = snapshot.nodes.filter((node) => node.role === "namespace" && node.name !== selection.to);
  const ends = plain.filter((node) => !forwards(node));
  // On a machine any namespace may be an inner one: who is reached by a bridge is, who has a link of its own is not.
  const outside =
    (snapshot.lab === undefined ? ends.find((node) => !isBehindBridge(snapshot, node)) : undefined) ?? ends[0];
  const machine = snapshot.nodes.find((node) => node.role === "machine");
  return (outside ?? machine ?? snapshot.nodes[0])?.name;
}

/** A namespace that is made where Docker runs may forward, as the machine does: a router is who has two links to do it between. */
function forwards({ sysctls, interfaces }: NodeSnapshot): boolean {
  const links = interfaces.filter(({ kind }) => kind !== "loopback").length;
  return (sysctls["net.ipv4.ip_forward"] === "1" && links > 1) || interfaces.some(({ bridge }) => bridge !== undefined);
}

function isBehindBridge(snapshot: Snapshot, { interfaces }: NodeSnapshot): boolean {
  return interfaces.some(
    ({ peer }) =>
      peer !== undefined &&
      snapshot.nodes
        .find(({ name }) => name === peer.node)
        ?.interfaces.some(({ name, master }) => name === peer.interface && master !== undefined) === true,
  );
}

/**
 * Breadth first over interfaces. Entering a node shows the interface entered by, then what can be left by: for a port
 * its bridge and the bridge's ports, else the bridges and links of the node.
 */
function walk(network: Network, start: readonly Place[], last: string | undefined): Place[] {
  const seen = new Set<Place>();
  const order: Place[] = [];
  const visit = (place: Place): void => {
    if (seen.has(place)) return;
    seen.add(place);
    order.push(place);
  };
  let wave: Place[] = [...start].sort(byRank);
  const roots = [...network.places].sort(byRank);
  while (wave.length > 0) {
    const next: Place[] = [];
    for (const place of wave) visit(place);
    for (const place of wave) {
      for (const neighbour of neighboursOf(network, place)) if (!seen.has(neighbour)) next.push(neighbour);
      if (place.peer && !seen.has(place.peer)) next.unshift(place.peer);
    }
    wave = [...new Set(next)];
    if (wave.length === 0) {
      const rest = roots.find((place) => !seen.has(place));
      if (rest) wave = [rest];
    }
  }
  if (last === undefined) return order;
  return [...order.filter((place) => place.node.name !== last), ...order.filter((place) => place.node.name === last)];
}

function neighboursOf(network: Network, place: Place): readonly Place[] {
  if (place.master) return [place.master, ...place.master.ports];
  const own = network.placesOf(place.node.name).filter((other) => other.master === undefined && other !== place);
  return [...[...own].sort(byRank), ...place.ports];
}

function byRank(a: Place, b: Place): number {
  const rank = (place: Place): number => (place.loopback ? 2 : place.interface.kind === "bridge" ? 1 : 0);
  return (
    a.nodeNumber - b.nodeNumber ||
    rank(a) - rank(b) ||
    a.interface.index - b.interface.index ||
    a.interface.name.localeCompare(b.interface.name)
  );
}
