/** Whether an expectation of a topology file holds: a function of what was expected and what the trace shows. */
import type { ExchangeEvent, PacketEvent, Sighting, Verdict } from "../model/trace.js";
import type { ResolvedExpectation } from "../topology/resolved.js";
import { formatService, parseService } from "../topology/notation.js";

/** How the probe itself ended: what the socket in the node says. */
export interface ProbeEnd {
  readonly outcome: "answered" | "refused" | "unanswered";
  readonly reason?: string;
  readonly local?: { readonly address: string; readonly port: number };
}

export interface Observed {
  readonly probe: ProbeEnd;
  /** Absent where no hop saw it. */
  readonly exchange?: ExchangeEvent;
  /** Those of the exchange, in the order of their first sightings. */
  readonly packets: readonly PacketEvent[];
}

export interface Judgement {
  /** What did not hold, a sentence each; empty where all did. */
  readonly problems: readonly string[];
  /** The packet whose path tells it. */
  readonly packet?: PacketEvent;
}

/** When the probe was under way: nanoseconds since the trace began. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** `client -> tcp://203.0.113.1:8080 answered`. */
export function expectationName({ from, to, verdict }: ResolvedExpectation): string {
  return `${from} -> ${to} ${verdict}`;
}

/** Milliseconds to wait for an answer that shall come, and for one that shall not. */
const patience = { answer: 3000, silence: 1200 };

/** Milliseconds that a probe waits for its answer: one that is later than `within` has not come within it. */
export function patienceOf({ verdict, within = Infinity }: ResolvedExpectation): number {
  return verdict === "answered" || verdict === "refused" ? Math.min(patience.answer, within / 1e6) : patience.silence;
}

/** Stamps of the kernel and our clock may differ by what a context switch takes. */
const slack = 20e6;

/** The exchange of a probe. NAT in its own node may show neither its port nor its target: then the nearest is taken. */
export function findExchange(
  expectation: ResolvedExpectation,
  { local }: ProbeEnd,
  span: Span,
  exchanges: readonly ExchangeEvent[],
  packets: readonly PacketEvent[],
): ExchangeEvent | undefined {
  const target = parseService(expectation.to);
  if (target === undefined) return undefined;
  const protocol = target.protocol === "icmp" && target.host.includes(":") ? "icmpv6" : target.protocol;
  const server = endpoint(target.host, target.port);
  const client = local === undefined ? undefined : endpoint(local.address, local.port || undefined);
  const score = (exchange: ExchangeEvent): number => {
    const request = packets.find((packet) => packet.exchange === exchange.id && packet.direction === "request");
    const starts = request?.sightings[0]?.hop.startsWith(`${expectation.from}:`) === true;
    const samePort = target.port !== undefined && exchange.client.endsWith(`:${local?.port ?? ""}`);
    return (
      (exchange.server === server ? 4 : 0) +
      (exchange.client === client ? 4 : 0) +
      (samePort ? 4 : 0) +
      (starts ? 2 : 0)
    );
  };
  return exchanges
    .filter((each) => each.protocol === protocol && each.start >= span.from - slack && each.start <= span.to + slack)
    .map((exchange) => ({ exchange, points: score(exchange) }))
    .filter(({ points }) => points >= 2)
    .toSorted((a, b) => b.points - a.points || a.exchange.id - b.exchange.id)[0]?.exchange;
}

export function judge(expectation: ResolvedExpectation, observed: Observed): Judgement {
  const seen = verdictOf(observed);
  const packet = tellingPacket(observed, expectation.verdict);
  const shown = packet === undefined ? {} : { packet };
  if (seen !== expectation.verdict)
    return { problems: [`expected ${expectation.verdict}, and it was ${describe(observed, seen)}`], ...shown };
  return { problems: checkPath(expectation, packet), ...shown };
}

type Seen = ResolvedExpectation["verdict"] | "unknown";

function verdictOf({ probe, exchange, packets }: Observed): Seen {
  if (exchange === undefined) return probe.outcome;
  if (exchange.verdict === "answered" || exchange.verdict === "refused") return exchange.verdict;
  const requests = packets.filter(({ direction }) => direction === "request");
  if (requests.some(({ verdict }) => verdict.kind === "delivered"))
    return exchange.verdict === "unknown" ? "unknown" : "unanswered";
  return requests.some(({ verdict }) => verdict.kind === "dropped") ? "dropped" : "unknown";
}

/** The request that arrived for what was answered; else the packet that was lost, requests before replies. */
function tellingPacket({ packets }: Observed, expected: Seen): PacketEvent | undefined {
  const requests = packets.filter(({ direction }) => direction === "request");
  const lost = (packet: PacketEvent) => packet.verdict.kind === "dropped" || packet.verdict.kind === "unknown";
  const arrived = requests.find((packet) => !lost(packet));
  if (expected === "answered" || expected === "refused")
    return arrived !== undefined && expected === "refused"
      ? arrived
      : (requests.find(({ verdict }) => verdict.kind === "delivered") ?? arrived ?? requests.find(lost) ?? packets[0]);
  return requests.find(lost) ?? packets.find(lost) ?? requests[0];
}

function describe({ probe, exchange, packets }: Observed, seen: Seen): string {
  if (exchange === undefined)
    return probe.reason === undefined
      ? `${probe.outcome}, and no hop saw it`
      : `${probe.outcome}: ${probe.reason} (no hop saw it)`;
  if (seen === "dropped" || seen === "unknown") {
    const end = packets.find(({ verdict, direction }) => direction === "request" && verdict.kind === seen)?.verdict;
    if (end !== undefined) return verdictClause(end);
  }
  return exchange.reason === undefined ? seen : `${seen}: ${exchange.reason}`;
}

function verdictClause(verdict: Verdict): string {
  if (verdict.kind === "dropped") {
    const where =
      verdict.before === undefined ? `after ${verdict.after}` : `between ${verdict.after} and ${verdict.before}`;
    return `dropped ${where}${verdict.cause === undefined ? "" : ` by ${verdict.cause.text}`}`;
  }
  return verdict.kind === "unknown" ? `of unknown end: ${verdict.reason}` : verdict.kind;
}

function checkPath(expectation: ResolvedExpectation, packet: PacketEvent | undefined): string[] {
  const { reaches, via, notVia, between, cause, seenAs } = expectation;
  const asked =
    reaches !== undefined ||
    via.length + notVia.length > 0 ||
    between !== undefined ||
    cause !== undefined ||
    seenAs !== undefined;
  if (!asked) return [];
  if (packet === undefined) return ["no hop saw it, so its path is not known"];
  const path = pathOf(packet);
  const last = packet.sightings.at(-1);
  const { verdict } = packet;
  const problems: string[] = [];
  if (reaches !== undefined && last !== undefined && !arrivesAt(last, reaches))
    problems.push(`expected to reach ${reaches}, and it reached ${serviceOf(last, reaches)} at ${last.hop}`);
  problems.push(...viaProblems(via, path));
  for (const hop of notVia) if (path.includes(hop)) problems.push(`expected not to pass ${hop}, and it did`);
  if (between !== undefined && !(verdict.kind === "dropped" && isBetween(verdict, between)))
    problems.push(`expected to end between ${between[0]} and ${between[1]}, and it was ${verdictClause(verdict)}`);
  if (cause !== undefined) {
    const found = verdict.kind === "dropped" ? verdict.cause : undefined;
    if (found === undefined) problems.push(`expected the cause ${cause}, and the trace gives none`);
    else if (found.code !== cause) problems.push(`expected the cause ${cause}, and it is ${found.code}: ${found.text}`);
  }
  if (seenAs !== undefined && last !== undefined && last.source !== seenAs)
    problems.push(`expected to be seen as ${seenAs}, and it is ${last.source} at ${last.hop}`);
  return problems;
}

/** Hops in path order, those that cannot show a packet among them. */
function pathOf({ sightings, implied }: PacketEvent): string[] {
  return sightings.flatMap(({ hop }) => [
    hop,
    ...implied.filter(({ after }) => after === hop).map((unseen) => unseen.hop),
  ]);
}

function viaProblems(via: readonly string[], path: readonly string[]): string[] {
  const missing = via.filter((hop) => !path.includes(hop));
  if (missing.length > 0)
    return [`expected to pass ${missing.join(" and ")}, and its path is ${path.join(" ") || "empty"}`];
  let at = -1;
  for (const hop of via) {
    at = path.indexOf(hop, at + 1);
    if (at < 0) return [`expected to pass ${via.join(", then ")}, and its path is ${path.join(" ")}`];
  }
  return [];
}

function isBetween(verdict: Extract<Verdict, { kind: "dropped" }>, [first, second]: readonly [string, string]) {
  return verdict.after === first && verdict.before === second;
}

function arrivesAt(last: Sighting, reaches: string): boolean {
  const wanted = parseService(reaches);
  if (wanted?.host !== last.destination) return false;
  return wanted.port === undefined || wanted.port === last.destinationPort;
}

function serviceOf(last: Sighting, like: string): string {
  return formatService(parseService(like)?.protocol ?? "tcp", last.destination, last.destinationPort);
}

function endpoint(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
