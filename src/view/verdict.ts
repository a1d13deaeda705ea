/** Verdicts in words and colours. */
import type { ExchangeEvent, MatchClass, PacketEvent, Verdict } from "../model/trace.js";
import type { Tone } from "./ink.js";

export const verdictTone: Readonly<Record<Verdict["kind"], Tone>> = {
  delivered: "good",
  refused: "warn",
  dropped: "bad",
  unknown: "odd",
};

export const exchangeTone: Readonly<Record<ExchangeEvent["verdict"], Tone>> = {
  answered: "good",
  refused: "warn",
  unanswered: "bad",
  unknown: "odd",
};

/** How a path ends that is not a delivery. */
export const endMark: Readonly<Record<Verdict["kind"], string>> = {
  delivered: "",
  refused: "↩",
  dropped: "✗",
  unknown: "?",
};

/** Where it died, without why: `between host:eth0 and host:yapc0`. */
export function placeOfDeath(verdict: Extract<Verdict, { kind: "dropped" }>): string {
  const { after, before } = verdict;
  if (before !== undefined) return `between ${after} and ${before}`;
  return `after ${after}, inside ${after.slice(0, after.lastIndexOf(":"))}`;
}

/** Why it did not arrive: `nft rule 'no 81' (…)`, `cause not known`. Empty for a packet that was delivered. */
export function reasonOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case "delivered":
      return "";
    case "refused":
      return `by ${verdict.by}: ${verdict.reason}`;
    case "dropped":
      return verdict.cause?.text ?? "cause not known";
    case "unknown":
      return verdict.reason;
  }
}

/** The whole verdict in one line: `dropped between host:eth0 and host:yapc0 by nft rule 'no 81' (forward, handle 7)`. */
export function verdictSentence(verdict: Verdict): string {
  switch (verdict.kind) {
    case "delivered":
      return "delivered";
    case "refused":
      return `refused ${reasonOf(verdict)}`;
    case "dropped": {
      if (verdict.cause === undefined) return `dropped ${placeOfDeath(verdict)}, cause not known`;
      // A rule does something; the other causes are states.
      const joint = verdict.cause.code.startsWith("nft") ? " by " : ": ";
      return `dropped ${placeOfDeath(verdict)}${joint}${verdict.cause.text}`;
    }
    case "unknown":
      return `unknown: ${verdict.reason}`;
  }
}

/** A problem is what `n` jumps to and what the closing sentence counts. */
export function isProblem(packet: PacketEvent): boolean {
  return packet.verdict.kind !== "delivered" && packet.provisional !== true;
}

/** A join that is less than sure must show; the sure ones need no word. */
export function doubt(match: MatchClass): string {
  return match === "ordered" || match === "ambiguous" ? match : "";
}
