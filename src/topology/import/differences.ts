/** What a file gives by itself and the snapshot has otherwise: MACs, MTUs, settings of bridges and ports, sysctls. */
import { isUnicastMac, parseMac } from "../../model/address.js";
import type { InterfaceSnapshot } from "../../model/snapshot.js";
import type { ResolvedNode, ResolvedTopology } from "../resolved.js";
import { maySet } from "../sysctls.js";
import type { NodeDraft, TopologyDraft } from "./draft.js";
import type { ImportedNode } from "./node.js";

/** @param given the topology that the draft resolves to as it is */
export function writeDifferences(
  draft: TopologyDraft,
  nodes: readonly ImportedNode[],
  given: ResolvedTopology,
  lab: ResolvedTopology | undefined,
): void {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  given.links.forEach(({ ends }, number) => {
    ends.forEach((end, side) => {
      const one = byName.get(end.node)?.snapshot.interfaces.find(({ name }) => name === end.interface);
      const form = draft.links[number]?.[side];
      if (one === undefined || form === undefined) return;
      Object.assign(form, hardware(one, end));
      if (one.port !== undefined && end.port !== undefined)
        for (const key of ["hairpin", "isolated", "learning"] as const)
          if (one.port[key] !== end.port[key]) form[key] = one.port[key];
      const offload = lab?.links
        .flatMap((link) => link.ends)
        .find((other) => other.node === end.node && other.interface === end.interface)?.offload;
      if (offload !== undefined) form.offload = offload;
    });
  });
  for (const resolved of given.nodes) {
    const node = byName.get(resolved.name);
    const form = draft.nodes.get(resolved.name);
    if (node === undefined || form === undefined) continue;
    writeMade(node, form, resolved);
    const started = lab?.nodes.find(({ name }) => name === node.snapshot.name);
    const sysctls = sysctlDifferences(node, resolved, started);
    if (Object.keys(sysctls).length > 0) form.sysctls = sysctls;
  }
}

function hardware(
  one: InterfaceSnapshot,
  given: { readonly mac: string; readonly mtu: number },
): { mac?: string; mtu?: number } {
  const { mac } = one;
  const told = mac !== undefined && mac !== given.mac && isUnicastMac(parseMac(mac) ?? new Uint8Array(0));
  return {
    ...(told ? { mac } : {}),
    ...(one.mtu === given.mtu || one.mtu > 65535 || one.mtu < 68 ? {} : { mtu: one.mtu }),
  };
}

/** Bridges, and what is made on other interfaces. */
function writeMade(node: ImportedNode, form: NodeDraft, resolved: ResolvedNode): void {
  for (const bridge of resolved.bridges) {
    const one = node.snapshot.interfaces.find(({ name }) => name === bridge.name);
    const name = node.interfaces.get(bridge.name) ?? bridge.name;
    const own = form.bridges?.[name];
    if (one?.bridge === undefined || typeof own !== "object" || Array.isArray(own)) continue;
    Object.assign(own, hardware(one, bridge));
    const { stp, ageingTime, forwardDelay, vlanFiltering } = one.bridge;
    if (stp !== bridge.stp) own.stp = stp;
    if (vlanFiltering !== bridge.vlanFiltering) own.vlanFiltering = vlanFiltering;
    if (ageingTime !== bridge.ageingTime && Number.isInteger(ageingTime)) own.ageingTime = ageingTime;
    if (forwardDelay !== bridge.forwardDelay) {
      if (Number.isInteger(forwardDelay) && forwardDelay >= 2 && forwardDelay <= 30) own.forwardDelay = forwardDelay;
      else node.notes.push(`${bridge.name}: a forward delay of ${forwardDelay} s cannot be said`);
    }
  }
  for (const device of resolved.devices) {
    const one = node.snapshot.interfaces.find(({ name }) => name === device.name);
    const own = form.interfaces?.[node.interfaces.get(device.name) ?? device.name];
    if (one === undefined || typeof own !== "object" || Array.isArray(own)) continue;
    Object.assign(own, hardware(one, device));
    if (one.port !== undefined && device.port !== undefined)
      for (const key of ["hairpin", "isolated", "learning"] as const)
        if (one.port[key] !== device.port[key]) own[key] = one.port[key];
  }
}

/** Those that a lab sets for itself, or that read otherwise inside of a user namespace. */
const ours: ReadonlySet<string> = new Set([
  "net.ipv4.tcp_orphan_retries",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
]);

function sysctlDifferences(
  node: ImportedNode,
  resolved: ResolvedNode,
  started: ResolvedNode | undefined,
): Record<string, string> {
  const given = new Map(resolved.sysctls.map(({ name, value }) => [name, value]));
  const bridged = node.snapshot.interfaces.some(({ kind }) => kind === "bridge");
  const there = new Map([
    ...Object.entries(node.snapshot.sysctls),
    ...(started?.sysctls ?? []).filter(({ asked }) => asked === true).map(({ name, value }) => [name, value] as const),
  ]);
  const differing: Record<string, string> = {};
  for (const [name, value] of there) {
    const named = /^net\.ipv[46]\.conf\.([^.]+)\./.exec(name)?.[1];
    if (ours.has(name) || !maySet(name)) continue;
    if (named !== undefined && named !== "all" && named !== "default" && !node.interfaces.has(named)) continue;
    if (name.startsWith("net.bridge.") && !bridged) continue;
    if (value !== (given.get(name) ?? inherited(name, new Map([...given, ...there])))) differing[name] = value;
  }
  return differing;
}

/** What the kernel gives where the lab writes nothing: an interface has what `all` or `default` had when it was made. */
function inherited(name: string, settings: ReadonlyMap<string, string>): string {
  const [, family, key] = /^net\.(ipv[46])\.conf\.[^.]+\.([a-z_]+)$/.exec(name) ?? [];
  if (key === "forwarding")
    return settings.get(family === "ipv4" ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding") ?? "0";
  return (family === undefined ? undefined : settings.get(`net.${family}.conf.default.${key ?? ""}`)) ?? "0";
}
