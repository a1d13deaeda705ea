/** `inspect`: what the kernel says about a running lab now. */
import type { Snapshot } from "../model/snapshot.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab } from "./target.js";

/** @param options `nodes`: only these; none for all */
export async function inspect(options: {
  readonly lab: string | undefined;
  readonly nodes: readonly string[];
}): Promise<Snapshot> {
  const found = findLab(options.lab);
  for (const node of options.nodes) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const snapshot = await lab.snapshot();
  if (options.nodes.length === 0) return snapshot;
  return { ...snapshot, nodes: snapshot.nodes.filter((node) => options.nodes.includes(node.name)) };
}
