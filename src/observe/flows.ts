import type { conntrack } from "../kernel/index.js";
import type { ConntrackFlow } from "../model/conntrack.js";

/** The part of a connection that a snapshot and a saved trace keep: JSON, without counters. */
export function toFlow(flow: conntrack.flows.Flow): ConntrackFlow {
  const { counters: _counters, start: _start, stop: _stop, ...kept } = flow;
  return kept;
}
