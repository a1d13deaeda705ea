/** Sends what was predicted, traces it, and lays what was seen beside it: any number of exchanges under one trace. */
import type { NodeLine } from "../init/api.js";
import type { Explanation, ExchangeVerdict, ObservedExchange } from "../model/explanation.js";
import { Failure } from "../model/failure.js";
import { type Hop, hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ExchangeEvent, PacketEvent, TraceFilter } from "../model/trace.js";
import { differenceOf } from "../path/compare.js";
import { hops as tappableHops } from "../path/hops.js";
import { LiveTrace } from "./live-trace.js";
import { probe, type ProbeResult } from "./probe.js";

export interface ObserveOptions {
  readonly line: NodeLine;
  readonly snapshot: Snapshot;
  readonly filter: TraceFilter;
  /** Where to send from, where the kernel shall not choose it. */
  readonly bind?: { readonly address?: string; readonly port?: number };
  /** Probes under way at once. */
  readonly concurrency: number;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Milliseconds to wait for an answer that shall come, for one that shall not, and for a router that gives up on a neighbour. */
const patience = { answer: 3000, silence: 1200, late: 4500 } as const;
/** With more hops than these, ports of bridges that no predicted way passes have no tap. */
const mostHops = 32;

/** @returns each explanation with what was seen of it */
export async function observeExchanges(
  explanations: readonly Explanation[],
  { line, snapshot, filter, bind, concurrency, onWarning, signal }: ObserveOptions,
): Promise<Explanation[]> {
  const hops = tappedHops(snapshot, explanations);
  const names = new Set(hops.map(hopName));
  const packets: PacketEvent[] = [];
  const exchanges: ExchangeEvent[] = [];
  const epoch = BigInt(Date.now()) * 1_000_000n;
  using live = new LiveTrace(line, snapshot, hops, epoch, {
    filter,
    save: undefined,
    snapshotLength: 262,
    clock: false,
    onEvent: (event) => {
      if (event.type === "packet") packets.push(event);
      else if (event.type === "exchange") exchanges.push(event);
    },
    onWarning,
    signal,
  });
  await live.start();
  const ends: (ProbeResult | undefined)[] = explanations.map(() => undefined);
  const waiting = [...explanations.entries()];
  const sendNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (signal.aborted) throw new Failure("interrupted", "interrupted");
      ends[next[0]] = await send(line, next[1], bind);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sendNext));
  await live.finish();
  if (signal.aborted) throw new Failure("interrupted", "interrupted");

  packets.sort((a, b) => a.id - b.id);
  return explanations.map((explanation, index) => {
    const sent = ends[index] ?? { outcome: "unanswered" };
    const exchange = exchangeOf(explanation, sent, exchanges, packets);
    const observed = observedOf(sent, exchange, packets);
    const difference = differenceOf(explanation, observed, (hop) => names.has(hop));
    return { ...explanation, observed, ...(difference === undefined ? {} : { difference }) };
  });
}

function send(line: NodeLine, explanation: Explanation, bind: ObserveOptions["bind"]): Promise<ProbeResult> {
  const { from, to } = explanation;
  const target = { protocol: to.protocol, address: to.address, port: to.port ?? 0 };
  return probe(line, from.node ?? "", target, patienceFor(explanation), bind);
}

function patienceFor({ verdict, otherwise = verdict, ways }: Explanation): number {
  if (otherwise === "unsent" || ways.some(({ late }) => late === true)) return patience.late;
  return otherwise === "dropped" || otherwise === "unanswered" ? patience.silence : patience.answer;
}

/** The exchange of a probe: by its own port where the protocol has ports, else by both ends. */
function exchangeOf(
  { to }: Explanation,
  { local }: ProbeResult,
  exchanges: readonly ExchangeEvent[],
  packets: readonly PacketEvent[],
): ExchangeEvent | undefined {
  if (local === undefined) return undefined;
  const server = endpoint(to.address, to.port);
  if (to.port !== undefined) {
    const client = endpoint(local.address, local.port);
    const able = exchanges.filter((each) => each.protocol === to.protocol && each.client.endsWith(`:${local.port}`));
    // NAT in the sender's own node: what the first hop sees has other ends already.
    return able.find((each) => each.client === client && each.server === server) ?? able[0];
  }
  const protocol = to.address.includes(":") ? "icmpv6" : "icmp";
  // Neighbour discovery is ICMPv6, too.
  const echoes = new Set(packets.filter((each) => each.summary.startsWith("echo")).map((each) => each.exchange));
  return exchanges.find(
    (each) =>
      each.protocol === protocol && each.client === local.address && each.server === server && echoes.has(each.id),
  );
}

function observedOf(
  sent: ProbeResult,
  exchange: ExchangeEvent | undefined,
  packets: readonly PacketEvent[],
): ObservedExchange {
  const own = exchange === undefined ? [] : packets.filter((packet) => packet.exchange === exchange.id);
  const request = own.find(({ direction }) => direction === "request");
  if (exchange === undefined || request === undefined) {
    const verdict = sent.outcome === "unanswered" ? "unsent" : sent.outcome;
    return { verdict, ...(sent.reason === undefined ? {} : { reason: sent.reason }), packets: [] };
  }
  const reply = telling(own.filter(({ direction }) => direction === "reply"));
  const verdict = verdictOf(sent, exchange, request, reply);
  const untaken = verdict === "unanswered" && (exchange.verdict === "answered" || exchange.verdict === "refused");
  const reason = untaken ? "what came back did not reach the program" : exchange.reason;
  return {
    verdict,
    ...(reason === undefined ? {} : { reason }),
    packets: reply === undefined ? [request] : [request, reply],
  };
}

/** The first answer. Of several that are equal (errors for the same SYN, sent again) the one that was seen the longest. */
function telling(replies: readonly PacketEvent[]): PacketEvent | undefined {
  const [first] = replies;
  const equal = replies.filter(({ summary, match }) => summary === first?.summary && match === first.match);
  return first?.match === "exact" || first?.match === "strong"
    ? first
    : equal.toSorted((a, b) => b.sightings.length - a.sightings.length)[0];
}

/** The socket knows best what has reached the program; the trace, what became of the rest. */
function verdictOf(
  { outcome }: ProbeResult,
  { verdict, reason = "" }: ExchangeEvent,
  request: PacketEvent,
  reply: PacketEvent | undefined,
): ExchangeVerdict {
  if (outcome !== "unanswered") return outcome;
  if (verdict === "unknown") return verdict;
  if (verdict === "answered" || (verdict === "refused" && reason.endsWith(": RST"))) return "unanswered";
  // A refusal that is lost tells its sender nothing.
  const lost = reply !== undefined && reply.verdict.kind !== "delivered";
  if (verdict === "refused") return lost ? "unanswered" : "refused";
  return request.verdict.kind === "dropped" ? "dropped" : "unanswered";
}

/** Every hop of the nodes that the predicted ways pass, and of their neighbours on the same links. */
function tappedHops(snapshot: Snapshot, explanations: readonly Explanation[]): Hop[] {
  const trails = explanations.flatMap(({ ways }) => ways.flatMap(({ trail }) => trail));
  const passed = new Set(trails.flatMap((one) => (one.type === "hop" ? [one.hop] : [])));
  const nodes = new Set([
    ...explanations.flatMap(({ from, to }) => [from.node, to.node]),
    ...trails.map((one) => (one.type === "hop" ? one.hop.slice(0, one.hop.indexOf(":")) : one.node)),
  ]);
  const loopback = true;
  const all = tappableHops(snapshot, { loopback, filter: ({ node }) => nodes.has(node) });
  if (all.length <= mostHops) return all;
  return all.filter((hop) => passed.has(hopName(hop)) || !isPort(snapshot, hop));
}

function isPort(snapshot: Snapshot, { node, interface: name }: Hop): boolean {
  const found = snapshot.nodes.find((each) => each.name === node)?.interfaces.find((each) => each.name === name);
  return found?.master !== undefined;
}

function endpoint(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
