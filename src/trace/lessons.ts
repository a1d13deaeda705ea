/** What a join teaches: the tuples of its connection, what NAT made of them, and how long the gap takes. */
import type { Columns } from "../packet/columns.js";
import { isNamed, sameInvariants } from "../packet/fingerprint.js";
import type { ExchangeBook } from "./exchange.js";
import type { Flow } from "./flow.js";
import type { FlowIndex } from "./flow-index.js";
import type { JoinerParts } from "./joiner.js";
import type { Latency } from "./latency.js";
import { NONE, type Packets, State } from "./packets.js";
import type { TapLosses } from "./tap-losses.js";
import type { Ways } from "./way.js";

export class Lessons {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #flows: FlowIndex;
  readonly #ways: Ways;
  readonly #latency: Latency;
  readonly #exchanges: ExchangeBook;
  readonly #losses: TapLosses;

  constructor({ columns, packets, flows, ways, latency, exchanges, losses }: JoinerParts) {
    this.#columns = columns;
    this.#packets = packets;
    this.#flows = flows;
    this.#ways = ways;
    this.#latency = latency;
    this.#exchanges = exchanges;
    this.#losses = losses;
  }

  /**
   * What a join says of its connection: the tuple that it has here, and what NAT made it from.
   * @returns whether that was known, as it will be for those that come like it
   */
  learn(packet: number, flow: Flow, row: number, entry: number, parent: number): boolean {
    if (((this.#packets.state[packet] ?? 0) & State.contested) !== 0) return false;
    // Most have the tuple that their connection is known by, or one that NAT is known to make from it.
    if (entry !== NONE && this.#flows.table.flow(entry) === flow) {
      if (this.#flows.sameTuple(parent, row)) return true;
      if (this.#flows.isKnown(row, entry, parent)) return this.#translated(packet, flow, row);
    }
    this.#learnNew(packet, flow, row, entry, parent);
    return false;
  }

  #learnNew(packet: number, flow: Flow, row: number, entry: number, parent: number): void {
    const packets = this.#packets;
    if (this.#flows.isNews(row, entry, parent) && this.#hasLookalike(packet, row, entry)) {
      packets.mark(packet, State.ordered | State.contested);
      return;
    }
    const learned = this.#flows.learn(flow, packets.direction(packet), row, entry, parent);
    if (learned === "new") {
      packets.mark(packet, State.unproven);
      this.#exchanges.translated(flow, row, packets.direction(packet));
    } else if (learned === "known") this.#translated(packet, flow, row);
  }

  /**
   * Texts are made for the first packets only; the others look the same.
   * @returns whether this was one of the others
   */
  #translated(packet: number, flow: Flow, row: number): boolean {
    const direction = this.#packets.direction(packet);
    if (flow.delivered[direction] > 0) return true;
    this.#exchanges.translated(flow, row, direction);
    return false;
  }

  /**
   * Whether a packet of another connection, equal in all that NAT leaves alone, is on its way too. One that the row could
   * have been of as well is from now on a matter of order, too: what is left for it was not decided by anything else.
   */
  #hasLookalike(packet: number, row: number, entry: number): boolean {
    const packets = this.#packets;
    const fingerprint = this.#columns.fingerprint[row] ?? 0;
    let found = false;
    for (let p = packets.first(fingerprint); p !== NONE; p = packets.bucketNext[p] ?? NONE) {
      if (p === packet || packets.fingerprint[p] !== fingerprint || packets.flow[p] === packets.flow[packet]) continue;
      if (!sameInvariants(this.#columns, packets.head[p] ?? 0, row)) continue;
      if (this.#ways.parentOf(p, row, entry, false) !== NONE) packets.mark(p, State.ordered | State.contested);
      // What one has that may be another's keeps it from nothing.
      else if (((packets.state[p] ?? 0) & State.contested) === 0) continue;
      found = true;
    }
    return found;
  }

  /**
   * Learns how long the gap takes. Where taps lose records, an equal packet may have passed unseen before: a join that
   * took far longer than usual, or far less, or came when the packet had arrived, of one without a number of its own, is then a
   * matter of order.
   */
  time(packet: number, row: number, parent: number): void {
    const c = this.#columns;
    const from = c.hop[parent] ?? 0;
    const to = c.hop[row] ?? 0;
    const gap = (c.time[row] ?? 0) - (c.time[parent] ?? 0);
    if (this.#losses.any) {
      const usual = this.#latency.usual(from, to);
      const far = usual && (gap > 8 * usual.gap + 1e6 || gap < usual.gap / 2 - 1e6);
      const late = ((this.#packets.state[packet] ?? 0) & State.complete) !== 0;
      if (!isNamed(c, row) && (late || (far && this.#latency.isRare(from, to, gap))))
        this.#packets.mark(packet, State.ordered);
      this.#latency.count(from, to, gap);
    }
    this.#latency.note(from, to, gap);
  }
}
