/** What a link end does to what it sends: rate by tbf, delay and the rest by netem, both where both are asked for. */
import { links, type NetlinkClient, qdiscs } from "../kernel/index.js";
import type { ResolvedShaping } from "../topology/resolved.js";

/** Milliseconds of traffic that may wait in a tbf before it drops. */
const queueTime = 50;
/** A tbf's bucket holds at least what the rate gives in 10 ms, and two large frames. */
const minimumBurst = 2 * 1600;

const rootHandle = 0x10000; // 1:
const childHandle = 0x100000; // 10:

/** Replaces what the end has. @param shaping undefined gives the kernel's default back. @throws UnsupportedError */
export function applyShaping(client: NetlinkClient, index: number, shaping: ResolvedShaping | undefined): void {
  const present = client.execute(qdiscs.list(index)).some((each) => each.kind === "tbf" || each.kind === "netem");
  if (present) client.execute(qdiscs.remove(index));
  if (shaping === undefined) return;
  const { rate, burst, ...impairments } = shaping;
  const impaired = Object.keys(impairments).length > 0;
  if (impaired) client.execute(qdiscs.set(index, { kind: "netem", ...impairments }, { handle: rootHandle }));
  if (rate === undefined) return;
  const bytes = rate / 8;
  const bucket = Math.max(burst ?? Math.ceil(bytes / 100), minimumBurst, mtuOf(client, index) + 14);
  client.execute(
    qdiscs.set(
      index,
      { kind: "tbf", rate: bytes, burst: bucket, limit: Math.ceil((bytes * queueTime) / 1000) + bucket },
      // netem's own class is 1:1: the tbf then shapes what has been delayed.
      impaired ? { parent: rootHandle | 1, handle: childHandle } : { handle: rootHandle },
    ),
  );
}

/** What the end does to what it sends now, as `applyShaping` would take it; undefined for the kernel's default. */
export function readShaping(client: NetlinkClient, index: number): ResolvedShaping | undefined {
  const settings = client.execute(qdiscs.list(index)).flatMap((each) => each.settings ?? []);
  const tbf = settings.find((each) => each.kind === "tbf");
  const netem = settings.find((each) => each.kind === "netem");
  if (tbf === undefined && netem === undefined) return undefined;
  const { kind: _kind, limit: _limit, rate: _rate, seed: _seed, ...impairments } = netem ?? { kind: "netem" };
  return { ...impairments, ...(tbf === undefined ? {} : { rate: tbf.rate * 8, burst: tbf.burst }) };
}

function mtuOf(client: NetlinkClient, index: number): number {
  return client.execute(links.get(index)).mtu;
}
