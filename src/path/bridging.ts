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
    return this.owners(place, address)[0];
  }

  /**
   * All that answer, nearest first: those that carry the address, then, for IPv4, those of nodes that have it elsewhere
   * (a node answers for every address of its own, whichever interface is asked: arp_ignore 0 of ip-sysctl.rst).
   */
  owners(place: Place, address: Address): readonly Place[] {
    const carriers = this.domain(place).filter((other) =>
      other.interface.addresses.some((own) => {
        const parsed = parseAddress(own.address);
        return parsed !== undefined && sameAddress(parsed, address) && !(own.tentative && own.family === 6);
      }),
    );
    if (address.family === 6) return carriers;
    const others = this.domain(place).filter(
      (other) =>
        other.node !== place.node &&
        other.master === undefined &&
        other.interface.up &&
        !carriers.some(({ node }) => node === other.node) &&
        (other.node.sysctls["net.ipv4.conf.all.arp_ignore"] ?? "0") === "0" &&
        this.#network.localPlace(other.node.name, address) !== undefined,
    );
    return [...carriers, ...others];
  }

  byMac(place: Place, mac: string): Place | undefined {
    const owners = this.domain(place).filter((other) => other.interface.mac === mac);
    // A bridge often has the address of its first port; the frame is for the one that takes part in layer 3.
    return owners.find((other) => !other.master) ?? owners[0];
  }

  /** Whether every way out of the network ends at an interface of the snapshot. */
  closed(place: Place): boolean {
    return this.openEnds(place).length === 0;
  }

  /** Interfaces of the network over which it goes on outside of the snapshot. */
  openEnds(place: Place): readonly Place[] {
    return this.domain(place).filter(
      (one) => one.peer === undefined && one.interface.bridge === undefined && one.ports.length === 0 && !one.loopback,
    );
  }

  /** The port behind which `target` lies: as the FDB learned it, else by the links. */
  portToward(bridge: Place, target: Place): { readonly port: Place; readonly text: string } | undefined {
    const { mac } = target.interface;
    const learned = bridge.node.fdb.find(
      (entry) =>
        entry.mac === mac && !entry.local && (entry.bridge === undefined || entry.bridge === bridge.interface.name),
    );
    const port = learned && this.#network.place(bridge.node.name, learned.interface);
    const { name } = bridge.interface;
    if (port?.master === bridge)
      return { port, text: `FDB of ${name}: ${mac ?? ""} is behind port ${port.interface.name}` };
    const linked = bridge.ports.find((one) => one === target || leadsTo(one, target, bridge));
    return (
      linked && {
        port: linked,
        text: `no FDB entry of ${name} for ${mac ?? "it"}: flooded, port ${linked.interface.name} leads to it`,
      }
    );
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
