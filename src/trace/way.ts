/** Where in a packet a sighting fits: topology, TTL, addresses and time say whether, and after which other one. */
import { type Columns, Kind, Mark } from "../packet/columns.js";
import type { FlowIndex } from "./flow-index.js";
import { NONE, type Packets, State } from "./packets.js";
import type { Scene } from "./scene.js";
import { commonBytes } from "./segment.js";

/**
 * Stamps of two hops may be this far out of order (nanoseconds): a packet that arrived waits as long for sightings that
 * carry the same stamp, or an older one.
 */
export const SLACK = 50_000;

const FAR = 255;

export class Ways {
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #flows: FlowIndex;

  constructor(scene: Scene, columns: Columns, packets: Packets, flows: FlowIndex) {
    this.#scene = scene;
    this.#columns = columns;
    this.#packets = packets;
    this.#flows = flows;
  }

  /**
   * The sighting of a packet that a row came from, NONE where the row cannot be of this packet.
   * @param divided only sightings that share bytes with the row count; else all are equal in what NAT leaves alone
   */
  parentOf(packet: number, row: number, entry: number, divided: boolean): number {
    // In order, and so most come, the parent stands last, one step away: nothing else can be nearer.
    const last = this.#packets.tail[packet] ?? 0;
    if (!divided && this.#goesOn(packet, last, row, entry)) return last;
    return this.#nearest(packet, row, entry, divided);
  }

  /** Whether a row is one step further than the last sighting of a packet, and may be what was seen there. */
  #goesOn(packet: number, last: number, row: number, entry: number): boolean {
    const c = this.#columns;
    const { reach, distinct } = this.#scene;
    if (!distinct || reach.distance(c.hop[last] ?? 0, c.hop[row] ?? 0) !== 1) return false;
    if (!this.#follows(packet, last, row, entry, false)) return false;
    const ttl = c.ttl[row] ?? 0;
    const { head, next } = this.#packets;
    for (let s = head[packet] ?? NONE; s !== last; s = next[s] ?? NONE)
      if (c.ttl[s] === ttl && this.#excludes(s, row)) return false;
    return true;
  }

  /** The nearest of the sightings of a packet that a row may come from. */
  #nearest(packet: number, row: number, entry: number, divided: boolean): number {
    const c = this.#columns;
    const packets = this.#packets;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    const ttl = c.ttl[row] ?? 0;
    let best = NONE;
    let bestDistance = FAR;
    for (let s = packets.head[packet] ?? NONE; s !== NONE; s = packets.next[s] ?? NONE) {
      if (divided && commonBytes(c, s, row) === 0) continue;
      const from = c.hop[s] ?? 0;
      if (c.ttl[s] === ttl && this.#excludes(s, row)) return NONE;
      const distance = from === hop ? 1 : reach.distance(from, hop);
      if (distance === FAR || distance > bestDistance) continue;
      if (!this.#follows(packet, s, row, entry, divided)) continue;
      bestDistance = distance;
      best = s;
    }
    return best;
  }

  /**
   * Whether two sightings of one TTL cannot be of one packet: copies of it at one hop; or other tuples, as NAT is a router's
   * work, but for a bridge that hands its frames to IP.
   */
  #excludes(before: number, row: number): boolean {
    const c = this.#columns;
    const [from, hop] = [c.hop[before] ?? 0, c.hop[row] ?? 0];
    if (this.#flows.sameTuple(before, row)) return from === hop;
    const { bridgesNat } = this.#scene;
    const bridged = c.kind[row] === Kind.arp || c.kind[row] === Kind.frame;
    return !bridged && bridgesNat[hop] === 0 && bridgesNat[from] === 0;
  }

  /** Whether time, TTL and addresses allow a row to be what was seen as `before`. */
  #follows(packet: number, before: number, row: number, entry: number, divided: boolean): boolean {
    const c = this.#columns;
    const lowered = (c.ttl[before] ?? 0) - (c.ttl[row] ?? 0);
    const routes = this.#scene.reach.routes(c.hop[before] ?? 0, c.hop[row] ?? 0);
    if (!this.#possible(before, row, lowered, routes)) return false;
    if (this.#flows.sameTuple(before, row)) return !divided || !this.#comesHome(before, row);
    return this.#isTranslated(packet, before, row, entry, lowered);
  }

  /** Whether NAT may have made the tuple of a row from that of `before`. */
  #isTranslated(packet: number, before: number, row: number, entry: number, lowered: number): boolean {
    const c = this.#columns;
    const kind = c.kind[row];
    if (kind === Kind.arp || kind === Kind.frame) return false;
    if (lowered <= 0 && (lowered < 0 || !this.#bridgesNat(before, row))) return false;
    return !this.#isOver(packet, row) && this.#flows.mayBecome(before, row, entry);
  }

  /** Whether two hops are of one node that puts what its bridges pass on to the rules of IP. */
  #bridgesNat(before: number, row: number): boolean {
    const { nodes, bridgesNat } = this.#scene;
    const [from, hop] = [this.#columns.hop[before] ?? 0, this.#columns.hop[row] ?? 0];
    return bridgesNat[hop] === 1 && nodes[from] === nodes[hop];
  }

  /** What has arrived may still be seen late where it has been, but no router makes anything new of it. */
  #isOver(packet: number, row: number): boolean {
    const packets = this.#packets;
    const complete = ((packets.state[packet] ?? 0) & State.complete) !== 0;
    return complete && (this.#columns.time[row] ?? 0) > (packets.touched[packet] ?? 0);
  }

  /** Whether the TTL fell as the routers between two hops lower it, and time did not run backwards. */
  #possible(before: number, after: number, lowered: number, routes: number): boolean {
    const c = this.#columns;
    const late = (c.time[after] ?? 0) - (c.time[before] ?? 0);
    // The row may lie upstream of a sighting that came first, if only just.
    if (lowered < 0) return late <= SLACK && routes <= -lowered;
    return late >= -SLACK && (lowered === 0 ? routes === 0 : routes <= lowered);
  }

  /** Whether what was seen elsewhere before would come back to the node that sends it: then it was sent again. */
  #comesHome(before: number, row: number): boolean {
    const c = this.#columns;
    const node = this.#scene.nodes[c.hop[row] ?? 0] ?? 0;
    if (this.#scene.nodes[c.hop[before] ?? 0] === node || (c.time[row] ?? 0) - (c.time[before] ?? 0) <= SLACK)
      return false;
    return this.#scene.isLocal(node, c.family[row] ?? 0, c.source[row] ?? 0);
  }

  /**
   * Whether a row stands behind the last sighting of a packet, one step away, whatever the time between them: also with the
   * same stamp, if that is not the first of all.
   */
  isPlain(last: number, row: number): boolean {
    const c = this.#columns;
    const { reach, distinct } = this.#scene;
    if (!distinct || reach.distance(c.hop[last] ?? 0, c.hop[row] ?? 0) !== 1) return false;
    if ((c.ttl[row] ?? 0) > (c.ttl[last] ?? 0)) return false;
    const before = this.#packets.parent[last] ?? NONE;
    return before === NONE || !this.#onTheWay(before, row, last);
  }

  /** Puts a row into a packet, behind its parent or where equal stamps and the topology want it. */
  insert(packet: number, row: number, parent: number): void {
    const packets = this.#packets;
    const after = this.#placeFor(packet, row, parent);
    if (after === packets.tail[packet]) {
      packets.parent[row] = parent;
      packets.append(packet, row);
      return;
    }
    this.#insertAmid(packet, row, after);
  }

  #insertAmid(packet: number, row: number, after: number): void {
    const c = this.#columns;
    const packets = this.#packets;
    if (after === NONE) {
      packets.parent[packets.head[packet] ?? 0] = row;
      packets.parent[row] = NONE;
    } else {
      packets.parent[row] = after;
      const follower = packets.next[after] ?? NONE;
      const onward =
        follower !== NONE &&
        ((c.time[follower] ?? 0) >= (c.time[row] ?? 0) || (c.ttl[follower] ?? 0) < (c.ttl[row] ?? 0));
      if (onward && packets.parent[follower] === after) packets.parent[follower] = row;
    }
    packets.insert(packet, row, after);
  }

  /** The sighting that a new one stands behind, NONE for the first place. */
  #placeFor(packet: number, row: number, parent: number): number {
    const c = this.#columns;
    const packets = this.#packets;
    const tail = packets.tail[packet] ?? NONE;
    if ((c.ttl[row] ?? 0) > (c.ttl[parent] ?? 0)) return packets.parent[parent] ?? NONE;
    // Where it was still to be lowered it stands before those that have been.
    const late = (c.ttl[row] ?? 0) > (c.ttl[tail] ?? 0) && ((c.marks[row] ?? 0) & Mark.group) === 0;
    if (late) return this.#lastOfTtl(packet, row);
    const later = (c.time[row] ?? 0) - (c.time[parent] ?? 0);
    const before = packets.parent[parent] ?? NONE;
    if (parent !== tail) {
      if (this.#between(row, parent)) return parent;
      // Out of order by no more than stamps are, it stood before its parent; else it is a branch of a tree, which goes last.
      return before !== NONE && later <= SLACK && this.#onTheWay(before, row, parent) ? before : tail;
    }
    if (later > SLACK || (later > 0 && c.ttl[row] !== c.ttl[parent])) return parent;
    // The same stamp (a packet that a bridge passes up keeps that of its port), or perhaps out of order.
    if (before === NONE) return later <= 0 && this.#comesFirst(row, parent) ? NONE : parent;
    return this.#onTheWay(before, row, parent) ? before : parent;
  }

  /** Whether a row lies on the shortest way from one sighting to the next, rather than behind both. */
  #onTheWay(before: number, row: number, after: number): boolean {
    const c = this.#columns;
    const { reach } = this.#scene;
    const [from, hop, to] = [c.hop[before] ?? 0, c.hop[row] ?? 0, c.hop[after] ?? 0];
    // Further on, as most are.
    if (reach.distance(from, hop) > reach.distance(from, to)) return false;
    // Where the TTL fell by more than on the shortest way, it did not come by that (hairpin).
    const direct = reach.routes(from, hop) === (c.ttl[before] ?? 0) - (c.ttl[row] ?? 0);
    return (
      direct && reach.distance(from, hop) + reach.distance(hop, to) < reach.distance(from, to) + reach.distance(to, hop)
    );
  }

  /** The last sighting of a packet that is further up than a row by TTL, or, at an equal one, by the shorter way. */
  #lastOfTtl(packet: number, row: number): number {
    const c = this.#columns;
    const packets = this.#packets;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    let [before, last] = [NONE, NONE];
    for (let s = packets.head[packet] ?? NONE; s !== NONE && (c.ttl[s] ?? 0) >= (c.ttl[row] ?? 0);) {
      [before, last] = [last, s];
      s = packets.next[s] ?? NONE;
    }
    if (before === NONE || c.ttl[last] !== c.ttl[row]) return last;
    const [from, to] = [c.hop[before] ?? 0, c.hop[last] ?? 0];
    const shorter = reach.distance(from, hop) + reach.distance(hop, to) <= reach.distance(from, to);
    return shorter ? before : last;
  }

  /** Whether a row, not older than the sighting behind its parent, lies on the way between the two. */
  #between(row: number, parent: number): boolean {
    const c = this.#columns;
    const next = this.#packets.next[parent] ?? NONE;
    if (next === NONE) return false;
    // One that was still to be lowered was there first, whatever the stamps say.
    if ((c.time[row] ?? 0) > (c.time[next] ?? 0) && (c.ttl[row] ?? 0) <= (c.ttl[next] ?? 0)) return false;
    const { reach } = this.#scene;
    const hop = c.hop[row] ?? 0;
    const from = c.hop[parent] ?? 0;
    const to = c.hop[next] ?? 0;
    return reach.distance(from, hop) + reach.distance(hop, to) <= reach.distance(from, to);
  }

  /** Two sightings, one stamp, nothing else known: the frame goes towards its link-layer destination. */
  #comesFirst(row: number, other: number): boolean {
    const c = this.#columns;
    if (((c.marks[row] ?? 0) & (c.marks[other] ?? 0) & Mark.macs) === 0) return false;
    const destination = c.destinationMac[other] ?? -1;
    return this.#scene.macs[c.hop[other] ?? 0] === destination && this.#scene.macs[c.hop[row] ?? 0] !== destination;
  }
}
