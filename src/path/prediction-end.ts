/** How a predicted way ends. */
import type { Cause } from "../model/trace.js";
import type { Place } from "./network.js";
import { quoteRule, type RuleQuote } from "./rules.js";

export type PredictionEnd =
  /** To a process of this node, or to everyone on a link. */
  | { readonly kind: "delivered"; readonly node: string }
  /** Over an interface whose other end is not in the snapshot. */
  | { readonly kind: "outside"; readonly hop: string }
  /** `node` drops it. */
  | { readonly kind: "dropped"; readonly node: string; readonly cause: Cause }
  | { readonly kind: "unknown"; readonly node: string; readonly reason: string };

export function dropped(place: Place, code: string, text: string): PredictionEnd {
  return droppedIn(place.node.name, code, text);
}

export function droppedIn(node: string, code: string, text: string): PredictionEnd {
  return { kind: "dropped", node, cause: configured(code, text) };
}

/** @param because why the rules were asked at all, where that is not plain */
export function refusedBy(place: Place, kind: "drop" | "reject", quote: RuleQuote, because?: string): PredictionEnd {
  return refusedIn(place.node.name, kind, quote, because);
}

export function refusedIn(node: string, kind: "drop" | "reject", quote: RuleQuote, because?: string): PredictionEnd {
  const code = quote.rule === undefined ? "nft-policy" : kind === "drop" ? "nft-drop" : "nft-reject";
  const text = quoteRule(quote);
  return droppedIn(node, code, because === undefined ? text : `${text}, asked for bridged frames because ${because}`);
}

/** A cause that the configuration suggests: it fits, nothing was seen of it. */
function configured(code: string, text: string): Cause {
  return { code, text, evidence: [{ source: "configuration", strength: "sign", text }] };
}
