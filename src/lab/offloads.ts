/** Offloads that operations of a plan set: segmentation, receive merging and checksums of one interface (ethtool(8)). */
import type { Offload } from "../kernel/index.js";
import type { OperationBody } from "../plan/operation.js";
import type { ResolvedEnd } from "../topology/resolved.js";

export interface OffloadChange {
  readonly node: string;
  readonly name: string;
  readonly offload: Partial<Record<Offload, boolean>>;
}

export function offloadsOf(operation: OperationBody): OffloadChange[] {
  switch (operation.kind) {
    case "veth.create":
      return operation.ends.flatMap((end) => changeOf(end.node, end.interface, end.offload));
    case "link.change":
      return changeOf(operation.node, operation.interface, operation.change.offload);
    default:
      return [];
  }
}

function changeOf(node: string, name: string, offload: ResolvedEnd["offload"]): OffloadChange[] {
  return offload === undefined ? [] : [{ node, name, offload }];
}
