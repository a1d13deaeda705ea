/**
 * Where the kernel's packet buffers were: its events tell the name of an interface only, and several namespaces have an
 * `eth0`. But one buffer goes a way that the topology knows: out of one end of a pair and into the other, from a port to
 * its bridge, through a node that forwards. So the events of one buffer, in their order, say of each other where they were.
 */
import type { SkbEvents } from "../model/skb-events.js";
import type { Network, Place } from "../path/network.js";

/**
 * Longest time between two events of a buffer on its way, nanoseconds, over a link or a bridge, and through a router:
 * beyond it may have been freed, and carry another packet. Where the kernel frees one without a word (TCP), nothing else
 * tells it.
 */
const longestStep = { link: 2e6, router: 0.2e6 } as const;
const ethernetHeader = 14;

export class SkbPlaces {
  /** By event: numbers of the places that it may have happened at. */
  readonly places: readonly (readonly number[])[];
  /** Events of each buffer, in the order of time. */
  readonly ofSkb: ReadonlyMap<number, readonly number[]>;

  constructor(
    private readonly events: SkbEvents,
    private readonly network: Network,
  ) {
    const named = events.devices.map((device) =>
      network.places.filter((place) => place.interface.name === device).map(({ number }) => number),
    );
    const places: (readonly number[])[] = [];
    const ofSkb = new Map<number, number[]>();
    for (let row = 0; row < events.count; row++) {
      places.push(named[events.device[row] ?? 0] ?? []);
      const skb = events.skb[row] ?? 0;
      const known = ofSkb.get(skb);
      if (known === undefined) ofSkb.set(skb, [row]);
      else known.push(row);
    }
    this.places = places;
    this.ofSkb = ofSkb;
    for (const rows of ofSkb.values()) this.#narrow(rows, places);
  }

  /** Bytes of the packet with its Ethernet header. */
  lengthOf(row: number): number {
    return (this.events.length[row] ?? 0) + (this.events.outgoing[row] === 1 ? 0 : ethernetHeader);
  }

  /** Keeps of each event the places that the event before and the one after it leave open. */
  #narrow(rows: readonly number[], places: (readonly number[])[]): void {
    for (let first = 0; first < rows.length;) {
      let last = first;
      while (last + 1 < rows.length) {
        const [row = 0, next = 0] = [rows[last], rows[last + 1]];
        const open = (places[next] ?? []).filter((to) =>
          (places[row] ?? []).some((from) => this.#leads(row, from, next, to)),
        );
        if (open.length === 0) break; // the buffer was freed, and carries another packet
        places[next] = open;
        last++;
      }
      for (let at = last; at > first; at--) {
        const [row = 0, next = 0] = [rows[at - 1], rows[at]];
        places[row] = (places[row] ?? []).filter((from) =>
          (places[next] ?? []).some((to) => this.#leads(row, from, next, to)),
        );
      }
      first = last + 1;
    }
  }

  /** Whether a packet may go from one event straight to the other. */
  #leads(row: number, from: number, next: number, to: number): boolean {
    const { events, network } = this;
    const elapsed = (events.time[next] ?? 0) - (events.time[row] ?? 0);
    if (elapsed > longestStep.link) return false;
    if (this.lengthOf(row) !== this.lengthOf(next)) return false;
    const [a, b] = [network.places[from], network.places[to]];
    if (a === undefined || b === undefined) return false;
    const outgoing = events.outgoing[next] === 1;
    if (events.outgoing[row] === 1) return outgoing ? b.master === a : a.peer === b;
    if (!outgoing) return a.master === b;
    if (a.master !== undefined && a.master === b.master) return true;
    // Back out of the same interface: more likely an answer in the buffer that the request was freed of.
    return a.node === b.node && a !== b && forwards(a) && elapsed < longestStep.router;
  }
}

function forwards({ node }: Place): boolean {
  return node.sysctls["net.ipv4.ip_forward"] === "1" || node.sysctls["net.ipv6.conf.all.forwarding"] === "1";
}
