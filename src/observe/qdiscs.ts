/** Queueing disciplines of a namespace as a snapshot holds them. */
import type { Qdisc } from "../kernel/rtnetlink/index.js";
import type { QdiscSnapshot } from "../model/snapshot.js";

/** The kernel's own choices say nothing about what happens to a packet. */
const defaults = new Set(["noqueue", "fq_codel", "pfifo_fast", "mq"]);

/** By the index of the link; those that the kernel chose are left out. */
export function qdiscsByLink(list: readonly Qdisc[]): Map<number, QdiscSnapshot[]> {
  const byLink = new Map<number, QdiscSnapshot[]>();
  for (const qdisc of list) {
    if (defaults.has(qdisc.kind)) continue;
    byLink.set(qdisc.index, [...(byLink.get(qdisc.index) ?? []), toQdisc(qdisc)]);
  }
  return byLink;
}

const shown = ["rate", "burst", "delay", "jitter", "loss", "duplicate", "reorder", "corrupt"] as const;

function toQdisc({ kind, handle, parent, drops, backlog, settings }: Qdisc): QdiscSnapshot {
  const given: Readonly<Record<string, unknown>> = { ...settings };
  const numbers = shown.flatMap((key) => (typeof given[key] === "number" ? [[key, given[key]] as const] : []));
  return { kind, handle, parent, drops, backlog, ...Object.fromEntries(numbers) };
}
