/** What is remembered of a lab that may be half way between two topologies: a command was killed while it changed it. */
import type { ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import { equal } from "./equal.js";

/**
 * Of what the kernel cannot say (specs of containers, settings of devices and links, hosts lines) that in which both
 * agree; the rest counts as unknown, so that a plan does it anew.
 * @param before carried out last @param towards was being carried out
 */
export function agreed(before: ResolvedTopology, towards: ResolvedTopology): ResolvedTopology {
  const others = new Map(towards.nodes.map((node) => [node.name, node]));
  const ends = new Map(
    towards.links.flatMap((link) => link.ends).map((end) => [`${end.node}:${end.interface}`, end] as const),
  );
  return {
    ...before,
    hosts: equal(before.hosts, towards.hosts) ? before.hosts : [],
    nodes: before.nodes.map((node) => agreedNode(node, others.get(node.name))),
    links: before.links.map((link) => {
      const [left, right] = link.ends.map((end) => {
        const { shaping, offload, ...rest } = end;
        const other = ends.get(`${end.node}:${end.interface}`);
        return {
          ...rest,
          ...(shaping !== undefined && equal(shaping, other?.shaping) ? { shaping } : {}),
          ...(offload !== undefined && equal(offload, other?.offload) ? { offload } : {}),
        };
      });
      return left === undefined || right === undefined ? link : { ...link, ends: [left, right] };
    }),
  };
}

function agreedNode(node: ResolvedNode, other: ResolvedNode | undefined): ResolvedNode {
  // It goes, or has gone: what there still is of it is as it was.
  if (other === undefined) return node;
  const { container, ...rest } = node;
  return {
    ...rest,
    uplink: node.uplink || other.uplink,
    hosts: equal(node.hosts, other.hosts) ? node.hosts : [],
    devices: node.devices.filter((device) =>
      equal(device.settings, other.devices.find(({ name }) => name === device.name)?.settings),
    ),
    sysctls: node.sysctls.filter((entry) =>
      equal(
        entry,
        other.sysctls.find(({ name }) => name === entry.name),
      ),
    ),
    ...(container !== undefined && equal(container, other.container) ? { container } : {}),
  };
}
