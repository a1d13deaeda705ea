/**
 * What `explain` says: the way that a snapshot promises to a packet and to what comes back, what decides at each step, the
 * verdict, what is taken for granted and what cannot be known; with `--observe`, what was seen beside it.
 */
import type { PacketEvent } from "./trace.js";

/** Of an exchange: `dropped` on its way, `unanswered` though it arrived, `unsent` by the sender's own kernel. */
export type ExchangeVerdict = "answered" | "refused" | "unanswered" | "dropped" | "unsent" | "unknown";

export interface Explanation {
  readonly version: 1;
  readonly lab?: string;
  /** When the snapshot was taken, ISO 8601. */
  readonly takenAt: string;
  readonly from: Endpoint;
  readonly to: Endpoint & { readonly protocol: "tcp" | "udp" | "icmp" };
  readonly verdict: ExchangeVerdict;
  /** Why, where it is not answered. */
  readonly reason?: string;
  /** Of a verdict that is not known because of `unknowns`: what it is if they change nothing. */
  readonly otherwise?: ExchangeVerdict;
  /** The request; then the answer or the refusal, where there is one. */
  readonly ways: readonly ExplainedWay[];
  /** What the verdict goes by. */
  readonly assumptions: readonly string[];
  /** What the snapshot cannot tell, and what might change the verdict. */
  readonly unknowns: readonly string[];
  /** With `--observe`. */
  readonly observed?: ObservedExchange;
  /** The first point in which the two differ; absent where they agree, or nothing was observed. */
  readonly difference?: Difference;
}

export interface Endpoint {
  /** Node; absent for an address that is no node's. */
  readonly node?: string;
  readonly address: string;
  readonly port?: number;
}

export interface ExplainedWay {
  readonly kind: "request" | "reply" | "refusal";
  /** What it is: `tcp SYN`, `icmp echo reply`, `ICMP host unreachable`. */
  readonly packet: string;
  /** Node that sends it. */
  readonly sender: string;
  /** It is sent only after three seconds without an answer of a neighbour. */
  readonly late?: true;
  readonly trail: readonly ExplainedStep[];
  readonly end: ExplainedEnd;
}

export type ExplainedStep =
  | {
      readonly type: "hop";
      readonly hop: string;
      readonly direction: "in" | "out";
      /** A bridge that passes it on between two ports: it cannot show it. */
      readonly implied?: true;
      readonly source: string;
      readonly destination: string;
      readonly sourcePort?: number;
      readonly destinationPort?: number;
      readonly ttl?: number;
    }
  | {
      readonly type: "decision";
      readonly node: string;
      /** `sending`, `prerouting`, `routing`, `forward`, … */
      readonly stage: string;
      /** `route`, `nft-rule`, `neighbour`, … */
      readonly by: string;
      readonly text: string;
    };

export interface ExplainedEnd {
  readonly kind: "delivered" | "outside" | "dropped" | "unknown";
  /** Node where it ends. */
  readonly node: string;
  /** Of a drop: code of the cause (docs/tracing.md). */
  readonly code?: string;
  readonly text?: string;
}

export interface ObservedExchange {
  readonly verdict: ExchangeVerdict;
  readonly reason?: string;
  /** The packets that tell it, the request first; empty where no hop saw one. */
  readonly packets: readonly PacketEvent[];
}

export interface Difference {
  readonly in: "verdict" | "request" | "reply" | "refusal";
  /** Hop where it begins. */
  readonly at?: string;
  readonly predicted: string;
  readonly observed: string;
  /** What the prediction went by there, and what must have been otherwise. */
  readonly failed: string;
}
