/** One node of a snapshot on its way into a topology file. */
import type { InterfaceSnapshot, NodeSnapshot } from "../../model/snapshot.js";

export interface ImportedNode {
  readonly snapshot: NodeSnapshot;
  /** Its name in the file. */
  readonly name: string;
  /** Interfaces that the file has, by their names on the machine: their names in the file. */
  readonly interfaces: Map<string, string>;
  /** What could not be carried over. */
  readonly notes: string[];
}

/** Interfaces that packets are routed by: no ports, and only what the file has. */
export function routedInterfaces({ snapshot, interfaces }: ImportedNode): InterfaceSnapshot[] {
  const vrfs = new Set(snapshot.interfaces.filter(({ kind }) => kind === "vrf").map(({ name }) => name));
  return snapshot.interfaces.filter(
    ({ name, kind, master }) =>
      kind !== "loopback" && kind !== "vrf" && interfaces.has(name) && (master === undefined || vrfs.has(master)),
  );
}

/**
 * The names in the file of the interfaces that a rule means; undefined where it means all. Of "not this one" it is every
 * other that packets are routed by.
 */
export function interfacesMeant(
  node: ImportedNode,
  { only, not }: { readonly only?: string; readonly not: ReadonlySet<string> },
): readonly string[] | undefined {
  if (only === undefined && not.size === 0) return undefined;
  const fits = (pattern: string, name: string): boolean =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
  const excluded = (name: string): boolean => [...not].some((pattern) => fits(pattern, name));
  if (only === "lo") return ["lo"];
  if (only !== undefined && !only.endsWith("*")) {
    const name = node.interfaces.get(only);
    return name === undefined ? [] : [name];
  }
  return routedInterfaces(node)
    .filter(({ name }) => (only === undefined || fits(only, name)) && !excluded(name))
    .flatMap(({ name }) => node.interfaces.get(name) ?? []);
}
