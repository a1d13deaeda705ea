/** The network as a Mermaid flowchart: a subgraph for each node, a box for each interface. */
import { hopName } from "../../model/hop.js";
import { mermaidText } from "../mermaid-text.js";
import { visibleDeep } from "../width.js";
import type { GraphData } from "./graph-data.js";

export function mermaidGraph(raw: GraphData): string {
  const graph = visibleDeep(raw);
  const ids = new Map<string, string>();
  const lines = ["flowchart LR"];
  graph.nodes.forEach((node, index) => {
    const title = node.role === "namespace" ? node.name : `${node.name} (${node.role})`;
    const label = [title, ...(node.notes ?? [])].map(mermaidText).join("<br/>");
    lines.push(`  subgraph n${index}["${label}"]`);
    for (const one of node.interfaces) {
      const id = `i${ids.size}`;
      ids.set(hopName({ node: node.name, interface: one.name }), id);
      const text = [one.name, ...one.addresses, ...(one.down === true ? ["down"] : [])].map(mermaidText).join("<br/>");
      const bridge = graph.bridges.some((other) => other.node === node.name && other.name === one.name);
      // A bridge is drawn as a hexagon.
      lines.push(bridge ? `    ${id}{{"${text}"}}` : `    ${id}["${text}"]`);
    }
    lines.push("  end");
  });
  const id = (node: string, name: string): string | undefined => ids.get(hopName({ node, interface: name }));
  const line = (a: string | undefined, b: string | undefined, label = ""): void => {
    if (a !== undefined && b !== undefined)
      lines.push(`  ${a} ---${label === "" ? "" : `|"${mermaidText(label)}"|`} ${b}`);
  };
  for (const { node, name, ports } of graph.bridges) for (const port of ports) line(id(node, name), id(node, port));
  for (const { ends, label } of graph.links) {
    const [a, b] = ends;
    line(id(a.node, a.interface), id(b.node, b.interface), label);
  }
  return `${lines.join("\n")}\n`;
}
