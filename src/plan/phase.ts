/** The order of a plan: first what goes, from the outside in; then what comes, in the order that is fastest and valid. */
import type { Operation, OperationBody } from "./operation.js";

/**
 * What is made on an interface never has a larger MTU than that: it shrinks before and grows after it. Bridges go after their ports, so that undoing has them back before the ports. Bridges come up last: each port that joins a bridge that is up costs a topology change. Routes need their links up;
 * a container starts when its network stands. An interface joins its vrf before it has an address: joining takes those of IPv6 away.
 */
const phases = [
  "container.stop",
  "shaping.clear",
  "nftables.clear",
  "neighbour.remove",
  "rule.remove",
  "route.remove",
  "address.remove",
  "bridge.release",
  "port.release",
  "vrf.leave",
  "link.delete",
  "bridge.delete",
  "node.remove",
  "node.create",
  "sysctl.write",
  "bridge.create",
  "veth.create",
  "bridge.change",
  "device.shrink",
  "link.change",
  "device.change",
  "device.create",
  "vrf.join",
  "sysctl.interface",
  "address.add",
  "link.up",
  "route.add",
  "rule.add",
  "neighbour.add",
  "nftables.replace",
  "shaping.set",
  "hosts.write",
  "container.start",
] as const;

export type Phase = (typeof phases)[number];

/** Operations of a plan that is being made, in the order in which they were found. */
export class Draft {
  readonly #found = new Map<Phase, Operation[]>(phases.map((phase) => [phase, []]));

  add(phase: Phase, reason: string, body: OperationBody): void {
    this.#found.get(phase)?.push({ ...body, reason });
  }

  /** Within a phase, what was found first comes first: the order of the file. */
  operations(): Operation[] {
    return phases.flatMap((phase) => this.#found.get(phase) ?? []);
  }
}
