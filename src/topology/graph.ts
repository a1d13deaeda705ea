/** A topology as a picture needs it: boxes, what is in them, and the lines between. */
import type { ResolvedShaping, ResolvedTopology } from "./resolved.js";

export interface Graph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
}

export interface GraphNode {
  readonly name: string;
  readonly role: "machine" | "container" | "namespace";
  /** Forwards between its networks. */
  readonly router: boolean;
  readonly nat: boolean;
  readonly firewall: boolean;
  readonly interfaces: readonly GraphInterface[];
}

export interface GraphInterface {
  readonly name: string;
  readonly kind: "bridge" | "port" | "interface";
  /** The bridge that it is a port of. */
  readonly master?: string;
  /** `10.0.0.1/24`. */
  readonly addresses: readonly string[];
}

export interface GraphLink {
  /** The end that stands first in the file. */
  readonly from: GraphEnd;
  readonly to: GraphEnd;
}

export interface GraphEnd {
  readonly node: string;
  readonly interface: string;
  readonly up: boolean;
  readonly shaping?: ResolvedShaping;
}

export function graph(topology: ResolvedTopology): Graph {
  const masters = new Map(
    topology.links.flatMap(({ ends }) => ends.map((end) => [`${end.node}:${end.interface}`, end.master])),
  );
  return {
    name: topology.name,
    nodes: topology.nodes.map((node) => {
      const bridges = new Set(node.bridges.map(({ name }) => name));
      return {
        name: node.name,
        role: node.name === topology.machine ? "machine" : node.container ? "container" : "namespace",
        router: node.sysctls.some(({ name, value }) => /(ip_forward|all\.forwarding)$/.test(name) && value === "1"),
        nat: node.nftables.some(({ name }) => name === "yapc_nat"),
        firewall: node.nftables.some(({ name }) => name === "yapc_filter"),
        interfaces: node.interfaces.map(({ name, longName, addresses }) => {
          const master = masters.get(`${node.name}:${name}`);
          return {
            name: longName ?? name,
            kind: bridges.has(name) ? "bridge" : master === undefined ? "interface" : "port",
            ...(master === undefined ? {} : { master }),
            addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
          };
        }),
      };
    }),
    links: topology.links.map(({ ends: [from, to] }) => ({ from: endOf(from), to: endOf(to) })),
  };
}

function endOf({ node, interface: name, up, shaping }: ResolvedTopology["links"][number]["ends"][number]): GraphEnd {
  return { node, interface: name, up, ...(shaping ? { shaping } : {}) };
}
