/** How packets end: verdicts, their causes, and the counts that a trace closes with. */
import type { Cause, MatchClass, PacketEvent, TraceFilter, Verdict } from "../model/trace.js";
import type { Address } from "../model/address.js";
import type { Header } from "../path/header.js";
import type { Translate } from "../path/connection.js";
import { predict, type PredictionStart } from "../path/predict.js";
import type { Prediction } from "../path/prediction.js";
import { type AddressBook, macNumber, macText } from "../packet/address.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { EventMaker } from "./event.js";
import type { Flow } from "./flow.js";
import { type FlowIndex, isNameless } from "./flow-index.js";
import type { Gaps } from "./gaps.js";
import { NONE, type Packets, State } from "./packets.js";
import type { Scene } from "./scene.js";
import { errorText } from "./summary.js";
import type { TapLosses } from "./tap-losses.js";
import { lastWhole } from "./whole.js";

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
  readonly countOnly?: boolean;
  readonly count?: number;
  readonly bare?: boolean;
}

/** Predictions kept: losses tend to repeat. */
const REMEMBERED = 256;
const DELIVERED: Verdict = { kind: "delivered" };

export class Endings {
  /** Verdict of the packet that was closed last. */
  last: Verdict = DELIVERED;
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  readonly #packets: Packets;
  readonly #flows: FlowIndex;
  readonly #losses: TapLosses;
  readonly #gaps: Gaps;
  readonly #options: EndingOptions;
  readonly #events: EventMaker;
  readonly #refusals = new Map<number, { readonly by: string; readonly reason: string }>();
  readonly #predictions = new Map<string, Verdict>();
  readonly #hopNumbers: ReadonlyMap<string, number>;
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
    this.#book = book;
    this.#packets = packets;
    this.#flows = flows;
    this.#losses = losses;
    this.#gaps = gaps;
    this.#options = options;
    this.#limit = options.count ?? Infinity;
    this.#events = new EventMaker(scene, columns, book, packets);
    this.#hopNumbers = new Map(scene.names.map((name, number) => [name, number]));
  }

  /** Notes that an error or a RST came for a packet. @returns `host: port unreachable` */
  refuse(packet: number, row: number): string {
    const known = this.#refusals.get(packet);
    if (known) return `${known.by}: ${known.reason}`;
    const c = this.#columns;
    const refusal = {
      by: this.#sender(row),
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
    const verdict = this.#verdict(packet, flow, state, match);
    if (this.#refusals.size > 0) this.#refusals.delete(packet);
    this.last = verdict;
    if ((state & State.shown) === 0) return undefined;
    this.#shown++;
    this.#matches[match]++;
    this.#verdicts[verdict.kind]++;
    this.#gaps.time(packet);
    if (verdict.kind === "dropped" && verdict.before !== undefined)
      this.#gaps.lose(this.#hopNumbers.get(verdict.before) ?? -1);
    if (state & State.evicted) this.#evicted += this.#packets.count[packet] ?? 0;
    return this.#options.countOnly ? undefined : this.#events.make(packet, flow, match, verdict, false);
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
    const head = this.#packets.head[packet] ?? 0;
    const kind = c.kind[head];
    // What names this one packet apart from its content: a number its sender gave it.
    const named = c.identification[head] !== 0 || kind === Kind.echo || kind === Kind.arp;
    return named && (state & (State.unproven | State.segmented)) === 0 ? "exact" : "strong";
  }

  #verdict(packet: number, flow: Flow, state: number, match: MatchClass): Verdict {
    const refusal = this.#refusals.size === 0 ? undefined : this.#refusals.get(packet);
    if (refusal) return { kind: "refused", ...refusal };
    if (state & State.complete) return DELIVERED;
    if (state & State.evicted) return { kind: "unknown", reason: "it left the window before it closed" };
    const tail =
      state & State.segmented ? lastWhole(this.#columns, this.#packets, packet) : (this.#packets.tail[packet] ?? 0);
    if ((this.#columns.marks[tail] ?? 0) & Mark.group) return { kind: "delivered" };
    if (match === "ambiguous") return { kind: "unknown", reason: "equal packets cannot be told apart" };
    if (this.#options.bare) return this.#bare(packet);
    const found = this.#belated(packet) ?? this.#lost(tail, this.#packets.parent[tail] ?? NONE);
    if (found.kind !== "dropped" || !this.#options.explain) return found;
    const header = this.#header(tail);
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
    const seen = new Set<number>();
    for (let s = this.#packets.head[packet] ?? NONE; s !== NONE; s = this.#packets.next[s] ?? NONE)
      seen.add(this.#columns.hop[s] ?? 0);
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

  /** Not seen again after `row`: where the configuration says it should have gone. */
  #lost(row: number, parent: number): Verdict {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const place = this.#scene.places[hop];
    const name = this.#scene.names[hop] ?? "";
    if (!place) return { kind: "unknown", reason: `${name} is not in the snapshot` };
    if (c.kind[row] === Kind.frame) return { kind: "delivered" };
    if (isNameless(c, row) && this.#scene.translates(this.#scene.nodes[hop] ?? 0))
      return { kind: "unknown", reason: "its first fragment was not seen, so whose it is cannot be said" };
    const direction = this.#heading(row, parent);
    if (c.kind[row] === Kind.arp) return this.#lostArp(row, direction);
    const header = this.#header(row);
    if (header && c.kind[row] === Kind.icmpError) header.destination = this.#destinationOfError(row);
    if (!header) return { kind: "unknown", reason: `what ${name} saw is too short to follow` };
    const toward = (c.marks[row] ?? 0) & Mark.macs ? macText(c.destinationMac[row] ?? 0) : undefined;
    const key = JSON.stringify([
      hop,
      direction,
      toward,
      header.protocol,
      String(header.source.value),
      String(header.destination.value),
      header.sourcePort,
      header.destinationPort,
      header.icmpType,
      header.tcpFlags,
      header.ttl,
      this.#flows.table.size,
      this.#losses.state(c.time[row] ?? 0),
    ]);
    const known = this.#predictions.get(key);
    if (known) return known;
    const start: PredictionStart = {
      hop: { node: place.node.name, interface: place.interface.name, direction },
      header,
      ...(toward === undefined ? {} : { destinationMac: toward }),
      translate: this.#translate,
    };
    const verdict = this.#judge(predict(this.#scene.network, start), start, name, c.time[row] ?? 0);
    if (this.#predictions.size >= REMEMBERED) this.#predictions.clear();
    this.#predictions.set(key, verdict);
    return verdict;
  }

  /** @param time when it was seen last */
  #judge(prediction: Prediction, start: PredictionStart, after: string, time: number): Verdict {
    const { end } = prediction;
    // Where it would have gone, had no rule been in its way.
    const onward = end.kind === "dropped" ? predict(this.#scene.network, { ...start, pastRules: true }) : prediction;
    const next = onward.steps.slice(1).find((step) => !step.implied && this.#hopNumbers.has(step.hop));
    const tapped = prediction.steps.slice(1).some((step) => !step.implied && this.#hopNumbers.has(step.hop));
    const doubt = next && this.#losses.doubt(this.#hopNumbers.get(next.hop) ?? -1, next.hop, time);
    if (doubt !== undefined) return { kind: "unknown", reason: doubt };
    const before = next === undefined ? {} : { before: next.hop };
    if (end.kind === "dropped" && !tapped) return { kind: "dropped", after, ...before, cause: end.cause };
    if (next !== undefined) return { kind: "dropped", after, ...before };
    if (end.kind === "unknown" && end.leaves !== true) return { kind: "unknown", reason: end.reason };
    return end.kind === "dropped" ? { kind: "dropped", after, cause: end.cause } : { kind: "delivered" };
  }

  /** Neighbour questions stay on their link-layer network. */
  #lostArp(row: number, direction: "in" | "out"): Verdict {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const after = this.#scene.names[hop] ?? "";
    if (direction === "in" && this.#scene.ports[hop] === 0) return { kind: "delivered" };
    const place = this.#scene.places[hop];
    const peer = direction === "out" ? place?.peer : place?.master;
    const before = peer && `${peer.node.name}:${peer.interface.name}`;
    const number = before === undefined ? undefined : this.#hopNumbers.get(before);
    if (before === undefined || number === undefined) return { kind: "delivered" };
    const doubt = this.#losses.doubt(number, before, c.time[row] ?? 0);
    if (doubt !== undefined) return { kind: "unknown", reason: doubt };
    return { kind: "dropped", after, before };
  }

  /**
   * Whether the last sighting of a packet was on its way in or out of the interface. The frame itself says so best: of where it
   * was before, taps may have missed the last part.
   */
  #heading(row: number, parent: number): "in" | "out" {
    const c = this.#columns;
    const hop = c.hop[row] ?? 0;
    const marks = c.marks[row] ?? 0;
    const { nodes, places, macs } = this.#scene;
    if (marks & Mark.outgoing) return "out";
    if (marks & Mark.macs) {
      const [source, destination] = [c.sourceMac[row], c.destinationMac[row]];
      const peer = places[hop]?.peer?.interface.mac;
      const peerMac = peer === undefined ? -1 : macNumber(peer);
      if (macs[hop] === destination || peerMac === source) return "in";
      if (macs[hop] === source || peerMac === destination) return "out";
    } else if ((macs[hop] ?? -1) >= 0) return "in"; // a tap on the whole node, which marks what goes out
    if (parent !== NONE) {
      const from = c.hop[parent] ?? 0;
      const up = places[hop] !== undefined && places[from]?.master === places[hop]; // from a port to its bridge
      return nodes[from] === nodes[hop] && !up ? "out" : "in";
    }
    if (marks & Mark.macs) return "in";
    return this.#scene.isLocal(nodes[hop] ?? 0, c.family[row] ?? 0, c.source[row] ?? 0) ? "out" : "in";
  }

  #header(row: number): (Header & { destination: Address }) | undefined {
    const c = this.#columns;
    const family = c.family[row];
    if (family !== 4 && family !== 6) return undefined;
    const kind = c.kind[row];
    const named = kind === Kind.fragment && !isNameless(c, row);
    const ports = kind === Kind.tcp || kind === Kind.udp || kind === Kind.echo || named;
    const icmp = kind === Kind.echo || kind === Kind.icmp || kind === Kind.icmpError;
    return {
      family,
      protocol: c.protocol[row] ?? 0,
      source: this.#scene.address(family, c.source[row] ?? 0),
      destination: this.#scene.address(family, c.destination[row] ?? 0),
      ttl: c.ttl[row] ?? 0,
      ...(ports ? { sourcePort: c.sourcePort[row] ?? 0, destinationPort: c.destinationPort[row] ?? 0 } : {}),
      ...(icmp ? { icmpType: (c.sequence[row] ?? 0) >>> 24 } : {}),
      ...(kind === Kind.tcp ? { tcpFlags: (c.flags[row] ?? 0) & ~(Tcp.ece | Tcp.cwr) } : {}),
    };
  }

  /** An ICMP error goes where NAT leads the answers to the packet that it quotes. */
  #destinationOfError(row: number): Address {
    const c = this.#columns;
    const { table } = this.#flows;
    const entry = this.#flows.lookup(row, this.#scene.nodes[c.hop[row] ?? 0] ?? 0);
    const to = entry === NONE ? NONE : table.translated(entry);
    const family = c.family[row] ?? 0;
    const destination = to === NONE || to === entry ? (c.destination[row] ?? 0) : table.keyOf(to).destination;
    return this.#scene.address(family, destination);
  }

  /** Conntrack and what joins have taught, for the prediction. */
  readonly #translate: Translate = (node, header) => {
    const flows = this.#flows.table;
    const entry = flows.find(
      this.#scene.nodeNumber(node),
      header.family,
      header.protocol,
      this.#book.numberOf(header.family, header.source.value),
      this.#book.numberOf(header.family, header.destination.value),
      header.sourcePort ?? 0,
      header.destinationPort ?? 0,
    );
    const to = entry === NONE ? NONE : flows.translated(entry);
    if (to === NONE) return undefined;
    const key = flows.keyOf(to);
    const answered = (flows.flow(entry)?.sent[1] ?? 0) > 0;
    return {
      header: {
        ...header,
        source: this.#scene.address(key.family, key.source),
        destination: this.#scene.address(key.family, key.destination),
        ...(header.sourcePort === undefined ? {} : { sourcePort: key.sourcePort }),
        ...(header.destinationPort === undefined ? {} : { destinationPort: key.destinationPort }),
      },
      direction: flows.direction(entry) === 0 ? "original" : "reply",
      state: answered ? "established" : "new",
    };
  };

  /** Who sent a packet: the node whose interface saw it first, or the node behind that port. */
  #sender(row: number): string {
    const hop = this.#columns.hop[row] ?? 0;
    const place = this.#scene.places[hop];
    if (place?.master && place.peer && this.#heading(row, NONE) === "in") return place.peer.node.name;
    return this.#scene.hops[hop]?.node ?? "";
  }
}
