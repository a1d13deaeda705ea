/** Exchanges: both directions of a connection, who asked whom, and what came of it. */
import type { ExchangeEvent, TraceEvent, Verdict } from "../model/trace.js";
import type { AddressBook } from "../packet/address.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { addressIsMulticast, endpointText } from "./endpoint.js";
import { Direction, type Flow, opposite } from "./flow.js";
import type { Scene } from "./scene.js";
import { protocolName, protocolText } from "./summary.js";

const SECOND = 1e9;
/** How long a connection may be silent before its exchange is told and forgotten (nanoseconds). */
const idle = { arp: 5 * SECOND, other: 30 * SECOND, tcpClosed: 2 * SECOND } as const;
/** Exchanges that are kept open at once. */
const MAXIMUM = 65_536;

export class ExchangeBook {
  /** Exchanges that were told. */
  count = 0;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  readonly #emit: (event: TraceEvent) => void;
  readonly #active = new Set<Flow>();
  readonly #listeners: ReadonlySet<number>;
  #last = 0;
  #nextSweep = SECOND;
  /** Of `due` alone: what is told does not depend on it. */
  #nextLook = 0;
  #swept = 0;

  constructor(scene: Scene, columns: Columns, book: AddressBook, emit: (event: TraceEvent) => void) {
    this.#columns = columns;
    this.#book = book;
    this.#emit = emit;
    this.#listeners = new Set(
      scene.network.snapshot.nodes.flatMap((node) =>
        node.listeners.map((one) => (one.protocol === "tcp" ? 6 : 17) * 65_536 + one.port),
      ),
    );
  }

  /** Whether the first packet of a connection asks or answers, by what it is. */
  directionOf(row: number): Direction {
    const c = this.#columns;
    const type = (c.sequence[row] ?? 0) >>> 24;
    switch (c.kind[row]) {
      case Kind.arp:
        return c.flags[row] === 2 ? Direction.reply : Direction.request;
      case Kind.echo:
        return type === 0 || type === 129 ? Direction.reply : Direction.request;
      case Kind.icmpError:
        return Direction.reply;
      case Kind.icmp:
        return type === 136 ? Direction.reply : Direction.request;
      default: {
        const flags = c.flags[row] ?? 0;
        if (c.kind[row] === Kind.tcp && flags & Tcp.syn) return flags & Tcp.ack ? Direction.reply : Direction.request;
        const protocol = (c.protocol[row] ?? 0) * 65_536;
        const to = this.#listeners.has(protocol + (c.destinationPort[row] ?? 0));
        const from = this.#listeners.has(protocol + (c.sourcePort[row] ?? 0));
        return from && !to ? Direction.reply : Direction.request;
      }
    }
  }

  /** A packet of the flow was seen for the first time. */
  began(flow: Flow, row: number, direction: Direction): void {
    const c = this.#columns;
    const time = c.time[row] ?? 0;
    if (flow.exchange === 0) this.#open(flow, row, direction);
    flow.sent[direction]++;
    if (time > flow.end) flow.end = time;
    if (time < flow.start) flow.start = time;
    if (c.kind[row] === Kind.tcp) {
      const flags = c.flags[row] ?? 0;
      if ((flags & (Tcp.syn | Tcp.ack)) === Tcp.syn) flow.opening = c.sequence[row] ?? -1;
      if (flags & Tcp.fin) flow.finished |= direction === Direction.request ? 1 : 2;
      if (flags & Tcp.rst) flow.finished |= 4;
    }
  }

  #open(flow: Flow, row: number, direction: Direction): void {
    const c = this.#columns;
    flow.exchange = ++this.#last;
    flow.protocol = c.kind[row] === Kind.icmpError ? protocolText(c.innerProtocol[row] ?? 0) : protocolName(c, row);
    flow.start = c.time[row] ?? 0;
    const [client, server] = this.#ends(row, direction);
    flow.client = client;
    flow.server = server;
    flow.answerable =
      c.kind[row] === Kind.arp ||
      (((c.marks[row] ?? 0) & Mark.group) === 0 &&
        !addressIsMulticast(this.#book, c.family[row] ?? 0, c.destination[row] ?? 0));
    this.#active.add(flow);
  }

  /** NAT changed the tuple; `row` is the first sighting behind it. */
  translated(flow: Flow, row: number, direction: Direction): void {
    const [client, server] = this.#ends(row, direction);
    if (direction === Direction.request) {
      flow.translatedClient = client;
      flow.translatedServer = server;
    } else if (flow.sent[0] === 0) {
      // Known by its answers only: they come from behind NAT, so the way out shows how the client addressed it.
      flow.translatedClient ||= flow.client;
      flow.translatedServer ||= flow.server;
      flow.client = client;
      flow.server = server;
    }
  }

  refused(flow: Flow, by: string): void {
    if (flow.delivered[Direction.reply] === 0) flow.refusal ||= by;
  }

  unite(keep: Flow, give: Flow, turned: boolean): void {
    this.#active.delete(give);
    keep.packets += give.packets;
    for (const direction of [0, 1] as const) {
      const from = turned ? opposite(direction) : direction;
      keep.refusable[direction] += give.refusable[from];
      keep.sent[direction] += give.sent[from];
      keep.delivered[direction] += give.delivered[from];
      keep.trouble[direction] ||= give.trouble[from];
    }
    if (keep.opening < 0) keep.opening = give.opening;
    if (give.exchange !== 0) {
      keep.start = Math.min(keep.start, give.start);
      keep.end = Math.max(keep.end, give.end);
    }
    keep.finished |= turned
      ? (give.finished & 4) | ((give.finished & 1) << 1) | ((give.finished & 2) >> 1)
      : give.finished;
    keep.refusal ||= give.refusal;
    keep.shown ||= give.shown;
  }

  closed(flow: Flow, direction: Direction, verdict: Verdict, time: number): void {
    flow.packets++;
    if (time > flow.end) flow.end = time;
    // An answer that is refused answers nothing: it was given up on its way, or comes from an address that was not asked.
    const arrived = verdict.kind === "delivered" || (verdict.kind === "refused" && direction === Direction.request);
    if (arrived) flow.delivered[direction]++;
    else flow.trouble[direction] = verdictText(verdict);
  }

  /** Whether `expire` would tell an exchange. Looks at them once a second. */
  due(now: number): boolean {
    if (now < this.#nextSweep || now < this.#nextLook) return false;
    this.#nextLook = now + SECOND;
    for (const flow of this.#active) if (isOver(flow, now)) return true;
    return false;
  }

  /** Tells the exchanges that are over, once a second of trace time. */
  expire(now: number): void {
    if (now < this.#nextSweep && this.#active.size < MAXIMUM) return;
    this.#nextSweep = now + SECOND;
    for (const flow of this.#active) if (isOver(flow, now)) this.#tell(flow);
    if (this.#active.size < MAXIMUM) return;
    // Too many at once: those that began first go, as if they were over.
    let surplus = this.#active.size - MAXIMUM / 2;
    for (const flow of this.#active) {
      if (surplus-- <= 0) break;
      if (flow.open === -1) this.#tell(flow);
    }
  }

  /** Whether enough exchanges are over for the flow table to be made anew. */
  stale(entries: number): boolean {
    if (this.#swept < 4096 || this.#swept * 4 < entries) return false;
    this.#swept = 0;
    return true;
  }

  /** @param cut the trace ended after a number of packets, whatever was on its way */
  end(cut: boolean): void {
    for (const flow of this.#active) this.#tell(flow, cut);
  }

  #tell(flow: Flow, cut = false): void {
    this.#active.delete(flow);
    flow.ended = true;
    flow.trail = undefined;
    this.#swept++;
    if (!flow.shown) return;
    this.count++;
    const { verdict, reason } = judge(flow, cut);
    const translated =
      flow.translatedClient === "" || (flow.translatedClient === flow.client && flow.translatedServer === flow.server)
        ? undefined
        : { client: flow.translatedClient, server: flow.translatedServer };
    this.#emit({
      type: "exchange",
      id: flow.exchange,
      protocol: flow.protocol,
      client: flow.client,
      server: flow.server,
      ...(translated === undefined ? {} : { translated }),
      packets: flow.packets,
      verdict,
      ...(reason === undefined ? {} : { reason }),
      start: flow.start,
      end: flow.end,
    });
  }

  /** Client and server as one sighting shows them. */
  #ends(row: number, direction: Direction): [client: string, server: string] {
    const source = endpointText(this.#columns, this.#book, row, "source");
    const destination = endpointText(this.#columns, this.#book, row, "destination");
    return direction === Direction.request ? [source, destination] : [destination, source];
  }
}

/** Whether a connection has ended, or has been silent for so long that it counts as ended. */
function isOver(flow: Flow, now: number): boolean {
  if (flow.open !== -1) return false;
  const silence = now - flow.end;
  if (flow.protocol !== "tcp") return silence > (flow.protocol === "arp" ? idle.arp : idle.other);
  return flow.closed && silence > idle.tcpClosed;
}

function judge(flow: Flow, cut: boolean): { verdict: ExchangeEvent["verdict"]; reason?: string } {
  if (flow.refusal !== "") return { verdict: "refused", reason: flow.refusal };
  if (flow.delivered[Direction.reply] > 0) return { verdict: "answered" };
  const [lost, lostAnswer] = flow.trouble;
  if (cut && lost === "" && lostAnswer === "")
    return { verdict: "unknown", reason: "the trace ended before it was answered" };
  if (flow.sent[Direction.reply] > 0) {
    const known = !lostAnswer.startsWith("unknown");
    return { verdict: known ? "unanswered" : "unknown", reason: `the answer was ${lostAnswer}` };
  }
  if (flow.delivered[Direction.request] > 0) {
    if (!flow.answerable) return { verdict: "unanswered", reason: "it was sent to a group, which need not answer" };
    return { verdict: "unanswered", reason: "the request arrived and no answer was sent" };
  }
  return lost.startsWith("unknown")
    ? { verdict: "unknown", reason: lost }
    : { verdict: "unanswered", reason: `the request was ${lost}` };
}

/** `dropped between host:eth0 and host:yapc0 by nft rule …`: a verdict as a clause. */
export function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case "delivered":
      return "delivered";
    case "refused":
      return `refused by ${verdict.by}: ${verdict.reason}`;
    case "unknown":
      return `unknown: ${verdict.reason}`;
    case "dropped": {
      const where =
        verdict.before === undefined ? `after ${verdict.after}` : `between ${verdict.after} and ${verdict.before}`;
      return `dropped ${where}${verdict.cause === undefined ? "" : ` by ${verdict.cause.text}`}`;
    }
  }
}
