/** A snapshot without what time, chance and the kernel's numbering put into it: what two labs must have in common to be the same. */
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../../src/model/snapshot.js";

export function reading(snapshot: Snapshot): unknown {
  return Object.fromEntries(
    snapshot.nodes.toSorted((a, b) => a.name.localeCompare(b.name)).map((node) => [node.name, nodeReading(node)]),
  );
}

function nodeReading(node: NodeSnapshot): unknown {
  return {
    role: node.role,
    interfaces: sorted(node.interfaces.map(interfaceReading)),
    // Link-local addresses come when a link has a carrier, in their own time.
    routes: sorted(
      node.routes
        .filter(({ destination }) => !/^(fe80|ff00)/.test(destination))
        .map((route) => ({ ...route, nexthops: route.nexthops.map(({ dead: _, linkdown: __, ...hop }) => hop) })),
    ),
    rules: sorted(node.rules),
    neighbours: sorted(node.neighbours.filter(({ state }) => state === "permanent")),
    nftables: node.nftables.map(({ chains, ...table }) => ({
      ...table,
      chains: chains.map(({ rules, ...chain }) => ({
        ...chain,
        rules: rules.map(({ handle: _, ...rule }) => ({
          ...rule,
          statements: rule.statements.map((each) => (each.kind === "counter" ? "counter" : each)),
        })),
      })),
    })),
    // Only a bridge reads them, and a new namespace has the machine's.
    sysctls: Object.fromEntries(
      Object.entries(node.sysctls).filter(
        ([name]) => !name.startsWith("net.bridge.") || node.interfaces.some(({ kind }) => kind === "bridge"),
      ),
    ),
  };
}

function interfaceReading(each: InterfaceSnapshot): unknown {
  const { index: _, statistics: __, carrier: ___, operstate: ____, port, addresses, qdiscs, ...rest } = each;
  return {
    ...rest,
    addresses: sorted(addresses.filter(({ scope }) => scope !== "link").map(({ tentative: _, ...address }) => address)),
    qdiscs: qdiscs.map(({ kind, handle, parent, rate }) => ({ kind, handle, parent, rate })),
    ...(port === undefined ? {} : { port: { ...port, state: undefined } }),
  };
}

const sorted = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each)).toSorted();
