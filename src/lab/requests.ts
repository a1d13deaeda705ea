/** Operations of a plan as netlink requests: which node's socket each goes to, in which order. */
import { addresses, links, neighbours, routes, rules, type PolicyRule } from "../kernel/index.js";
import { broadcastOf, formatAddress, networkOf, parseAddress } from "../model/address.js";
import type { OperationBody } from "../plan/operation.js";
import type {
  ResolvedBridge,
  ResolvedDevice,
  ResolvedEnd,
  ResolvedPolicyRule,
  ResolvedRoute,
} from "../topology/resolved.js";
import type { NodeSockets } from "../observe/sockets.js";
import type { LinkTable } from "./link-table.js";
import type { MachineSite } from "./machine/site.js";
import type { NodeRequest } from "./node-request.js";

export interface RequestContext {
  readonly links: LinkTable;
  readonly sockets: NodeSockets;
  /** Where a node is the machine itself. */
  readonly site?: MachineSite | undefined;
}

const interfaceNameMax = 15;

/** Kinds of operations that are done by route netlink. */
const routed = [
  "bridge.create",
  "bridge.change",
  "veth.create",
  "device.create",
  "link.change",
  "link.delete",
  "address.add",
  "address.remove",
  "route.add",
  "route.remove",
  "rule.add",
  "rule.remove",
  "neighbour.add",
  "neighbour.remove",
] as const;

export type Routed = Extract<OperationBody, { readonly kind: (typeof routed)[number] }>;

const kinds: ReadonlySet<string> = new Set(routed);

export function isRouted(operation: OperationBody): operation is Routed {
  return kinds.has(operation.kind);
}

export function requestsFor(operation: Routed, context: RequestContext): NodeRequest[] {
  switch (operation.kind) {
    case "bridge.create": {
      const { node, bridge } = operation;
      const { name, mac, mtu } = bridge;
      const index = context.links.reserve(node, name);
      // Made down, and brought up after its ports: a bridge that is up looks at every port for each that joins.
      const settings = { name, mac, mtu, index, bridge: bridgeSettings(bridge), ...context.site?.group(node) };
      return [
        { node, request: links.add({ kind: "bridge", ...settings }) },
        ...(context.site?.mark(node, name, index) ?? []),
      ];
    }
    case "bridge.change": {
      const { node, bridge } = operation;
      const { name, mac, mtu } = bridge;
      return [
        { node, request: links.setKind(name, { kind: "bridge", name, bridge: bridgeSettings(bridge) }) },
        { node, request: links.set(name, { mac, mtu }) },
      ];
    }
    case "veth.create":
      return vethRequests(operation.ends, operation.longNames, context);
    case "device.create":
      return deviceRequests(operation.node, operation.device, operation.longName, context);
    case "link.change": {
      const { node, interface: name, change } = operation;
      const { port, master, up, mtu, mac } = change;
      const reference = context.links.index(node, name);
      return [
        ...(up === undefined && mtu === undefined && mac === undefined && master === undefined
          ? []
          : [
              {
                node,
                request: links.set(reference, {
                  ...(up === undefined ? {} : { up }),
                  ...(mtu === undefined ? {} : { mtu }),
                  ...(mac === undefined ? {} : { mac }),
                  ...(master === undefined ? {} : { master: master === null ? 0 : context.links.index(node, master) }),
                }),
              },
            ]),
        ...(port === undefined ? [] : [{ node, request: links.setPort(reference, port) }]),
      ];
    }
    case "link.delete": {
      const { node, interface: name } = operation;
      const reference = context.links.index(node, name);
      context.links.release(node, name);
      return [{ node, request: links.remove(reference) }];
    }
    case "address.add":
    case "address.remove": {
      const { node, address } = operation;
      const change = {
        index: context.links.index(node, operation.interface),
        address: address.address,
        prefixLength: address.prefixLength,
      };
      if (operation.kind === "address.remove") return [{ node, request: addresses.remove(change) }];
      const broadcast = broadcastText(address.address, address.prefixLength);
      return [
        {
          node,
          request: addresses.add({
            ...change,
            ...(broadcast === undefined ? {} : { broadcast }),
            // Nobody else is on these links: waiting 1 to 2 s for duplicate address detection would find nothing.
            skipDuplicateDetection: address.family === 6,
          }),
        },
      ];
    }
    case "route.add":
    case "route.remove": {
      const { node, route } = operation;
      const request = newRoute(node, route, context.links);
      return [{ node, request: operation.kind === "route.add" ? routes.add(request) : routes.remove(request) }];
    }
    case "rule.add":
    case "rule.remove": {
      const { node } = operation;
      const rule = newRule(operation.rule);
      return [{ node, request: operation.kind === "rule.add" ? rules.add(rule) : rules.remove(rule) }];
    }
    case "neighbour.add":
    case "neighbour.remove": {
      const { node, neighbour } = operation;
      const index = context.links.index(node, neighbour.interface);
      return [
        {
          node,
          request:
            operation.kind === "neighbour.add"
              ? neighbours.add({ index, address: neighbour.address, mac: neighbour.mac })
              : neighbours.remove({ index, address: neighbour.address }),
        },
      ];
    }
  }
}

/** A vlan, macvlan, vxlan or vrf: made with its settings, then put on its bridge, then brought up. */
function deviceRequests(
  node: string,
  { name, mac, mtu, up, master, port, settings }: ResolvedDevice,
  longName: string | undefined,
  { links: table, site }: RequestContext,
): NodeRequest[] {
  const parent = settings.parent === undefined ? undefined : table.index(node, settings.parent);
  const index = table.reserve(node, name);
  const common = { name, mac, mtu, index, ...site?.group(node) };
  return [
    { node, request: links.add(specificationOf(common, settings, parent)) },
    ...(longName === undefined
      ? []
      : [
          { node, request: links.addAltname(index, longName) },
          { node, request: links.set(index, { alias: longName }) },
        ]),
    ...(master === undefined ? [] : [{ node, request: links.set(index, { master: table.index(node, master) }) }]),
    ...(port === undefined ? [] : [{ node, request: links.setPort(index, port) }]),
    ...(up ? [{ node, request: links.set(index, { up }) }] : []),
    ...(site?.mark(node, name, index) ?? []),
  ];
}

function specificationOf(
  common: {
    readonly name: string;
    readonly mac: string;
    readonly mtu: number;
    readonly index: number;
    readonly group?: number;
  },
  settings: ResolvedDevice["settings"],
  parent = 0,
): Parameters<typeof links.add>[0] {
  switch (settings.kind) {
    case "vlan":
      return { ...common, kind: "vlan", parent, id: settings.id };
    case "vrf":
      return { ...common, kind: "vrf", table: settings.table };
    case "macvlan":
      return { ...common, kind: "macvlan", parent, mode: settings.mode };
    case "vxlan": {
      const { id, port, local, remote } = settings;
      const vxlan = {
        id,
        port,
        ...(local === undefined ? {} : { local }),
        ...(remote === undefined ? {} : { group: remote }),
        ...(parent === 0 ? {} : { underlay: parent }),
      };
      return { ...common, kind: "vxlan", vxlan };
    }
  }
}

/**
 * A veth pair, both ends placed, named and set in one request, sent in the node of the end that is a bridge port (its
 * master can then be given at once). The other end is brought up afterwards: the kernel refuses IFF_UP for a peer.
 */
function vethRequests(
  ends: readonly [ResolvedEnd, ResolvedEnd],
  longNames: readonly [string | undefined, string | undefined],
  { links: table, sockets, site }: RequestContext,
): NodeRequest[] {
  const swapped = ends[0].master === undefined && ends[1].master !== undefined;
  const [main, peer] = swapped ? [ends[1], ends[0]] : ends;
  const [mainLong, peerLong] = swapped ? [longNames[1], longNames[0]] : longNames;
  const describe = (end: ResolvedEnd) => ({
    name: end.interface,
    mac: end.mac,
    mtu: end.mtu,
    index: table.reserve(end.node, end.interface),
    ...site?.group(end.node),
  });
  const masterOf = (end: ResolvedEnd) =>
    end.master === undefined ? {} : { master: table.index(end.node, end.master) };
  const mainEnd = { ...describe(main), ...masterOf(main) };
  const peerEnd = describe(peer);
  const requests: NodeRequest[] = [
    {
      node: main.node,
      request: links.add({
        kind: "veth",
        ...mainEnd,
        up: main.up,
        peer: { ...peerEnd, netnsFd: sockets.namespace(peer.node) },
      }),
    },
  ];
  // The kernel passes over a peer's master without a word: where both ends are ports, the second joins afterwards.
  if (peer.master !== undefined)
    requests.push({ node: peer.node, request: links.set(peerEnd.index, masterOf(peer)), later: true });
  if (peer.up) requests.push({ node: peer.node, request: links.set(peerEnd.index, { up: true }), later: true });
  for (const [end, index, long] of [
    [main, mainEnd.index, mainLong],
    [peer, peerEnd.index, peerLong],
  ] as const) {
    if (end.port !== undefined) requests.push({ node: end.node, request: links.setPort(index, end.port), later: true });
    if (long !== undefined && long.length > interfaceNameMax)
      requests.push(
        { node: end.node, request: links.addAltname(index, long), later: true },
        { node: end.node, request: links.set(index, { alias: long }), later: true },
      );
    // Last, since on the machine the mark is the alias.
    requests.push(...(site?.mark(end.node, end.interface, index) ?? []));
  }
  return requests;
}

/** The kernel sets no broadcast address by itself. */
function broadcastText(address: string, length: number): string | undefined {
  const parsed = parseAddress(address);
  const broadcast = parsed === undefined ? undefined : broadcastOf(networkOf(parsed, length));
  return broadcast === undefined ? undefined : formatAddress(broadcast);
}

/** Kernels without CONFIG_BRIDGE_VLAN_FILTERING refuse the attribute, also where it says off. */
function bridgeSettings({ stp, ageingTime, forwardDelay, vlanFiltering }: ResolvedBridge) {
  return { stp, ageingTime, forwardDelay, ...(vlanFiltering ? { vlanFiltering } : {}) };
}

function newRoute(node: string, route: ResolvedRoute, table: LinkTable) {
  return {
    destination: route.destination,
    type: route.type,
    ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
    ...(route.interface === undefined ? {} : { index: table.index(node, route.interface) }),
    ...(route.metric === undefined ? {} : { metric: route.metric }),
    ...(route.table === undefined ? {} : { table: route.table }),
    ...(route.preferredSource === undefined ? {} : { preferredSource: route.preferredSource }),
  };
}

function newRule(rule: ResolvedPolicyRule): PolicyRule {
  return {
    family: rule.family,
    priority: rule.priority,
    action: "lookup",
    table: rule.table,
    ...(rule.from === undefined ? {} : { source: rule.from }),
    ...(rule.to === undefined ? {} : { destination: rule.to }),
    ...(rule.inputInterface === undefined ? {} : { inputInterface: rule.inputInterface }),
    ...(rule.mark === undefined ? {} : { mark: rule.mark }),
  };
}
