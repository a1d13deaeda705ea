/** What a prediction says: the hops of a packet's way, what decided at each place, where it ends, what is not known. */
import type { NftRule } from "../model/nft.js";
import type { Cause } from "../model/trace.js";
import type { Passage } from "./connection.js";
import type { Header } from "./header.js";
import type { Place } from "./network.js";
import { quoteRule, type RuleQuote } from "./quote.js";

/** One hop of the predicted way, with the header as it is there. */
export interface Step {
  readonly kind: "hop";
  readonly hop: string;
  readonly place: Place;
  readonly direction: "in" | "out";
  readonly header: Header;
  /** A bridge that passes the frame between two ports: it does not show it. */
  readonly implied: boolean;
}

/** Where in a node something is decided, in the order of a packet's way through it. */
export type Stage =
  | "sending"
  | "prerouting"
  | "input"
  | "delivery"
  | "output"
  | "routing"
  | "forward"
  | "postrouting"
  | "neighbour"
  | "bridge"
  | "link";

/** What decided, in words of ip(8) and nft(8). */
export interface Decision {
  readonly kind: "decision";
  readonly node: string;
  readonly stage: Stage;
  readonly by:
    | "source"
    | "policy-rule"
    | "route"
    | "nft-rule"
    | "nft-policy"
    | "dnat"
    | "snat"
    | "conntrack"
    | "sysctl"
    | "neighbour"
    | "fdb"
    | "link"
    | "listener";
  readonly text: string;
}

/** What the snapshot cannot tell. */
export interface Doubt {
  readonly node: string;
  readonly text: string;
  /** The prediction goes by it (a rate limit is not exceeded); else the end may be another. */
  readonly assumed: boolean;
}

export interface Prediction {
  readonly steps: readonly Step[];
  /** Steps and decisions, in the order of the way. */
  readonly trail: readonly (Step | Decision)[];
  readonly end: PredictionEnd;
  readonly doubts: readonly Doubt[];
  /** The connections that the packet opens in the nodes that it passes. */
  readonly passages: readonly Passage[];
}

export type PredictionEnd =
  /** To a process of this node, or to everyone on a link. */
  | { readonly kind: "delivered"; readonly node: string; readonly header: Header; readonly to: "process" | "group" }
  /** Over an interface whose other end is not in the snapshot. */
  | { readonly kind: "outside"; readonly hop: string }
  | Drop
  | {
      readonly kind: "unknown";
      readonly node: string;
      readonly reason: string;
      /** It goes on over an interface that is not followed (a vlan, macvlan or vxlan): a trace sees it leave there. */
      readonly leaves?: true;
    };

/** `node` drops it. */
export interface Drop {
  readonly kind: "dropped";
  readonly node: string;
  readonly cause: Cause;
  /** The packet as it was then; absent where it never left its sender's process. */
  readonly header?: Header;
  /** Whether the node sent it itself, or was passing it on, or was to take it. */
  readonly role: "sender" | "router" | "receiver" | "link";
  /** The rule that rejects it. */
  readonly rejection?: NftRule;
}

export function cause(code: string, text: string): Cause {
  return { code, text, evidence: [{ source: "configuration", strength: "sign", text }] };
}

export function dropped(node: string, role: Drop["role"], header: Header, code: string, text: string): Drop {
  return { kind: "dropped", node, role, header, cause: cause(code, text) };
}

/** @param because why the rules were asked at all, where that is not plain */
export function refusedBy(
  node: string,
  role: Drop["role"],
  header: Header,
  kind: "drop" | "reject",
  quote: RuleQuote,
  because?: string,
): Drop {
  const code = quote.rule === undefined ? "nft-policy" : kind === "drop" ? "nft-drop" : "nft-reject";
  const text = quoteRule(quote);
  return {
    ...dropped(
      node,
      role,
      header,
      code,
      because === undefined ? text : `${text}, asked for bridged frames because ${because}`,
    ),
    ...(kind === "reject" && quote.rule !== undefined ? { rejection: quote.rule } : {}),
  };
}
