/** A predicted exchange beside the one that was seen: the first point in which they differ. */
import type {
  Difference,
  ExchangeVerdict,
  ExplainedStep,
  ExplainedWay,
  Explanation,
  ObservedExchange,
} from "../model/explanation.js";
import type { PacketEvent, Sighting } from "../model/trace.js";

type HopStep = Extract<ExplainedStep, { readonly type: "hop" }>;

/** @param tapped whether a hop had a tap: elsewhere nothing can be seen */
export function differenceOf(
  explanation: Explanation,
  observed: ObservedExchange,
  tapped: (hop: string) => boolean,
): Difference | undefined {
  const [request, back] = explanation.ways;
  const seen = observed.packets.find(({ direction }) => direction === "request");
  const answer = observed.packets.find(({ direction }) => direction === "reply");
  return (
    (request && differenceOfWay(request, seen, tapped)) ??
    (back && seenBack(explanation) ? differenceOfWay(back, answer, tapped) : undefined) ??
    differenceOfVerdict(explanation, observed)
  );
}

/** Whether what comes back can be seen at all, with a request that is as predicted. */
function seenBack({ ways: [request] }: Explanation): boolean {
  return request?.end.kind === "delivered" || request?.end.kind === "dropped";
}

function differenceOfVerdict(explanation: Explanation, observed: ObservedExchange): Difference | undefined {
  const predicted = explanation.otherwise ?? explanation.verdict;
  if (predicted === "unknown" || same(explanation, predicted, observed)) return undefined;
  const because = (reason: string | undefined): string => (reason === undefined ? "" : `: ${reason}`);
  return {
    in: "verdict",
    predicted: `${predicted}${because(explanation.reason)}`,
    observed: `${observed.verdict}${because(observed.reason)}`,
    failed: assumptionsOf(explanation.ways.at(-1)?.trail ?? [], undefined, explanation),
  };
}

/** What a node drops of what has come to it, no hop can tell from what it does not answer, or does not take. */
function same({ ways }: Explanation, predicted: ExchangeVerdict, { verdict, packets }: ObservedExchange): boolean {
  if (predicted === verdict) return true;
  const [request, back] = ways;
  if (predicted === "dropped" && verdict === "unanswered")
    return request !== undefined && endsInside(request) && packets[0]?.verdict.kind === "delivered";
  return predicted === "unanswered" && verdict === "refused" && back?.kind === "refusal" && endsInside(back);
}

/** Whether it is dropped by the node that it was seen in last. */
function endsInside({ trail, end: { kind, node } }: ExplainedWay): boolean {
  const last = trail.findLast(({ type }) => type === "hop");
  return kind === "dropped" && last?.type === "hop" && last.hop.startsWith(`${node}:`);
}

function differenceOfWay(
  way: ExplainedWay,
  packet: PacketEvent | undefined,
  tapped: (hop: string) => boolean,
): Difference | undefined {
  const expected = way.trail.filter((one): one is HopStep => one.type === "hop").filter(({ hop }) => tapped(hop));
  const actual = packet === undefined ? [] : lookedAt(packet);
  // Between a node and itself request and answer are the same to a trace.
  if (packet === undefined && expected.every(({ hop }) => hop.endsWith(":lo"))) return undefined;
  const base = portsOf(expected[0], actual[0]?.sighting);
  for (let at = 0; at < Math.max(expected.length, actual.length); at++) {
    const [hop, seen] = [expected[at], actual[at]];
    // A frame for an address that nobody has is flooded, so that others see it, and takes nobody in.
    if (hop === undefined && way.end.code === "wrong-mac") return undefined;
    const wrong = differenceAt(hop, seen, base);
    if (wrong === undefined) continue;
    const where = hop?.hop ?? seen?.hop;
    return {
      in: way.kind,
      ...(where === undefined ? {} : { at: where }),
      predicted: wrong.predicted === "" ? endText(way) : wrong.predicted,
      observed: wrong.observed === "" ? observedEnd(packet) : wrong.observed,
      failed: assumptionsOf(way.trail, hop, undefined),
    };
  }
  return undefined;
}

interface Seen {
  readonly hop: string;
  /** Absent for a bridge that cannot show it. */
  readonly sighting?: Sighting;
}

function lookedAt({ sightings, implied }: PacketEvent): Seen[] {
  return sightings.flatMap((sighting): Seen[] => [
    { hop: sighting.hop, sighting },
    ...implied.filter(({ after }) => after === sighting.hop).map(({ hop }) => ({ hop })),
  ]);
}

/** The port that the kernel chose for the sender: what a prediction leaves open. */
function portsOf(hop: HopStep | undefined, sighting: Sighting | undefined): number | undefined {
  if (hop === undefined || sighting === undefined) return undefined;
  return hop.sourcePort === undefined ? sighting.sourcePort : sighting.destinationPort;
}

/** Empty texts stand for the end of the way. */
function differenceAt(
  hop: HopStep | undefined,
  seen: Seen | undefined,
  open: number | undefined,
): { readonly predicted: string; readonly observed: string } | undefined {
  if (hop === undefined || seen === undefined)
    return { predicted: hop === undefined ? "" : hop.hop, observed: seen === undefined ? "" : seen.hop };
  if (hop.hop !== seen.hop) return { predicted: hop.hop, observed: seen.hop };
  const { sighting } = seen;
  if (sighting === undefined || hop.implied) return undefined;
  const predicted = `${end(hop.source, hop.sourcePort ?? open)} -> ${end(hop.destination, hop.destinationPort ?? open)}`;
  const ports = hop.sourcePort !== undefined || hop.destinationPort !== undefined;
  const observed = ports
    ? `${end(sighting.source, sighting.sourcePort)} -> ${end(sighting.destination, sighting.destinationPort)}`
    : `${end(sighting.source, open)} -> ${end(sighting.destination, open)}`;
  return predicted === observed ? undefined : { predicted, observed };
}

function end(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function endText({ end: { kind, node, text } }: ExplainedWay): string {
  if (kind === "delivered") return `delivered in ${node}`;
  return text ?? kind;
}

function observedEnd(packet: PacketEvent | undefined): string {
  if (packet === undefined) return "no hop saw it";
  const { verdict } = packet;
  switch (verdict.kind) {
    case "delivered":
      return "it ends here";
    case "refused":
      return `refused by ${verdict.by}: ${verdict.reason}`;
    case "unknown":
      return verdict.reason;
    case "dropped":
      return `dropped after ${verdict.after}${verdict.cause === undefined ? "" : `: ${verdict.cause.text}`}`;
  }
}

/** What the prediction went by between the hop before and this one. */
function assumptionsOf(
  trail: readonly ExplainedStep[],
  at: HopStep | undefined,
  explanation: Explanation | undefined,
): string {
  const stop = at === undefined ? trail.length : trail.indexOf(at);
  const before = trail.slice(0, stop);
  const lastHop = before.findLastIndex(({ type }) => type === "hop");
  const went = before.slice(lastHop + 1).flatMap((one) => (one.type === "decision" ? [one.text] : []));
  const assumed = [...went, ...(explanation?.assumptions ?? [])];
  return assumed.length === 0
    ? "nothing was assumed there: the network has changed since the snapshot, or it knows something that the snapshot does not"
    : `one of these did not hold: ${assumed.join("; ")}`;
}
