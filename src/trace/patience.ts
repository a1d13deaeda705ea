/** How long links hold packets back: a trace that waits for less takes for lost what is only late. */
import { type Hop, hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";

/**
 * The longest that the qdiscs of the snapshot hold a packet back between two sightings. A tap sees a frame behind the qdisc
 * of its interface, so a gap has the delay of the interface that it ends at, and of those without a tap that lie in it.
 * @returns nanoseconds
 */
export function longestDelay(snapshot: Snapshot, hops: readonly Hop[]): number {
  const tapped = new Set(hops.map(hopName));
  let longest = 0;
  let unseen = 0;
  for (const { name: node, interfaces } of snapshot.nodes)
    for (const { name, qdiscs } of interfaces) {
      const delay = qdiscs.reduce((sum, each) => sum + (each.delay ?? 0) + (each.jitter ?? 0), 0);
      if (tapped.has(hopName({ node, interface: name }))) longest = Math.max(longest, delay);
      else unseen += delay;
    }
  return longest + unseen;
}
