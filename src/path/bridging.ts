/** Who is where on a link-layer network: by FDB, by MAC, by address. */
import type { Network, Place } from "./network.js";
import { type Address, parseAddress, sameAddress } from "../model/address.js";

export class Bridging {
  readonly #network: Network;
  readonly #domains = new Map<Place, readonly Place[]>();

  constructor(network: Network) {
    this.#network = network;
  }

  /** Every interface of the link-layer network that `place` is on, itself included, nearest first. */
  domain(place: Place): readonly Place[] {
    const known = this.#domains.get(place);
    if (known) return known;
    const seen = new Set<Place>([place]);
    // A set keeps its order and is walked while it grows: breadth first.
    for (const one of seen) for (const next of around(one)) seen.add(next);
    const domain = [...seen];
    this.#domains.set(place, domain);
    return domain;
  }

  /** The interface of that network which answers for an address. */
  owner(place: Place, address: Address): Place | undefined {
    return this.domain(place).find((other) =>
      other.interface.addresses.some((own) => {
        const parsed = parseAddress(own.address);
        return parsed !== undefined && sameAddress(parsed, address);
      }),
    );
  }

  byMac(place: Place, mac: string): Place | undefined {
    const owners = this.domain(place).filter((other) => other.interface.mac === mac);
    // A bridge often has the address of its first port; the frame is for the one that takes part in layer 3.
    return owners.find((other) => !other.master) ?? owners[0];
  }

  /** Whether every way out of the network ends at an interface of the snapshot. */
  closed(place: Place): boolean {
    return this.domain(place).every(
      (one) => one.peer !== undefined || one.interface.bridge !== undefined || one.ports.length > 0 || one.loopback,
    );
  }

  /** The port behind which `target` lies: as the FDB learned it, else by the links. */
  portToward(bridge: Place, target: Place): Place | undefined {
    const { mac } = target.interface;
    const learned = bridge.node.fdb.find(
      (entry) =>
        entry.mac === mac && !entry.local && (entry.bridge === undefined || entry.bridge === bridge.interface.name),
    );
    const port = learned && this.#network.place(bridge.node.name, learned.interface);
    if (port?.master === bridge) return port;
    return bridge.ports.find((one) => one === target || leadsTo(one, target, bridge));
  }
}

/** Whether `target` lies behind a port, without going back over its bridge. */
function leadsTo(port: Place, target: Place, bridge: Place): boolean {
  const seen = new Set<Place>([bridge, port]);
  const inside: Place[] = port.peer ? [port.peer] : [];
  for (const one of inside) {
    if (one === target) return true;
    if (seen.has(one)) continue;
    seen.add(one);
    inside.push(...around(one).filter((next) => !seen.has(next)));
  }
  return false;
}

function around(place: Place): readonly Place[] {
  const next: Place[] = [...place.ports];
  if (place.peer) next.push(place.peer);
  if (place.master) next.push(place.master);
  return next;
}
