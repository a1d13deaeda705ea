/** Which of several open packets, all equal to a sighting, it is likeliest to be of. */
import { type Columns, Mark } from "../packet/columns.js";
import type { Copies } from "./copies.js";
import type { FlowIndex } from "./flow-index.js";
import type { JoinerParts } from "./joiner.js";
import type { Latency } from "./latency.js";
import type { Lifetimes } from "./lifetime.js";
import { NONE, type Packets, State } from "./packets.js";
import type { Ways } from "./way.js";

export class Choice {
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #flows: FlowIndex;
  readonly #ways: Ways;
  readonly #latency: Latency;
  readonly #copies: Copies;
  readonly #lifetimes: Lifetimes;

  constructor({ columns, packets, flows, ways, latency, copies }: JoinerParts, lifetimes: Lifetimes) {
    this.#columns = columns;
    this.#packets = packets;
    this.#flows = flows;
    this.#ways = ways;
    this.#latency = latency;
    this.#copies = copies;
    this.#lifetimes = lifetimes;
  }

  /** Several open packets are equal to a row: for now it goes to the likeliest; `Copies` has the last word. */
  of(found: readonly number[], row: number, entry: number): number {
    const c = this.#columns;
    const packets = this.#packets;
    const time = c.time[row] ?? 0;
    const live = found.filter((packet) => !this.decided(packet, time));
    const open = live.length > 0 ? live : found;
    // Which one has the tuple already is known, whatever NAT may make of others.
    const same = open.filter((packet) => this.#flows.sameTuple(this.#ways.parentOf(packet, row, entry, false), row));
    const candidates = same.length > 0 ? same : open;
    const flow = entry === NONE ? undefined : this.#flows.table.flow(entry);
    const own = flow ? candidates.filter((packet) => packets.flow[packet] === flow) : [];
    const ports = candidates.filter((packet) => c.sourcePort[packets.head[packet] ?? 0] === c.sourcePort[row]);
    // NAT keeps the source port where it can.
    const likely = own.length > 0 ? own : ports.length > 0 ? ports : candidates;
    const distance = (packet: number): number => {
      const parent = this.#ways.parentOf(packet, row, entry, false);
      const gap = time - (c.time[parent] ?? 0);
      // The oldest, as long as nothing is known.
      return this.#latency.strangeness(c.hop[parent] ?? 0, c.hop[row] ?? 0, gap) ?? -gap;
    };
    const [first = NONE, ...rest] = [...likely].sort((a, b) => distance(a) - distance(b));
    if (live.length === 0) return first;
    for (const other of rest) {
      if (packets.flow[other] === packets.flow[first]) this.#copies.rival(first, other);
      else {
        // Different connections that nothing tells apart behind NAT.
        packets.mark(first, State.ambiguous | State.contested);
        packets.mark(other, State.ambiguous | State.contested);
      }
    }
    // One that has arrived may be seen late where it was not seen yet.
    const late = found.filter(
      (packet) => !live.includes(packet) && ((packets.state[packet] ?? 0) & State.complete) !== 0,
    );
    if (late.length > 0) packets.mark(first, State.ordered);
    for (const packet of late) packets.mark(packet, State.ordered);
    return first;
  }

  /**
   * Whether a packet is not in question any more: it has arrived, or it went to a group, and those of it that were not seen
   * by now are not held anywhere (nobody asks for a neighbour to send to a group).
   */
  decided(packet: number, time: number): boolean {
    if (this.#copies.of(packet)) return false;
    if ((this.#packets.state[packet] ?? 0) & State.complete) return true;
    const head = this.#packets.head[packet] ?? 0;
    return ((this.#columns.marks[head] ?? 0) & Mark.group) !== 0 && this.#lifetimes.isQuiet(packet, time);
  }
}
