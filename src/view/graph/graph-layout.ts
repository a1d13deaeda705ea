/**
 * A layout that fits every network: nodes are boxes one below the other, each interface a row, a bridge's ports below
 * it; links run at the right from row to row, each on a track of its own where it would else touch another.
 */
import { hopName } from "../../model/hop.js";
import { visibleDeep } from "../width.js";
import type { GraphBridge, GraphData, GraphInterface, GraphNode } from "./graph-data.js";

export interface GraphLayout {
  readonly boxes: readonly GraphBox[];
  readonly tracks: readonly GraphTrack[];
  /** Tracks side by side. */
  readonly width: number;
}

export interface GraphBox {
  readonly title: string;
  readonly rows: readonly GraphRow[];
}

export interface GraphRow {
  /** `host:eth0`; absent for a note. */
  readonly hop?: string;
  /** `├ ` and `└ ` before the ports of a bridge. */
  readonly branch: string;
  readonly name: string;
  readonly text: string;
}

/** A link between two rows, counted over all boxes from the top. */
export interface GraphTrack {
  readonly from: number;
  readonly to: number;
  readonly position: number;
  readonly label?: string;
}

export function layoutGraph(raw: GraphData): GraphLayout {
  const graph = visibleDeep(raw);
  const boxes = graph.nodes.map((node) => ({
    title: node.role === "namespace" ? node.name : `${node.name} (${node.role})`,
    rows: rowsOf(
      node,
      graph.bridges.filter((bridge) => bridge.node === node.name),
    ),
  }));
  const rows = new Map<string, number>();
  boxes.flatMap((box) => box.rows).forEach(({ hop }, index) => hop !== undefined && rows.set(hop, index));
  const tracks = graph.links.flatMap(({ ends, label }) => {
    const [a, b] = ends.map((end) => rows.get(hopName(end)));
    if (a === undefined || b === undefined) return [];
    return [{ from: Math.min(a, b), to: Math.max(a, b), ...(label !== undefined && { label }) }];
  });
  return { boxes, ...placed(tracks) };
}

function rowsOf(node: GraphNode, bridges: readonly GraphBridge[]): GraphRow[] {
  const ports = new Set(bridges.flatMap((bridge) => bridge.ports));
  const row = (one: GraphInterface, branch: string, more: readonly string[] = []): GraphRow => ({
    hop: hopName({ node: node.name, interface: one.name }),
    branch,
    name: one.name,
    text: [...one.addresses, ...more, ...(one.down === true ? ["down"] : [])].join(" "),
  });
  const rows = node.interfaces
    .filter(({ name }) => !ports.has(name))
    .flatMap((one): GraphRow[] => {
      const bridge = bridges.find(({ name }) => name === one.name);
      if (bridge === undefined) return [row(one, "")];
      const members = node.interfaces.filter(({ name }) => bridge.ports.includes(name));
      return [
        row(one, "", ["bridge"]),
        ...members.map((port, index) => row(port, index < members.length - 1 ? "├ " : "└ ")),
      ];
    });
  return [...rows, ...(node.notes ?? []).map((text) => ({ branch: "", name: "", text }))];
}

/** Short links first, each on the innermost track that is free over its whole length. */
function placed(links: readonly Omit<GraphTrack, "position">[]): { tracks: GraphTrack[]; width: number } {
  const taken: { from: number; to: number }[][] = [];
  const tracks = [...links]
    .sort((a, b) => a.to - a.from - (b.to - b.from) || a.from - b.from)
    .map((link) => {
      const free = taken.findIndex((track) => track.every(({ from, to }) => link.to < from || link.from > to));
      const position = free < 0 ? taken.length : free;
      (taken[position] ??= []).push(link);
      return { ...link, position };
    });
  return { tracks, width: taken.length };
}
