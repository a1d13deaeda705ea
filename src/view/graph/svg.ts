/** The network as an SVG picture: the same layout as the text, drawn. Follows the reader's light or dark scheme. */
import { markup } from "../html-text.js";
import { displayWidth } from "../width.js";
import type { GraphData } from "./graph-data.js";
import { layoutGraph } from "./graph-layout.js";

/** Pixels. */
const cell = 8;
const rowHeight = 22;
const titleHeight = 26;
const gap = 14;
const track = 18;
const margin = 12;

export function svgGraph(graph: GraphData): string {
  const layout = layoutGraph(graph);
  const rows = layout.boxes.flatMap((box) => box.rows);
  const names = Math.max(0, ...rows.map(({ branch, name }) => displayWidth(branch + name)));
  const texts = layout.boxes.flatMap(({ title, rows: own }) => [
    displayWidth(title),
    ...own.map(({ text }) => names + 2 + displayWidth(text)),
  ]);
  const width = (Math.max(20, ...texts) + 3) * cell;
  const shapes: string[] = [];
  /** Middle of each row. */
  const middle: number[] = [];
  let top = margin;
  for (const { title, rows: own } of layout.boxes) {
    const height = titleHeight + own.length * rowHeight + 6;
    shapes.push(`<rect class="node" x="${margin}" y="${top}" width="${width}" height="${height}" rx="6"/>`);
    shapes.push(text(margin + cell, top + 18, title, "title"));
    own.forEach(({ branch, name, text: more }, index) => {
      const y = top + titleHeight + index * rowHeight + rowHeight / 2;
      middle.push(y);
      if (name !== "") shapes.push(text(margin + cell, y + 4, branch + name, "name"));
      shapes.push(text(margin + cell * (name === "" ? 1 : names + 3), y + 4, more, "address"));
    });
    top += height + gap;
  }
  const edge = margin + width;
  for (const { from, to, position, label } of layout.tracks) {
    const a = middle[from] ?? 0;
    const b = middle[to] ?? 0;
    const x = edge + (position + 1) * track;
    shapes.push(`<path class="link" d="M${edge} ${a}H${x}V${b}H${edge}"/>`);
    if (label !== undefined) shapes.push(text(edge + (layout.width + 1) * track, (a + b) / 2 + 4, label, "label"));
  }
  const labels = Math.max(0, ...graph.links.map(({ label }) => displayWidth(label ?? "")));
  const total = edge + (layout.width + 1) * track + labels * cell + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${top}" width="${total}" height="${top}" role="img">`,
    `<title>${markup(graph.name)}</title>`,
    "<style>text{font:13px ui-monospace,monospace;fill:#1f2933}.title{font-weight:bold}.address,.label{fill:#52606d}",
    ".node{fill:#f5f7fa;stroke:#7b8794}.link{fill:none;stroke:#2470c8;stroke-width:1.5}",
    "@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.address,.label{fill:#9aa5b1}.node{fill:#1f2933}.link{stroke:#6db3f2}}</style>",
    ...shapes.filter((shape) => shape !== ""),
    "</svg>",
    "",
  ].join("\n");
}

function text(x: number, y: number, content: string, kind: string): string {
  return content === "" ? "" : `<text class="${kind}" x="${x}" y="${y}" xml:space="preserve">${markup(content)}</text>`;
}
