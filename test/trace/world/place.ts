/** A made-up network, and the ways that packets take through it. */
import type { Hop } from "../../../src/model/hop.js";
import type { Snapshot } from "../../../src/model/snapshot.js";
import type { Ends } from "./parcel.js";
import { between, type Random } from "./random.js";

/** Where a packet is seen on its way, and what lies between this and the station before it. */
export interface Station {
  readonly hop: string;
  /** Number of the tuple that a packet has here. */
  readonly side: number;
  /** A router lies in between. */
  readonly routed: boolean;
  /** A bridge and its port, which carry one stamp where a packet comes up through them. */
  readonly up: boolean;
}

/** A station of a way, and the MACs of a request there. */
export interface Stop extends Station {
  readonly sourceMac: string;
  readonly destinationMac: string;
}

export interface Way {
  readonly stations: readonly Stop[];
  /** Names of the nodes that keep a conntrack of it, each between two sides. */
  readonly routers: readonly string[];
  /** Tuples of a new connection's requests, one a side. @param echo ports are an identifier */
  tuples(next: Random, number: number, echo: boolean): Ends[];
  /** The router reassembles fragments. */
  readonly defragments?: boolean;
}

/** A frame that goes to many: each station follows another one. */
export interface Flood {
  readonly stations: readonly { readonly hop: string; readonly parent: number; readonly tie: boolean }[];
  readonly sourceMac: string;
  readonly source: string;
  /** Addresses on this link-layer network. */
  readonly targets: readonly string[];
}

export interface Place {
  readonly snapshot: Snapshot;
  readonly hops: readonly Hop[];
  readonly ways: readonly Way[];
  readonly floods: readonly Flood[];
}

/** Gives the stations of a way their MACs: those of the two ends of the link-layer network that they lie in. */
export function stationsOf(stations: readonly Station[], snapshot: Snapshot): Stop[] {
  const macOf = (hop: string): string => {
    const [node, name] = hop.split(":");
    const found = snapshot.nodes.find((one) => one.name === node)?.interfaces.find((one) => one.name === name);
    return found?.mac ?? "02:ff:ff:ff:ff:ff";
  };
  const out: Stop[] = [];
  for (let from = 0; from < stations.length;) {
    let to = from + 1;
    while (to < stations.length && !stations[to]!.routed) to++;
    const macs = { sourceMac: macOf(stations[from]!.hop), destinationMac: macOf(stations[to - 1]!.hop) };
    for (const station of stations.slice(from, to)) out.push({ ...station, ...macs });
    from = to;
  }
  return out;
}

/** Source ports as masquerade chooses them: that of the client, or another one that nobody has. */
export class SourcePorts {
  readonly #taken = new Set<number>();
  of(next: Random, own: number): number {
    if (next() < 0.5) return own;
    for (;;) {
      const port = between(next, 1024, 39_999);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
  }
}
