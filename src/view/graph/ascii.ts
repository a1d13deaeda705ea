/** The network as text. */
import { displayWidth, padEnd } from "../width.js";
import type { GraphData } from "./graph-data.js";
import { layoutGraph, type GraphLayout, type GraphTrack } from "./graph-layout.js";

/** With more links side by side the lines help nobody: then each row names the other end. */
const mostTracks = 12;
/** Cells from one track to the next. */
const pitch = 3;

export function asciiGraph(graph: GraphData): string {
  const layout = layoutGraph(graph);
  const lined = layout.width <= mostTracks;
  const boxes = boxTexts(layout, !lined);
  const width = Math.max(
    20,
    ...boxes.flatMap(({ title, rows }) => [displayWidth(title) + 1, ...rows.map(displayWidth)]),
  );
  const lines: string[] = [];
  /** Line of each row. */
  const lineOf: number[] = [];
  for (const { title, rows } of boxes) {
    lines.push(`┌ ${title} ${"─".repeat(width - displayWidth(title))}┐`);
    for (const row of rows) {
      lineOf.push(lines.length);
      lines.push(`│ ${padEnd(row, width)} │`);
    }
    lines.push(`└${"─".repeat(width + 2)}┘`);
  }
  const margins = lined ? drawTracks(lines.length, layout, lineOf) : [];
  return lines.map((line, index) => `${joined(line, margins[index] ?? "")}\n`).join("");
}

function boxTexts(
  { boxes, tracks }: GraphLayout,
  named: boolean,
): { readonly title: string; readonly rows: string[] }[] {
  const all = boxes.flatMap(({ rows }) => rows);
  const names = Math.max(0, ...all.map(({ branch, name }) => displayWidth(branch + name)));
  let number = 0;
  return boxes.map(({ title, rows }) => ({
    title,
    rows: rows.map(({ branch, name, text }) => {
      const row = number++;
      if (name === "") return text;
      const ends = named ? otherEnds(tracks, row, (index) => all[index]?.hop ?? "") : "";
      return `${padEnd(branch + name, names)}  ${text}${ends}`.trimEnd();
    }),
  }));
}

function otherEnds(tracks: readonly GraphTrack[], row: number, hop: (row: number) => string): string {
  return tracks
    .filter(({ from, to }) => from === row || to === row)
    .map(({ from, to, label }) => `  ─▶ ${hop(from === row ? to : from)}${label === undefined ? "" : ` (${label})`}`)
    .join("");
}

/** What stands to the right of each line. */
function drawTracks(height: number, layout: GraphLayout, lineOf: readonly number[]): string[] {
  const cells = Array.from({ length: height }, () => Array.from({ length: layout.width * pitch + 1 }, () => " "));
  const labels: string[] = [];
  const put = (line: number, cell: number, stroke: string): void => {
    const row = cells[line];
    if (row === undefined) return;
    // A link that passes another crosses it.
    row[cell] = (row[cell] === "│" && stroke === "─") || (row[cell] === "─" && stroke === "│") ? "┼" : stroke;
  };
  for (const { from, to, position, label } of layout.tracks) {
    const top = lineOf[from] ?? 0;
    const bottom = lineOf[to] ?? 0;
    const track = 1 + position * pitch;
    for (const line of [top, bottom]) for (let cell = 0; cell < track; cell += 1) put(line, cell, "─");
    for (let line = top + 1; line < bottom; line += 1) put(line, track, "│");
    put(top, track, "┐");
    put(bottom, track, "┘");
    if (label !== undefined) labels[top] = label;
  }
  return cells.map((row, line) => (row.join("") + (labels[line] ?? "")).trimEnd());
}

/** A line whose margin begins with a stroke has it grow out of the box. */
function joined(line: string, margin: string): string {
  return margin.startsWith("─") ? `${line.slice(0, -1)}├${margin}` : `${line}${margin}`;
}
