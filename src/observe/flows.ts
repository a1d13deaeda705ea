import type { conntrack } from "../kernel/index.js";
import type { ConntrackFlow } from "../model/conntrack.js";

/** The part of a connection that a snapshot and a saved trace keep: JSON, without counters and stamps. */
export function toFlow(flow: conntrack.flows.Flow): ConntrackFlow {
  const { id, zone, family, original, reply, status, tcpState, timeout, mark } = flow;
  return {
    id,
    zone,
    family,
    original,
    reply,
    status,
    ...(tcpState === undefined ? {} : { tcpState }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(mark === undefined ? {} : { mark }),
  };
}
