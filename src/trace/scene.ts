/** The topology as the correlator needs it: by hop number, with the questions it asks for each sighting precomputed. */
import type { Hop } from "../model/hop.js";
import { hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import { Network, type Place } from "../path/network.js";
import { reach, type Reach } from "../path/reach.js";
import type { Address } from "../model/address.js";
import { type AddressBook, macNumber } from "../packet/address.js";

/** Ethernet with one VLAN tag. */
const LINK_HEADER = 18;

/** Addresses whose last answer of `isLocal` is at hand; a power of two. */
const RECENT = 1024;

/** Any number of routers may lie between two hops. */
const inARow: Reach = { distance: (from, to) => Math.abs(from - to), routes: () => 0 };

export class Scene {
  readonly network: Network;
  /** Nothing is known of the network but the order of the hops. */
  readonly bare: boolean;
  readonly hops: readonly Hop[];
  readonly names: readonly string[];
  /** Number of a hop, by its name. */
  readonly hopNumbers: ReadonlyMap<string, number>;
  /** By hop; undefined where the snapshot does not know the interface. */
  readonly places: readonly (Place | undefined)[];
  /** No interface is two hops. */
  readonly distinct: boolean;
  readonly reach: Reach;
  /** By hop: number of its node. Nodes that the snapshot does not know have numbers as well. */
  readonly nodes: Uint16Array;
  /** By hop: 1 for a port of a bridge, which takes no part in layer 3. */
  readonly ports: Uint8Array;
  /** By hop: 1 where the way leads out of the snapshot. */
  readonly outward: Uint8Array;
  readonly macs: Float64Array;
  /** By hop: length of the longest frame that the interface lets out; Infinity where it is not known. */
  readonly longest: Float64Array;
  /** By hop: 1 where the node puts what its bridges pass on to the rules of IP (br_netfilter), NAT among them. */
  readonly bridgesNat: Uint8Array;
  readonly #nodeNumbers = new Map<string, number>();
  readonly #nat: boolean[] = [];
  readonly #book: AddressBook;
  readonly #local = new Map<number, boolean>();
  /** Answers of `isLocal` once more, a slot an address: 2 ns; a map with keys beyond 31 bits took 14. */
  readonly #recentAddress = new Uint32Array(RECENT);
  /** Node, family and answer; -1 where there is none yet. */
  readonly #recentAnswer = new Int32Array(RECENT).fill(-1);

  /** @param bare captures of a network that nobody has described: its hops stand in the order of the way, and that is all */
  constructor(snapshot: Snapshot, hops: readonly Hop[], book: AddressBook, bare = false) {
    this.network = new Network(snapshot);
    this.bare = bare;
    this.hops = hops;
    this.names = hops.map(hopName);
    this.hopNumbers = new Map(this.names.map((name, number) => [name, number]));
    this.places = hops.map((hop) => this.network.place(hop.node, hop.interface));
    const known = this.places.filter((place) => place !== undefined);
    this.distinct = new Set(known).size === known.length;
    this.reach = bare ? inARow : reach(this.network, this.places);
    this.#book = book;
    for (const node of snapshot.nodes) {
      const number = this.nodeNumber(node.name);
      this.#nat[number] =
        node.conntrack.length > 0 ||
        node.nftables.some((table) => table.chains.some((chain) => chain.hook?.type === "nat"));
    }
    // What NAT does between bare captures is learned as if one node did it.
    this.nodes = bare ? new Uint16Array(hops.length) : Uint16Array.from(hops, (hop) => this.nodeNumber(hop.node));
    this.ports = Uint8Array.from(this.places, (place) => (place?.master ? 1 : 0));
    this.bridgesNat = Uint8Array.from(this.places, (place) =>
      ["iptables", "ip6tables"].some((which) => place?.node.sysctls[`net.bridge.bridge-nf-call-${which}`] === "1")
        ? 1
        : 0,
    );
    this.outward = Uint8Array.from(this.places, (place) =>
      place && !place.peer && !place.master && place.ports.length === 0 && !place.interface.bridge && !place.loopback
        ? 1
        : 0,
    );
    this.longest = Float64Array.from(this.places, (place) => (place ? place.interface.mtu + LINK_HEADER : Infinity));
    this.macs = Float64Array.from(hops, (hop) => (hop.mac === undefined ? -1 : macNumber(hop.mac)));
  }

  /** Numbers are given on first use: conntrack may tell of nodes without hops. */
  nodeNumber(name: string): number {
    const known = this.#nodeNumbers.get(name);
    if (known !== undefined) return known;
    const number = this.#nodeNumbers.size;
    this.#nodeNumbers.set(name, number);
    return number;
  }

  nodeName(number: number): string {
    for (const [name, known] of this.#nodeNumbers) if (known === number) return name;
    return "";
  }

  /** Whether the node may change addresses: it has NAT chains, or conntrack entries. */
  translates(node: number): boolean {
    return this.#nat[node] ?? true;
  }

  /** @returns whether that is news */
  sawConntrack(node: number): boolean {
    const news = !this.translates(node);
    this.#nat[node] = true;
    return news;
  }

  /** Whether an address belongs to the node itself. */
  isLocal(node: number, family: number, address: number): boolean {
    const slot = (address ^ (address >>> 8) ^ (node << 4)) & (RECENT - 1);
    const asked = (node << 2) | (family === 6 ? 2 : 0);
    const answer = this.#recentAnswer[slot] ?? -1;
    if (this.#recentAddress[slot] === address && (answer & ~1) === asked) return (answer & 1) === 1;
    const local = this.#look(node, family, address);
    this.#recentAddress[slot] = address;
    this.#recentAnswer[slot] = asked | (local ? 1 : 0);
    return local;
  }

  #look(node: number, family: number, address: number): boolean {
    const key = (node * 2 + (family === 6 ? 1 : 0)) * 0x1_0000_0000 + address;
    const known = this.#local.get(key);
    if (known !== undefined) return known;
    const local = this.network.localPlace(this.nodeName(node), this.address(family, address)) !== undefined;
    if (this.#local.size > 65_536) this.#local.clear();
    this.#local.set(key, local);
    return local;
  }

  address(family: number, number: number): Address {
    return { family: family === 6 ? 6 : 4, value: this.#book.value(family, number) };
  }
}
