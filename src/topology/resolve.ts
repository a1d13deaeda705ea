/** The steps from the file form to the resolved topology, in order. */
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from "../model/address.js";
import { checkDraft } from "./check.js";
import { type FileProbe, resolveContainer } from "./container.js";
import { mtuOf, resolveDevices } from "./devices.js";
import type { Document } from "./document.js";
import type { Draft, DraftInterface, DraftLink, DraftNode, Settings } from "./draft.js";
import { resolveExpectations } from "./expectations.js";
import { lowerFirewall } from "./firewall.js";
import type { TopologyForm } from "./form/file.js";
import type { RouteForm } from "./form/node.js";
import { commonHosts, nearHosts, severalAddresses } from "./hosts.js";
import { allocate } from "./allocation.js";
import { expandLinks } from "./links.js";
import { listOf } from "./merge.js";
import { lowerNat } from "./nat.js";
import { declareNetworks, expandNetworks } from "./networks.js";
import { expandNodes } from "./nodes.js";
import { parsePorts } from "./quantity.js";
import type {
  ResolvedBridge,
  ResolvedEnd,
  ResolvedInterface,
  ResolvedLink,
  ResolvedNeighbour,
  ResolvedNode,
  ResolvedPolicyRule,
  ResolvedRoute,
  ResolvedTopology,
} from "./resolved.js";
import { resolvePort } from "./port.js";
import { planRoutes, type Routing } from "./routing.js";
import { resolveShaping } from "./shaping.js";
import { sysctlsOf } from "./sysctls.js";
import { joinVrfs, tableOf, vrfOfRoute } from "./vrf.js";
import { stableMac, wireName } from "./wire-name.js";

const defaultMtu = 1500;

/** @param name of the lab, where the file does not say */
export function resolve(document: Document, form: TopologyForm, name: string, probe?: FileProbe): ResolvedTopology {
  const draft: Draft = {
    document,
    form,
    name: form.name ?? name,
    nodes: new Map(),
    links: [],
    networks: [],
    linked: new Set(),
  };
  expandNodes(draft);
  declareNetworks(draft);
  expandLinks(draft);
  expandNetworks(draft);
  joinVrfs(draft);
  allocate(draft);
  const routing = planRoutes(draft);
  checkDraft(draft, routing);
  const macs = macsOf(draft);
  const several = severalAddresses(draft);
  return {
    name: draft.name,
    ...(form.machine === undefined ? {} : { machine: form.machine }),
    nodes: [...draft.nodes.values()].map((node) => resolveNode(draft, node, routing, macs, several, probe)),
    links: draft.links.map((link) => resolveLink(draft, link, macs)),
    hosts: commonHosts(draft),
    expectations: resolveExpectations(draft),
  };
}

type Macs = ReadonlyMap<DraftInterface, string>;

/** Given ones first; of the worked-out ones, no two are the same. */
function macsOf(draft: Draft): Macs {
  const macs = new Map<DraftInterface, string>();
  const all = [...draft.nodes.values()].flatMap((node) => [...node.interfaces.values()]);
  const used = new Set(all.flatMap(({ settings }) => settings.mac?.toLowerCase() ?? []));
  for (const member of all) {
    let mac = member.settings.mac?.toLowerCase();
    for (let attempt = 0; mac === undefined; attempt++) {
      const worked = stableMac(draft.name, member.node.name, member.name, attempt);
      if (!used.has(worked)) mac = worked;
    }
    used.add(mac);
    macs.set(member, mac);
  }
  return macs;
}

function resolveNode(
  draft: Draft,
  node: DraftNode,
  routing: Routing,
  macs: Macs,
  several: ReturnType<typeof severalAddresses>,
  probe: FileProbe | undefined,
): ResolvedNode {
  const { form, name, at } = node;
  const interfaces = [...node.interfaces.values()];
  const nat = lowerNat(draft, node);
  const firewall = lowerFirewall(draft, node);
  return {
    name,
    sysctls: sysctlsOf(draft, node, { 4: routing.forwards(node, 4), 6: routing.forwards(node, 6) }),
    bridges: interfaces.flatMap((member) => (member.bridge ? [resolveBridge(draft, member, macs)] : [])),
    devices: resolveDevices(node, macs),
    interfaces: interfaces.map(resolveInterface),
    routes: [...writtenRoutes(draft, node), ...(routing.routes.get(node) ?? [])],
    rules: resolveRules(node),
    neighbours: (form.neighbours ?? []).map((entry): ResolvedNeighbour => ({
      interface: wireName(entry.interface),
      address: canonical(entry.address),
      mac: entry.mac.toLowerCase(),
    })),
    nftables: [...(firewall ? [firewall] : []), ...(nat ? [nat] : [])],
    ...(form.container
      ? { container: resolveContainer(draft.document, name, form.container, [...at, "container"], probe) }
      : {}),
    hosts: nearHosts(node, several),
    ready: listOf(form.ready).map((text) => ({
      protocol: text.startsWith("udp") ? "udp" : "tcp",
      port: parsePorts(text.slice(4))?.from ?? 0,
    })),
    uplink: form.uplink ?? false,
  };
}

function canonical(text: string): string {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}

function resolveInterface(member: DraftInterface): ResolvedInterface {
  const name = wireName(member.name);
  return {
    name,
    ...(name === member.name ? {} : { longName: member.name }),
    ...(member.vrf ? { vrf: wireName(member.vrf.name) } : {}),
    addresses: member.addresses.map(({ address, length }) => ({
      family: address.family,
      address: formatAddress(address),
      prefixLength: length,
    })),
    up: member.settings.up ?? true,
  };
}

/** A bridge carries no more than its ports do: the smallest MTU of them, unless the file says one. */
function resolveBridge(draft: Draft, member: DraftInterface, macs: Macs): ResolvedBridge {
  const form = member.bridge ?? {};
  const ports = [...member.node.interfaces.values()].filter((other) => other.master === member.name);
  return {
    name: wireName(member.name),
    mac: macs.get(member) ?? stableMac(draft.name, member.node.name, member.name),
    mtu: member.settings.mtu ?? (ports.length === 0 ? defaultMtu : Math.min(...ports.map(mtuOf))),
    stp: form.stp ?? false,
    ageingTime: form.ageingTime ?? 300,
    // Only STP waits for it (br_make_forwarding in net/bridge/br_stp.c).
    forwardDelay: form.forwardDelay ?? 15,
    vlanFiltering: form.vlanFiltering ?? false,
  };
}

function resolveLink(draft: Draft, link: DraftLink, macs: Macs): ResolvedLink {
  const [left, right] = link.ends;
  return { kind: "veth", ends: [resolveEnd(draft, left, macs), resolveEnd(draft, right, macs)] };
}

function resolveEnd(draft: Draft, end: DraftInterface, macs: Macs): ResolvedEnd {
  const { settings } = end;
  const shaping = resolveShaping(draft.document, end);
  return {
    node: end.node.name,
    interface: wireName(end.name),
    mac: macs.get(end) ?? stableMac(draft.name, end.node.name, end.name),
    mtu: settings.mtu ?? defaultMtu,
    up: settings.up ?? true,
    ...(end.master === undefined ? {} : { master: wireName(end.master), port: resolvePort(settings) }),
    ...(shaping ? { shaping } : {}),
    ...(settings.offload ? { offload: offloadOf(settings.offload) } : {}),
  };
}

function offloadOf(offload: NonNullable<Settings["offload"]>): NonNullable<ResolvedEnd["offload"]> {
  const { tso, gso, gro, tx } = offload;
  return {
    ...(tso === undefined ? {} : { tso }),
    ...(gso === undefined ? {} : { gso }),
    ...(gro === undefined ? {} : { gro }),
    ...(tx === undefined ? {} : { tx }),
  };
}

function writtenRoutes(draft: Draft, node: DraftNode): ResolvedRoute[] {
  return (node.form.routes ?? []).flatMap((form, index) => resolveRoute(draft, node, form, index) ?? []);
}

function resolveRoute(draft: Draft, node: DraftNode, form: RouteForm, index: number): ResolvedRoute | undefined {
  const at = [...node.at, "routes", index];
  const type = form.type ?? "unicast";
  const via = form.via === undefined ? undefined : parseAddress(form.via);
  const source = form.source === undefined ? undefined : parseAddress(form.source);
  const to = form.to === "default" ? undefined : parsePrefix(form.to);
  const family = to?.family ?? via?.family ?? source?.family ?? 4;
  if ((via && via.family !== family) || (source && source.family !== family)) {
    draft.document.error(at, `this route mixes IPv4 and IPv6`, { code: "conflict" });
    return undefined;
  }
  if (type === "unicast" && !via && form.interface === undefined) {
    draft.document.error(at, `a route needs "via" or "interface"`, { code: "missing" });
    return undefined;
  }
  if (type !== "unicast" && (via || form.interface !== undefined)) {
    draft.document.error(at, `a ${type} route goes nowhere: it has no "via" and no "interface"`, { code: "conflict" });
    return undefined;
  }
  const vrf = vrfOfRoute(node, form);
  const table = form.table ?? (vrf && tableOf(vrf));
  return {
    family,
    destination: to ? formatPrefix(to) : family === 4 ? "0.0.0.0/0" : "::/0",
    type,
    ...(via ? { gateway: formatAddress(via) } : {}),
    ...(form.interface === undefined ? {} : { interface: wireName(form.interface) }),
    ...(form.metric === undefined ? {} : { metric: form.metric }),
    ...(table === undefined ? {} : { table }),
    ...(source ? { preferredSource: formatAddress(source) } : {}),
  };
}

/** Priorities that are not given count up from 1000, in the order of the file. */
function resolveRules(node: DraftNode): ResolvedPolicyRule[] {
  return (node.form.rules ?? []).map((form, index) => {
    const prefix = parsePrefix(form.from ?? form.to ?? "");
    return {
      family: form.family ?? prefix?.family ?? 4,
      priority: form.priority ?? 1000 + index,
      ...(form.from === undefined ? {} : { from: form.from }),
      ...(form.to === undefined ? {} : { to: form.to }),
      ...(form.in === undefined ? {} : { inputInterface: wireName(form.in) }),
      ...(form.mark === undefined ? {} : { mark: form.mark }),
      table: form.table,
    };
  });
}
