/** Pictures of a network: `graph`. */
import { asciiGraph } from "./ascii.js";
import { dotGraph } from "./dot.js";
import type { GraphData } from "./graph-data.js";
import { mermaidGraph } from "./mermaid-graph.js";
import { svgGraph } from "./svg.js";

export { graphOfSnapshot, type GraphData } from "./graph-data.js";
export { graphOfTopology } from "./graph-of-topology.js";

export const graphFormats = ["ascii", "mermaid", "dot", "svg"] as const;
export type GraphFormat = (typeof graphFormats)[number];

const writers: Readonly<Record<GraphFormat, (graph: GraphData) => string>> = {
  ascii: asciiGraph,
  mermaid: mermaidGraph,
  dot: dotGraph,
  svg: svgGraph,
};

export function drawGraph(graph: GraphData, format: GraphFormat): string {
  return writers[format](graph);
}
