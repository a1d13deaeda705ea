/** A snapshot with something else in one node. */
import type { NodeSnapshot, Snapshot } from "../../src/model/snapshot.js";

/** Replaces what `change` returns for the node of a name. */
export function changed(
  snapshot: Snapshot,
  name: string,
  change: (one: NodeSnapshot) => Partial<NodeSnapshot>,
): Snapshot {
  return { ...snapshot, nodes: snapshot.nodes.map((one) => (one.name === name ? { ...one, ...change(one) } : one)) };
}
