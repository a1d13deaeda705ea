/** A request and what comes back of it, by the snapshot alone: both directions, and the verdict. */
import { type Address, formatAddress, sameAddress } from "../model/address.js";
import type { ExchangeVerdict } from "../model/explanation.js";
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import type { NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { fromSnapshot, remembering } from "./connection.js";
import { type Answer, answerOf } from "./delivery.js";
import { type Header, mirror, ownTtl, sourceText } from "./header.js";
import { complaintHeader, complaintOf } from "./icmp-error.js";
import { Network, type Place } from "./network.js";
import { predict } from "./predict.js";
import type { Doubt, Drop, Prediction, PredictionEnd } from "./prediction.js";
import { byRfc6724, sourceFor } from "./source-address.js";

export interface ExchangeStart {
  readonly node: string;
  /** Comes in by this interface, from outside of the snapshot; else a process of the node sends it. */
  readonly interface?: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly destination: Address;
  readonly port?: number;
  /** Absent: as the node chooses it. */
  readonly source?: Address;
  readonly sourcePort?: number;
}

export interface PredictedExchange {
  /** Absent where the node has no address to send from. */
  readonly sent?: Header;
  /** How the sender chose its address. */
  readonly chosen?: string;
  readonly request: Prediction;
  /** What the node that the request comes to does with it. */
  readonly delivery?: string;
  readonly back?: Back;
  readonly verdict: ExchangeVerdict;
  readonly reason?: string;
  readonly doubts: readonly Doubt[];
}

/** What comes back. */
export interface Back {
  readonly kind: "reply" | "refusal";
  readonly sender: string;
  /** `RST`, `ICMP port unreachable`; absent for a reply. */
  readonly refusal?: string;
  readonly late: boolean;
  readonly prediction: Prediction;
}

export function predictExchange(snapshot: Snapshot, start: ExchangeStart): PredictedExchange {
  return new Exchange(new Network(snapshot), start).run();
}

/** Errors of ICMP are few in a second to one address (icmp_ratelimit, icmp_msgs_per_sec; of routes, error_burst). */
function limited({ name }: NodeSnapshot): Doubt {
  return {
    node: name,
    text: "it has not sent many ICMP errors just now: few in a second go out to one address",
    assumed: true,
  };
}

type Outcome = Omit<PredictedExchange, "request" | "doubts"> & { readonly doubts?: readonly Doubt[] };

const protocols = { tcp: 6, udp: 17 } as const;
const SYN = 2;

class Exchange {
  readonly #network: Network;
  readonly #start: ExchangeStart;

  constructor(network: Network, start: ExchangeStart) {
    this.#network = network;
    this.#start = start;
  }

  run(): PredictedExchange {
    const node = this.#node(this.#start.node);
    const choice = this.#start.source === undefined && node ? sourceFor(node, this.#start.destination) : undefined;
    const source = this.#start.source ?? choice?.address;
    if (source === undefined) {
      const none = { family: this.#start.destination.family, value: 0n };
      const request = predict(this.#network, { node: this.#start.node, header: this.#header(none) });
      const reason =
        request.end.kind === "dropped"
          ? request.end.cause.text
          : `${this.#start.node} has no IPv${this.#start.destination.family} address to send from`;
      return { request, verdict: "unsent", reason, doubts: request.doubts };
    }
    const sent = this.#header(source);
    const { interface: input, node: name } = this.#start;
    const request = predict(this.#network, {
      ...(input === undefined ? { node: name } : { hop: { node: name, interface: input, direction: "in" } as const }),
      header: sent,
      complete: true,
      ...(this.#start.source === undefined ? { unbound: this.#lookups() } : {}),
    });
    const found = this.#after(request, sent);
    const all = [
      ...this.#unread(request, found.back?.prediction),
      ...request.doubts,
      ...(found.back?.prediction.doubts ?? []),
      ...(found.doubts ?? []),
    ];
    const doubts = [...new Map(all.map((doubt) => [`${doubt.node} ${doubt.text}`, doubt])).values()];
    return {
      sent,
      ...(choice === undefined || request.trail.length === 0 ? {} : { chosen: choice.text }),
      request,
      ...found,
      doubts,
    };
  }

  /** Rules of the nodes on the way that the snapshot does not have (iptables-legacy; without root, all). */
  #unread(...ways: readonly (Prediction | undefined)[]): readonly Doubt[] {
    const passed = new Set(
      ways.flatMap((way) => (way?.trail ?? []).map((one) => (one.kind === "hop" ? one.place.node.name : one.node))),
    );
    return (this.#network.snapshot.unread ?? []).flatMap(({ what, node, text }) =>
      what === "rules" && node !== undefined && passed.has(node) ? [{ node, text, assumed: false }] : [],
    );
  }

  #node(name: string): NodeSnapshot | undefined {
    return this.#network.snapshot.nodes.find((one) => one.name === name);
  }

  #header(source: Address): Header {
    const { protocol, destination, port, sourcePort } = this.#start;
    const { family } = destination;
    const ttl = ownTtl(this.#node(this.#start.node) ?? { sysctls: {} }, family);
    const common = { family, source, destination, ttl };
    if (protocol === "icmp") {
      return family === 4
        ? { ...common, protocol: 1, icmpType: icmpTypes["echo-request"] }
        : { ...common, protocol: 58, icmpType: icmpv6Types["echo-request"] };
    }
    return {
      ...common,
      protocol: protocols[protocol],
      ...(sourcePort === undefined ? { anyPort: this.#ephemeral() } : { sourcePort }),
      ...(port === undefined ? {} : { destinationPort: port }),
      ...(protocol === "tcp" ? { tcpFlags: SYN } : {}),
    };
  }

  /** How often a route is looked up where the kernel chooses the source: a raw socket of IPv6 does it for each packet, others keep it. */
  #lookups(): "once" | "twice" {
    const { destination, protocol } = this.#start;
    return destination.family === 6 && protocol !== "icmp" ? "once" : "twice";
  }

  /** Ports that the sender's kernel chooses from. */
  #ephemeral(): readonly [number, number] {
    const [from = 32768, to = 60999] = (this.#node(this.#start.node)?.sysctls["net.ipv4.ip_local_port_range"] ?? "")
      .split(/\s+/)
      .filter((word) => word !== "")
      .map(Number);
    return [from, to];
  }

  #after(request: Prediction, sent: Header): Outcome {
    const { end } = request;
    switch (end.kind) {
      case "unknown":
        return { verdict: "unknown", reason: end.reason };
      case "outside":
        return {
          verdict: "unknown",
          reason: `it leaves the snapshot at ${end.hop}, and what is behind that is not known`,
        };
      case "dropped":
        return this.#dropped(request, end, sent);
      case "delivered": {
        const node = this.#node(end.node);
        if (end.to === "group" || node === undefined)
          return { verdict: "unanswered", reason: "it was sent to a group, which need not answer" };
        const input = request.steps.at(-1)?.place.interface.name;
        return this.#answered(request, answerOf(node, end.header, input), node, sent);
      }
    }
  }

  #answered(request: Prediction, answer: Answer, node: NodeSnapshot, sent: Header): Outcome {
    const delivery = answer.text;
    if (answer.kind === "silence")
      return { delivery, verdict: "unanswered", reason: `${node.name} does not answer: ${answer.text}` };
    const refusal = answer.kind === "refusal" ? answer.reason : undefined;
    const back = this.#back(request, node, answer.header, { refusal, late: false });
    const lost = this.#lost(back.prediction.end, sent);
    const doubts =
      answer.kind === "reply" && answer.assumed !== undefined
        ? [{ node: node.name, text: answer.assumed, assumed: true }]
        : refusal?.startsWith("ICMP") === true
          ? [limited(node)]
          : [];
    const found = { delivery, back, doubts };
    if (lost !== undefined) {
      const what = refusal === undefined ? "the answer" : `the refusal (${refusal})`;
      return { ...found, verdict: lost.known ? "unanswered" : "unknown", reason: `${what} ${lost.text}` };
    }
    if (refusal === undefined) return { ...found, verdict: "answered" };
    return { ...found, verdict: "refused", reason: `by ${node.name}: ${refusal}, because ${answer.text}` };
  }

  #dropped(request: Prediction, end: Drop, sent: Header): Outcome {
    const complaint = complaintOf(end);
    const node = this.#node(end.node);
    if (complaint === undefined || node === undefined || end.header === undefined)
      return { verdict: end.role === "sender" ? "unsent" : "dropped", reason: end.cause.text };
    const source = this.#complains(node, end, end.header, request.steps.at(-1)?.place);
    if (source === undefined) return { verdict: "dropped", reason: end.cause.text };
    const made = complaintHeader(complaint, end.header, source.address, end.cause.code === "ttl-expired");
    const header = { ...made, ttl: ownTtl(node, made.family) };
    const unbound = source.unbound && complaint.kind === "icmp";
    const back = this.#back(request, node, header, { refusal: complaint.reason, late: complaint.late, unbound });
    const doubts = complaint.kind === "icmp" ? [limited(node)] : [];
    const lost = this.#lost(back.prediction.end, sent);
    const what = `${end.cause.text}; `;
    // A refusal that never left its sender was none.
    const left = back.prediction.steps.some(({ place }) => !place.loopback);
    const silent = left ? "unanswered" : end.role === "sender" ? "unsent" : "dropped";
    return lost === undefined
      ? { back, doubts, verdict: "refused", reason: `by ${node.name}: ${complaint.reason}, because ${end.cause.text}` }
      : { back, doubts, verdict: silent, reason: `${what}the refusal (${complaint.reason}) ${lost.text}` };
  }

  /** The address that a node complains from: the one that was asked, where it is the node's own. */
  #complains(
    node: NodeSnapshot,
    { role }: Drop,
    about: Header,
    input: Place | undefined,
  ): { readonly address: Address; readonly unbound: boolean } | undefined {
    const own = role === "receiver" && this.#network.localPlace(node.name, about.destination) !== undefined;
    if (own) return { address: about.destination, unbound: false };
    // IPv6 takes an address of the interface that the packet came in by, IPv4 what the route back says (icmp6_send, icmp_send).
    const near =
      about.family === 6 && input?.node === node ? byRfc6724(node, input.interface.name, about.source) : undefined;
    if (near !== undefined) return { address: near.address, unbound: false };
    const address = sourceFor(node, about.source)?.address;
    return address && { address, unbound: true };
  }

  #back(
    request: Prediction,
    node: NodeSnapshot,
    header: Header,
    {
      refusal,
      late,
      unbound = false,
    }: { readonly refusal: string | undefined; readonly late: boolean; readonly unbound?: boolean },
  ): Back {
    const translate = remembering(request.passages, fromSnapshot(this.#network.snapshot));
    const prediction = predict(this.#network, {
      node: node.name,
      header,
      translate,
      complete: true,
      ...(unbound ? { unbound: "once" } : {}),
    });
    return {
      ...{ kind: refusal === undefined ? "reply" : "refusal", sender: node.name, late, prediction },
      ...(refusal === undefined ? {} : { refusal }),
    } as const;
  }

  /** Why what comes back is no answer to the sender; undefined where it is. */
  #lost(end: PredictionEnd, sent: Header): { readonly text: string; readonly known: boolean } | undefined {
    const { node, interface: input } = this.#start;
    switch (end.kind) {
      case "dropped":
        return { text: `is dropped in ${end.node}: ${end.cause.text}`, known: true };
      case "unknown":
        return { text: `cannot be followed: ${end.reason}`, known: false };
      case "outside":
        if (end.hop === `${node}:${input ?? ""}`) return undefined;
        return { text: `leaves the snapshot at ${end.hop}`, known: false };
      case "delivered":
        if (end.node !== node) return { text: `goes to ${end.node}, not to ${node}`, known: true };
        return this.#foreign(end.header, sent);
    }
  }

  /** An answer that the sender's socket does not take: it comes from an address that was never asked. */
  #foreign(answer: Header, sent: Header): { readonly text: string; readonly known: boolean } | undefined {
    const { about } = answer;
    const expected = mirror(sent);
    if (about !== undefined) {
      const same = sameAddress(about.source, sent.source) && sameAddress(about.destination, sent.destination);
      return same ? undefined : { text: "is about a connection that the sender does not know", known: true };
    }
    const from = sameAddress(answer.source, expected.source) && answer.sourcePort === expected.sourcePort;
    if (from && sameAddress(answer.destination, expected.destination)) return undefined;
    const text = from
      ? `is for ${formatAddress(answer.destination)}, and it was sent from ${formatAddress(sent.source)}`
      : `comes from ${sourceText(answer)}, and ${sourceText(expected)} was asked: ${this.#start.node} does not take it`;
    return { text, known: true };
  }
}
