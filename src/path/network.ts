/** A snapshot with its references resolved: which interface is whose peer, port of what, and who owns an address. */
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { type Address, isLoopback, parseAddress, sameAddress } from "../model/address.js";

/** One interface of one node. */
export interface Place {
  /** Position in `Network.places`. */
  readonly number: number;
  readonly node: NodeSnapshot;
  readonly nodeNumber: number;
  readonly interface: InterfaceSnapshot;
  /** The other end of its veth pair. */
  readonly peer?: Place;
  /** The bridge that it is a port of. */
  readonly master?: Place;
  /** Ports of a bridge. */
  readonly ports: readonly Place[];
  readonly loopback: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Network {
  readonly snapshot: Snapshot;
  readonly places: readonly Place[];
  readonly #byName = new Map<string, Place>();
  readonly #local = new Map<string, Map<string, Place>>();

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    const places: Mutable<Place>[] = [];
    for (const [nodeNumber, node] of snapshot.nodes.entries()) {
      const local = new Map<string, Place>();
      this.#local.set(node.name, local);
      for (const entry of node.interfaces) {
        const place: Mutable<Place> = {
          number: places.length,
          node,
          nodeNumber,
          interface: entry,
          ports: [],
          loopback: entry.kind === "loopback" || entry.name === "lo",
        };
        places.push(place);
        this.#byName.set(`${node.name}:${entry.name}`, place);
        for (const { address } of entry.addresses) {
          const parsed = parseAddress(address);
          if (parsed) local.set(keyOf(parsed), place);
        }
      }
    }
    for (const place of places) {
      const { peer, master } = place.interface;
      const other = peer && this.#byName.get(`${peer.node}:${peer.interface}`);
      if (other) place.peer = other;
      const bridge = master === undefined ? undefined : this.#byName.get(`${place.node.name}:${master}`);
      // A vrf or a bond is a master, too, and passes no frames on between its members.
      if (bridge && (bridge.interface.bridge !== undefined || bridge.interface.kind === "bridge")) {
        place.master = bridge;
        (bridge.ports as Place[]).push(place); // built here, read-only for everyone else
      }
    }
    this.places = places;
  }

  place(node: string, name: string): Place | undefined {
    return this.#byName.get(`${node}:${name}`);
  }

  placesOf(node: string): readonly Place[] {
    return this.places.filter((place) => place.node.name === node);
  }

  /** The interface of a node that carries an address, 127.0.0.0/8 and ::1 included. */
  localPlace(node: string, address: Address): Place | undefined {
    const found = this.#local.get(node)?.get(keyOf(address));
    if (found) return found;
    return isLoopback(address) ? this.#byName.get(`${node}:lo`) : undefined;
  }

  /** Every node that an address is local to (several, where address spaces overlap). */
  owners(address: Address): readonly Place[] {
    const key = keyOf(address);
    return [...this.#local.values()].flatMap((local) => local.get(key) ?? []);
  }

  /** Limited broadcast and the broadcast address of one of the node's subnets. */
  isBroadcast(node: string, address: Address): boolean {
    if (address.family !== 4) return false;
    if (address.value === 0xffffffffn) return true;
    return this.placesOf(node).some((place) =>
      place.interface.addresses.some((own) => {
        const broadcast = own.broadcast === undefined ? undefined : parseAddress(own.broadcast);
        return broadcast !== undefined && sameAddress(broadcast, address);
      }),
    );
  }
}

export function nameOf(place: Place): string {
  return `${place.node.name}:${place.interface.name}`;
}

function keyOf(address: Address): string {
  return `${address.family}/${address.value.toString(16)}`;
}
