/** The network for Graphviz: a cluster for each node, a box for each interface. */
import { hopName } from "../../model/hop.js";
import { visibleDeep } from "../width.js";
import type { GraphData } from "./graph-data.js";

export function dotGraph(raw: GraphData): string {
  const graph = visibleDeep(raw);
  const lines = [
    `graph ${quoted(graph.name)} {`,
    "  rankdir=LR;",
    '  node [shape=box, fontname="monospace", fontsize=10];',
    '  graph [fontname="monospace", fontsize=11];',
  ];
  graph.nodes.forEach((node, index) => {
    const title = node.role === "namespace" ? node.name : `${node.name} (${node.role})`;
    lines.push(`  subgraph cluster_${index} {`, `    label=${quoted([title, ...(node.notes ?? [])].join("\n"))};`);
    for (const one of node.interfaces) {
      const text = [one.name, ...one.addresses, ...(one.down === true ? ["down"] : [])].join("\n");
      const bridge = graph.bridges.some((other) => other.node === node.name && other.name === one.name);
      lines.push(`    ${idOf(node.name, one.name)} [label=${quoted(text)}${bridge ? ", shape=hexagon" : ""}];`);
    }
    lines.push("  }");
  });
  for (const { node, name, ports } of graph.bridges) {
    for (const port of ports) lines.push(`  ${idOf(node, name)} -- ${idOf(node, port)} [style=dotted];`);
  }
  for (const { ends, label } of graph.links) {
    const [a, b] = ends;
    const attributes = label === undefined ? "" : ` [label=${quoted(label)}]`;
    lines.push(`  ${idOf(a.node, a.interface)} -- ${idOf(b.node, b.interface)}${attributes};`);
  }
  return `${[...lines, "}"].join("\n")}\n`;
}

function idOf(node: string, name: string): string {
  return quoted(hopName({ node, interface: name }));
}

/** A double-quoted string of the dot language; a line end becomes `\n`. */
function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
