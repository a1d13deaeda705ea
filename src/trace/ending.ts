/** How packets end: verdicts, their causes, and the counts that a trace closes with. */
import type { Cause, MatchClass, PacketEvent, PacketsTold, TraceFilter, Verdict } from "../model/trace.js";
import type { Header } from "../path/header.js";
import type { AddressBook } from "../packet/address.js";
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { isNamed } from "../packet/fingerprint.js";
import { EventMaker } from "./event.js";
import type { Flow } from "./flow.js";
import type { FlowIndex } from "./flow-index.js";
import type { Gaps } from "./gaps.js";
import { Loss } from "./loss.js";
import { NONE, type Packets, State } from "./packets.js";
import type { Scene } from "./scene.js";
import { errorText } from "./summary.js";
import type { TapLosses } from "./tap-losses.js";
import { hopsOf, lastWhole } from "./whole.js";

/** What a collector of evidence is asked: a packet that was not seen again, and where. */
export interface LostPacket {
  readonly packet: PacketEvent;
  readonly header: Header;
  readonly after: string;
  readonly before?: string;
  /** What the snapshot's configuration suggests. */
  readonly configuration?: Cause;
}

export type Explain = (lost: LostPacket) => Cause | undefined;

export interface EndingOptions {
  readonly filter: TraceFilter;
  readonly explain?: Explain;
  readonly tell?: PacketsTold;
  readonly count?: number;
  readonly bare?: boolean;
}

const DELIVERED: Verdict = { kind: "delivered" };

export class Endings {
  /** Verdict of the packet that was closed last. */
  last: Verdict = DELIVERED;
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #losses: TapLosses;
  readonly #gaps: Gaps;
  readonly #options: EndingOptions;
  readonly #events: EventMaker;
  readonly #refusals = new Map<number, { readonly by: string; readonly reason: string }>();
  readonly #loss: Loss;
  readonly #limit: number;
  #shown = 0;
  #evicted = 0;
  readonly #matches: Record<MatchClass, number> = { exact: 0, strong: 0, ordered: 0, ambiguous: 0, single: 0 };
  readonly #verdicts: Record<Verdict["kind"], number> = { delivered: 0, refused: 0, dropped: 0, unknown: 0 };

  constructor(
    scene: Scene,
    columns: Columns,
    book: AddressBook,
    packets: Packets,
    flows: FlowIndex,
    losses: TapLosses,
    gaps: Gaps,
    options: EndingOptions,
  ) {
    this.#scene = scene;
    this.#columns = columns;
    this.#packets = packets;
    this.#losses = losses;
    this.#gaps = gaps;
    this.#options = options;
    this.#limit = options.count ?? Infinity;
    this.#events = new EventMaker(scene, columns, book, packets);
    this.#loss = new Loss(scene, columns, book, flows, losses);
  }

  /** Notes that an error or a RST came for a packet. @returns `host: port unreachable` */
  refuse(packet: number, row: number): string {
    const known = this.#refusals.get(packet);
    if (known) return `${known.by}: ${known.reason}`;
    const c = this.#columns;
    const refusal = {
      by: this.#loss.sender(row),
      reason: c.kind[row] === Kind.icmpError ? `ICMP ${errorText(c, row)}` : "RST",
    };
    this.#refusals.set(packet, refusal);
    return `${refusal.by}: ${refusal.reason}`;
  }

  provisional(packet: number, flow: Flow): PacketEvent {
    const refusal = this.#refusals.get(packet);
    const complete = ((this.#packets.state[packet] ?? 0) & State.complete) !== 0;
    const verdict: Verdict = refusal
      ? { kind: "refused", ...refusal }
      : complete
        ? { kind: "delivered" }
        : { kind: "unknown", reason: "still on its way" };
    return this.#events.make(packet, flow, this.#matchOf(packet), verdict, true);
  }

  /** As many packets have been told as were asked for. */
  get full(): boolean {
    return this.#shown >= this.#limit;
  }

  /** @returns the event of a packet that the filter lets through */
  close(packet: number, flow: Flow): PacketEvent | undefined {
    const state = this.#packets.state[packet] ?? 0;
    const match = this.#matchOf(packet);
    const arrived = (state & State.complete) !== 0 && this.#refusals.size === 0;
    const verdict = arrived ? DELIVERED : this.#verdict(packet, flow, state, match);
    if (this.#refusals.size > 0) this.#refusals.delete(packet);
    this.last = verdict;
    if ((state & State.shown) === 0) return undefined;
    this.#shown++;
    this.#matches[match]++;
    this.#verdicts[verdict.kind]++;
    this.#gaps.time(packet);
    if (!arrived) this.#missed(verdict);
    if (state & State.evicted) this.#evicted += this.#packets.count[packet] ?? 0;
    const { tell = "all" } = this.#options;
    if (tell === "none" || (tell === "undelivered" && verdict.kind === "delivered")) return undefined;
    return this.#events.make(packet, flow, match, verdict, false);
  }

  #missed(verdict: Verdict): void {
    if (verdict.kind === "dropped" && verdict.before !== undefined)
      this.#gaps.lose(this.#scene.hopNumbers.get(verdict.before) ?? -1);
  }

  totals(): {
    packets: number;
    matches: Readonly<Record<MatchClass, number>>;
    verdicts: Readonly<Record<Verdict["kind"], number>>;
    evicted: number;
  } {
    return { packets: this.#shown, matches: this.#matches, verdicts: this.#verdicts, evicted: this.#evicted };
  }

  #matchOf(packet: number): MatchClass {
    const c = this.#columns;
    const state = this.#packets.state[packet] ?? 0;
    if (this.#packets.count[packet] === 1) return "single";
    if (state & State.ambiguous) return "ambiguous";
    if (state & State.ordered) return "ordered";
    return isNamed(c, this.#packets.head[packet] ?? 0) && (state & (State.unproven | State.segmented)) === 0
      ? "exact"
      : "strong";
  }

  #verdict(packet: number, flow: Flow, state: number, match: MatchClass): Verdict {
    const refusal = this.#refusals.get(packet);
    if (refusal) return { kind: "refused", ...refusal };
    if (state & State.complete) return DELIVERED;
    if (state & State.evicted) return { kind: "unknown", reason: "it left the window before it closed" };
    const tail =
      state & State.segmented ? lastWhole(this.#columns, this.#packets, packet) : (this.#packets.tail[packet] ?? 0);
    if ((this.#columns.marks[tail] ?? 0) & Mark.group) return { kind: "delivered" };
    if (match === "ambiguous") return { kind: "unknown", reason: "equal packets cannot be told apart" };
    if (this.#options.bare) return this.#bare(packet);
    const found = this.#belated(packet) ?? this.#loss.after(tail, this.#packets.parent[tail] ?? NONE);
    // Order told them apart, and where taps missed some it may have given the sightings of one to another.
    if (found.kind === "dropped" && (state & State.ordered) !== 0 && this.#losses.any)
      return { kind: "unknown", reason: "equal packets were about, and taps missed records" };
    if (found.kind !== "dropped" || !this.#options.explain) return found;
    const header = this.#loss.header(tail);
    if (!header) return found;
    const cause = this.#options.explain({
      packet: this.#events.make(packet, flow, match, found, false),
      header,
      after: found.after,
      ...(found.before === undefined ? {} : { before: found.before }),
      ...(found.cause === undefined ? {} : { configuration: found.cause }),
    });
    return cause === undefined ? found : { ...found, cause };
  }

  /** Of a network that nobody has described: seen at every hop is all that can be said. */
  #bare(packet: number): Verdict {
    const { names } = this.#scene;
    if (names.length === 1) return { kind: "unknown", reason: "a bare capture does not tell where its packets go" };
    const seen = hopsOf(this.#columns, this.#packets, packet);
    if (seen.size === names.length) return { kind: "delivered" };
    const missing = names.filter((_, hop) => !seen.has(hop)).join(", ");
    return {
      kind: "unknown",
      reason: `not seen at ${missing}; bare captures do not tell whether it should have been`,
    };
  }

  /** What a tap brings that had not answered may be of a packet that has been told without it. */
  #belated(packet: number): Verdict | undefined {
    const head = this.#packets.head[packet] ?? 0;
    const hop = this.#columns.hop[head] ?? 0;
    if (!this.#losses.isBelated(hop, this.#columns.time[head] ?? 0)) return undefined;
    return {
      kind: "unknown",
      reason: `the tap of ${this.#scene.names[hop] ?? ""} did not answer then: what it saw may be of a packet that was told before`,
    };
  }
}
