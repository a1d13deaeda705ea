/**
 * How far one hop is from another, over interfaces that carry no tap too: the topology's word in which sightings can
 * belong together.
 *
 * One step is: along a link, from a port to its bridge, from a bridge to a port, or through a node's routing from one
 * interface to another. Only the last one lowers the TTL.
 */
import type { Network, Place } from "./network.js";

const FAR = 255;

export interface Reach {
  /** Steps, 255 where there is no way. */
  distance(from: number, to: number): number;
  /** Fewest routers in between, 255 where there is no way. 0: one link-layer network. */
  routes(from: number, to: number): number;
}

/** @param places of the hops, by hop number; undefined where the snapshot does not know the interface */
export function reach(network: Network, places: readonly (Place | undefined)[]): Reach {
  // Both of a pair in one number, as they are mostly asked for together: routes << 8 | distance.
  const byPlace = new Map<number, Uint16Array>();
  const rows = new Array<Uint16Array | undefined>(places.length).fill(undefined);
  const l3 = new Map<number, Place[]>();
  for (const place of network.places) {
    if (place.master) continue;
    const list = l3.get(place.nodeNumber);
    if (list) list.push(place);
    else l3.set(place.nodeNumber, [place]);
  }
  const make = (hop: number): Uint16Array => {
    const place = places[hop];
    let made = place === undefined ? undefined : byPlace.get(place.number);
    if (made === undefined) {
      const all = place === undefined ? undefined : fromPlace(network, place, l3);
      const pick = (values: Uint8Array | undefined, to: Place | undefined): number =>
        to === undefined ? FAR : (values?.[to.number] ?? FAR);
      made = Uint16Array.from(places, (to) => (pick(all?.routes, to) << 8) | pick(all?.distance, to));
      if (place) byPlace.set(place.number, made);
    }
    rows[hop] = made;
    return made;
  };
  return {
    distance: (from, to) => ((rows[from] ?? make(from))[to] ?? FAR) & 255,
    routes: (from, to) => ((rows[from] ?? make(from))[to] ?? FAR << 8) >>> 8,
  };
}

function fromPlace(
  network: Network,
  start: Place,
  l3: ReadonlyMap<number, readonly Place[]>,
): { distance: Uint8Array; routes: Uint8Array } {
  const distance = new Uint8Array(network.places.length).fill(FAR);
  const routes = new Uint8Array(network.places.length).fill(FAR);
  distance[start.number] = 0;
  routes[start.number] = 0;
  // Distances: plain breadth first; the routing of a node is entered once, it leads to all its interfaces.
  const routed = new Set<number>();
  let wave: Place[] = [start];
  while (wave.length > 0) {
    const next: Place[] = [];
    const step = (from: Place, to: Place): void => {
      if (distance[to.number] !== FAR) return;
      distance[to.number] = Math.min(FAR - 1, (distance[from.number] ?? 0) + 1);
      next.push(to);
    };
    for (const place of wave) {
      for (const to of linkLayer(place)) step(place, to);
      if (place.master || routed.has(place.nodeNumber)) continue;
      routed.add(place.nodeNumber);
      for (const to of l3.get(place.nodeNumber) ?? []) step(place, to);
    }
    wave = next;
  }
  // Routers: a wave is everything one link-layer network reaches; the next wave begins behind its routers.
  routed.clear();
  let edge: Place[] = [start];
  for (let count = 0; edge.length > 0 && count < FAR; count++) {
    const inside = [...edge];
    for (let place = inside.pop(); place !== undefined; place = inside.pop()) {
      for (const to of linkLayer(place)) {
        if (routes[to.number] !== FAR) continue;
        routes[to.number] = count;
        inside.push(to);
        edge.push(to);
      }
    }
    const behind: Place[] = [];
    for (const place of edge) {
      if (place.master || routed.has(place.nodeNumber)) continue;
      routed.add(place.nodeNumber);
      for (const to of l3.get(place.nodeNumber) ?? []) {
        if (routes[to.number] !== FAR) continue;
        routes[to.number] = Math.min(FAR - 1, count + 1);
        behind.push(to);
      }
    }
    edge = behind;
  }
  return { distance, routes };
}

function linkLayer(place: Place): readonly Place[] {
  const next: Place[] = [...place.ports];
  if (place.peer) next.push(place.peer);
  if (place.master) next.push(place.master);
  return next;
}
