/**
 * The input log: what, besides the captures, a trace was made from, and when. With the captures it determines every
 * event of the trace, so a replay gives the same JSON Lines.
 *
 * One entry a line. `at` counts the records that the core had received when it happened; entries stand in order.
 */
import type { ConntrackEvent } from "../model/conntrack.js";
import { hasNumbers, hasStrings, isListOf, isObject } from "../model/shape.js";
import { type HandOver, isNamespaceTap } from "../model/tap.js";
import type { LogEvent } from "../model/trace.js";

export type LogEntry =
  /** Wall clock, nanoseconds since the epoch of the trace: every tap has delivered what it saw before. */
  | { readonly at: number; readonly tick: number }
  | { readonly at: number; readonly conntrack: ConntrackEvent }
  /** Every tap has begun by this time, nanoseconds since the epoch of the trace. */
  | { readonly at: number; readonly listening: number }
  /** The tap of a hop lost records (a count since the last entry, not a total). */
  | { readonly at: number; readonly drops: { readonly hop: number; readonly records: number } }
  /** The tap of a hop ended before the trace: what passes there from now on is not seen. */
  | { readonly at: number; readonly died: { readonly hop: number } }
  /** The tap of a hop does not answer: from here on nothing waits for it. What it saw before `since` has been delivered. */
  | { readonly at: number; readonly silent: { readonly hop: number; readonly since: number } }
  /** It answers again, and has delivered what it saw before `time`. */
  | { readonly at: number; readonly answers: { readonly hop: number; readonly time: number } }
  /** Record `record` of tap `tap` came after records that are younger, and was taken at this place. */
  | { readonly at: number; readonly late: { readonly tap: number; readonly record: number } }
  /** A container wrote a line. */
  | { readonly at: number; readonly line: LogEvent }
  /** Taps on whole nodes took over. */
  | { readonly at: number; readonly handOver: HandOver }
  | { readonly at: number; readonly end: true };

/** Whether a line of a saved log, which may have been damaged, is an entry. */
export function isLogEntry(value: unknown): value is LogEntry {
  if (!isObject(value) || !hasNumbers(value, "at")) return false;
  const { conntrack, line, handOver } = value;
  if (conntrack !== undefined) return isConntrack(conntrack);
  if (line !== undefined) return hasNumbers(line, "time") && hasStrings(line, "node", "stream", "text");
  if (handOver !== undefined)
    return isObject(handOver) && hasNumbers(handOver, "time") && isListOf(handOver.taps, isNamespaceTap);
  return (
    value.end === true ||
    hasNumbers(value, "tick") ||
    hasNumbers(value, "listening") ||
    hasNumbers(value.drops, "hop", "records") ||
    hasNumbers(value.died, "hop") ||
    hasNumbers(value.silent, "hop", "since") ||
    hasNumbers(value.answers, "hop", "time") ||
    hasNumbers(value.late, "tap", "record")
  );
}

function isConntrack(value: unknown): boolean {
  if (!isObject(value) || !hasStrings(value, "node") || !isObject(value.flow)) return false;
  const { family, original, reply } = value.flow;
  return (family === 4 || family === 6) && isTuple(original) && isTuple(reply);
}

function isTuple(value: unknown): boolean {
  return hasNumbers(value, "protocol") && hasStrings(value, "source", "destination");
}
