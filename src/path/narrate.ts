/** A predicted exchange as the value that `explain` prints. */
import { formatAddress } from "../model/address.js";
import type { ExplainedEnd, ExplainedStep, ExplainedWay, Explanation } from "../model/explanation.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ExchangeStart, PredictedExchange } from "./exchange.js";
import { hasPorts, type Header } from "./header.js";
import type { Decision, Prediction, PredictionEnd, Step } from "./prediction.js";

/** @param name node that the destination was named by */
export function narrate(
  snapshot: Snapshot,
  start: ExchangeStart,
  predicted: PredictedExchange,
  name?: string,
): Explanation {
  const { sent, verdict, reason, doubts } = predicted;
  const doubted = doubts.filter(({ assumed }) => !assumed).map(doubtText);
  const open = doubted.length > 0 && verdict !== "unknown";
  const unknowns = [...doubted, ...unfollowedEnd(predicted)];
  return {
    version: 1,
    ...(snapshot.lab === undefined ? {} : { lab: snapshot.lab }),
    takenAt: snapshot.takenAt,
    from: {
      node: start.node,
      address: sent === undefined ? "" : formatAddress(sent.source),
      ...(start.sourcePort === undefined ? {} : { port: start.sourcePort }),
    },
    to: {
      protocol: start.protocol,
      ...(name === undefined ? {} : { node: name }),
      address: formatAddress(start.destination),
      ...(start.port === undefined ? {} : { port: start.port }),
    },
    verdict: open ? "unknown" : verdict,
    ...(open ? { reason: `it depends on what cannot be known`, otherwise: verdict } : {}),
    ...(reason === undefined || open ? {} : { reason }),
    ways: waysOf(start, predicted),
    assumptions: doubts.filter(({ assumed }) => assumed).map(doubtText),
    unknowns,
  };
}

/** Where a way ends because nothing tells how it goes on. */
function unfollowedEnd({ request, back }: PredictedExchange): readonly string[] {
  return [request, back?.prediction].flatMap((way) =>
    way?.end.kind === "unknown" ? [doubtText({ node: way.end.node, text: way.end.reason })] : [],
  );
}

function doubtText({ node, text }: { readonly node: string; readonly text: string }): string {
  return `${node}: ${text}`;
}

const packets = {
  tcp: { request: "tcp SYN", reply: "tcp SYN ACK" },
  udp: { request: "udp", reply: "udp" },
  icmp: { request: "icmp echo request", reply: "icmp echo reply" },
} as const;

function waysOf(start: ExchangeStart, { request, chosen, delivery, back, sent }: PredictedExchange): ExplainedWay[] {
  const names = packets[start.protocol];
  const first: ExplainedStep[] =
    chosen === undefined || sent === undefined
      ? []
      : [decision(start.node, "sending", "source", `source ${formatAddress(sent.source)}: ${chosen}`)];
  const last: ExplainedStep[] =
    delivery === undefined || request.end.kind !== "delivered"
      ? []
      : [decision(request.end.node, "delivery", "listener", delivery)];
  const ways: ExplainedWay[] = [
    {
      kind: "request",
      packet: names.request,
      sender: start.node,
      trail: [...first, ...trailOf(request), ...last],
      end: endOf(request.end),
    },
  ];
  if (back === undefined) return ways;
  const { kind, sender, refusal, late, prediction } = back;
  const packet = refusal === undefined ? names.reply : refusal === "RST" ? "tcp RST" : refusal;
  const late3 = late ? { late: true as const } : {};
  return [...ways, { kind, packet, sender, ...late3, trail: trailOf(prediction), end: endOf(prediction.end) }];
}

function trailOf({ trail }: Prediction): ExplainedStep[] {
  return trail.map((one) => (one.kind === "hop" ? hop(one) : decision(one.node, one.stage, one.by, one.text)));
}

function hop({ hop: name, direction, header, implied }: Step): ExplainedStep {
  return { type: "hop", hop: name, direction, ...(implied ? { implied } : {}), ...looks(header) };
}

function looks(header: Header) {
  const { source, destination, sourcePort, destinationPort, ttl } = header;
  const ports = hasPorts(header);
  return {
    source: formatAddress(source),
    destination: formatAddress(destination),
    ...(ports && sourcePort !== undefined ? { sourcePort } : {}),
    ...(ports && destinationPort !== undefined ? { destinationPort } : {}),
    ...(ttl === undefined ? {} : { ttl }),
  };
}

function decision(node: string, stage: Decision["stage"], by: Decision["by"], text: string): ExplainedStep {
  return { type: "decision", node, stage, by, text };
}

function endOf(end: PredictionEnd): ExplainedEnd {
  switch (end.kind) {
    case "delivered":
      return { kind: "delivered", node: end.node };
    case "outside":
      return {
        kind: "outside",
        node: end.hop.slice(0, end.hop.indexOf(":")),
        text: `it leaves the snapshot at ${end.hop}`,
      };
    case "dropped":
      return { kind: "dropped", node: end.node, code: end.cause.code, text: end.cause.text };
    case "unknown":
      return { kind: "unknown", node: end.node, text: end.reason };
  }
}
