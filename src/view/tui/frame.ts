/**
 * The whole screen as lines of text, from the state and a size: the terminal only shows what comes out. Back into the
 * state goes what only a size can tell: how far things are scrolled, and how long a page is.
 */
import { closingLines, exchangeLines, gapLines, hopLines } from "../closing.js";
import { type Ink, inverse } from "../ink.js";
import { ladderHead, ladderLayout, ladderRow, ladderWidth } from "../ladder.js";
import { titleOf } from "../path.js";
import { count, milliseconds } from "../quantity.js";
import { cut, cutInk, displayWidth, padEnd, padStart, sliceCells, withoutInk, wrap } from "../width.js";
import { detailPane } from "./detail-pane.js";
import { keywords } from "./filter.js";
import { bindings } from "./keys.js";
import { emptyText, listLines } from "./list-pane.js";
import { pathLines } from "./path-pane.js";
import type { Pane, TuiState } from "./state.js";

export const smallest = { columns: 60, rows: 15 } as const;

/** Exactly `rows` lines of exactly `columns` cells. */
export function frame(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  if (columns < smallest.columns || rows < smallest.rows) {
    const text = `The terminal has ${columns}x${rows} cells; ${smallest.columns}x${smallest.rows} are needed. q quits.`;
    return fill(wrap(text.split(" "), columns), columns, rows);
  }
  const body =
    state.overlay === undefined ? panes(state, columns, rows - 2, ink) : overlayLines(state, columns, rows - 2, ink);
  return [titleLine(state, columns, ink), ...fill(body, columns, rows - 2), bottomLine(state, columns, ink)];
}

function fill(lines: readonly string[], columns: number, rows: number): string[] {
  return Array.from({ length: rows }, (_, index) => sliceCells(lines[index] ?? "", 0, columns));
}

function titleLine(state: TuiState, columns: number, ink: Ink): string {
  const { list, verdicts } = state;
  const states = [
    count(list.all.length + list.forgotten, "packet"),
    ...(verdicts.refused > 0 ? [ink("warn", `${verdicts.refused} refused`)] : []),
    ...(verdicts.dropped > 0 ? [ink("bad", `${verdicts.dropped} dropped`)] : []),
    ...(list.forgotten > 0 ? [ink("warn", `oldest ${list.forgotten} gone`)] : []),
    ...(list.marks.size > 0 ? [ink("accent", `${list.marks.size} marked`)] : []),
    ...(list.paused ? [ink("warn", `PAUSED, ${list.waiting} waiting`)] : []),
    state.finished !== undefined ? ink("dim", "ended") : ink("good", list.follow ? "FOLLOW" : "LIVE"),
  ].join(ink("dim", " · "));
  const title = cut(` ${state.title}`, Math.max(10, columns - displayWidth(states) - 2));
  return `${ink("strong", title)}${padStart(states, columns - displayWidth(title) - 1)} `;
}

function bottomLine(state: TuiState, columns: number, ink: Ink): string {
  const { prompt } = state;
  if (prompt !== undefined) {
    const label = prompt.kind === "filter" ? "/" : "export to: ";
    const text = prompt.error === undefined ? prompt.text : ink("bad", prompt.text);
    const typed = `${label}${prompt.kind === "filter" && prompt.error === undefined ? ink("good", prompt.text) : text}${inverse(" ")}`;
    const note =
      prompt.error ?? (prompt.kind === "filter" ? `${state.list.shown.length} shown` : "Enter writes, Esc leaves");
    return sliceCells(`${typed} ${ink(prompt.error === undefined ? "dim" : "bad", note)}`, 0, columns);
  }
  if (state.overlay !== undefined) return sliceCells(ink("dim", " j k scroll, any other key goes back"), 0, columns);
  const note = state.message !== "" ? state.message : (state.finished ?? "");
  const keys = hints.filter(({ action }) => action !== "export" || state.canExport);
  let text = note === "" ? "" : `${ink("accent", note)}  `;
  for (const { shown, hint } of keys) {
    const next = `${ink("strong", shown)} ${ink("dim", hint)}  `;
    if (displayWidth(text) + displayWidth(next) > columns - 1) break;
    text += next;
  }
  return sliceCells(` ${text}`, 0, columns);
}

/** The keys worth a place at the bottom, in the order in which they are left out when it is narrow. */
const hints = (
  [
    ["help", "help"],
    ["quit", "quit"],
    ["next-pane", "pane"],
    ["filter", "filter"],
    ["next-problem", "problem"],
    ["ladder", "ladder"],
    ["follow", "follow"],
    ["pause", "pause"],
    ["mark", "mark"],
    ["hex", "hex"],
    ["summary", "summary"],
    ["export", "export"],
  ] as const
).map(([action, hint]) => ({ action, hint, shown: bindings.find((one) => one.action === action)?.shown ?? "" }));

function panes(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const output = outputPane(state, columns, rows, ink);
  const rest = rows - output.length;
  if (state.mode === "ladder") return [...ladderPane(state, columns, rest, ink), ...output];
  const path = pathHeight(state, columns, rest);
  const detail = Math.max(3, Math.floor((rest - path) * (state.pane === "detail" ? 0.65 : 0.4)));
  const list = rest - path - detail;
  const { shown, all, filterText, onlyMarked } = state.list;
  const filter = [
    filterText === "" ? "" : `filter ${filterText}`,
    onlyMarked ? "only marked" : "",
    shown.length === all.length ? "" : `${shown.length} of ${all.length} shown`,
  ].filter((text) => text !== "");
  return [
    rule(state, "packets", filter.join(", "), columns, ink),
    ...fill(listLines(state, columns, list - 1, ink), columns, list - 1),
    ...pathPane(state, columns, path, ink),
    ...detailLines(state, columns, detail, ink),
    ...output,
  ];
}

/** The same for every packet, so that moving through the list moves no edge: room for all hops as boxes, else for lines. */
function pathHeight(state: TuiState, columns: number, rest: number): number {
  const cells = state.log.hopNames().reduce((sum, hop) => sum + displayWidth(hop) + 4 + 10, 0);
  const boxes = 3 * Math.max(1, Math.ceil(cells / columns));
  // Its edge, the boxes, a rewrite, a verdict that may take two lines.
  const wanted = 1 + boxes + 3;
  // The list above it keeps two packets on the smallest screen, also beside a command's output.
  return wanted <= rest * 0.4 ? wanted : rest >= 18 ? 6 : rest >= 12 ? 5 : 4;
}

function pathPane(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const { packet } = state.list;
  const hop = state.sighted[state.station];
  const lines =
    packet === undefined
      ? []
      : pathLines(packet, { width: columns, height: rows - 1, ink, ...(hop !== undefined && { hop }) });
  const title = packet === undefined ? "" : `packet ${packet.id}, exchange ${packet.exchange}, ${packet.direction}`;
  return [rule(state, "path", title, columns, ink), ...fill(lines, columns, rows - 1)];
}

function detailLines(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const { packet } = state.list;
  const sighting = state.sighted[state.station]?.sighting;
  if (packet === undefined || sighting === undefined) {
    return [rule(state, "detail", "", columns, ink), ...fill([], columns, rows - 1)];
  }
  const { lines, length, hex } = detailPane(packet, sighting, state.source, {
    width: columns,
    height: rows - 1,
    ink,
    hex: state.hex,
    focused: state.pane === "detail",
    line: state.detailLine,
  });
  state.detailLines = length;
  state.hexShown = hex;
  const title = `at ${sighting.hop}, ${sighting.length} bytes, record ${sighting.record}`;
  return [rule(state, "detail", title, columns, ink), ...fill(lines, columns, rows - 1)];
}

function outputPane(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const { lines: written } = state.output;
  if (written.length === 0) return [];
  const height = rows >= 30 ? 7 : rows >= 20 ? 5 : rows >= 16 ? 3 : 2;
  const lines = written.slice(-(height - 1)).map((line) => ` ${line}`);
  return [ink("dim", ruleText("output", "", columns, "─")), ...fill(lines, columns, height - 1)];
}

/** A pane's upper edge; that of the pane with the keys is double, so that it shows without colours. */
function rule(state: TuiState, pane: Pane, note: string, columns: number, ink: Ink): string {
  const focused = state.pane === pane;
  return ink(focused ? "accent" : "dim", ruleText(pane, note, columns, focused ? "═" : "─"));
}

function ruleText(title: string, note: string, columns: number, stroke: string): string {
  const head = `${stroke}${stroke} ${title} `;
  const tail = note === "" ? "" : ` ${cut(note, columns - head.length - 6)} ${stroke}${stroke}`;
  return `${head}${stroke.repeat(Math.max(0, columns - displayWidth(head) - displayWidth(tail)))}${tail}`;
}

/** Cells that stay at the left when the ladder scrolls. */
const ladderLeft = 34;

function ladderPane(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const detail = 3;
  const layout = ladderLayout(state.log.hopNames());
  const width = columns - ladderLeft;
  state.ladderScroll = Math.max(0, Math.min(state.ladderScroll, ladderWidth(layout) - width));
  const view = (line: string): string => sliceCells(line, state.ladderScroll, width);
  const [nodes, interfaces] = ladderHead(layout);
  const room = rows - 3 - detail;
  const lines: string[] = [];
  for (const packet of state.list.inSight(room)) {
    const chosen = packet.id === state.list.selected;
    const title = titleOf(packet);
    const left = `${chosen ? "▶" : " "}${state.list.marks.has(packet.id) ? "*" : " "}${padStart(String(packet.id), 4)} ${padStart(milliseconds(packet.time), 9)} ${padEnd(cut(title, 16), 16)} `;
    ladderRow(packet, layout, ink).forEach((line, index) => {
      const text = sliceCells(index === 0 ? left : "", 0, ladderLeft) + view(line);
      lines.push(chosen ? inverse(withoutInk(text)) : text);
    });
  }
  const more = ladderWidth(layout) > width ? "← → scroll" : "";
  return [
    rule(state, "packets", ["ladder, µs between hops", more].filter((text) => text !== "").join(", "), columns, ink),
    " ".repeat(ladderLeft) + ink("strong", view(nodes)),
    `${ink("dim", sliceCells(`${padStart("#", 6)} ${padStart("time ms", 9)} packet`, 0, ladderLeft))}${ink("strong", view(interfaces))}`,
    ...fill(lines.length === 0 ? [ink("dim", emptyText(state))] : lines, columns, room),
    ...pathPane(state, columns, detail, ink),
  ];
}

function overlayLines(state: TuiState, columns: number, rows: number, ink: Ink): string[] {
  const all = state.overlay === "help" ? helpLines(ink) : summaryLines(state, columns, ink);
  state.overlayTop = Math.max(0, Math.min(state.overlayTop, all.length - rows));
  state.list.page = rows;
  return all.slice(state.overlayTop);
}

function helpLines(ink: Ink): string[] {
  const width = Math.max(...bindings.map(({ shown }) => displayWidth(shown)));
  return [
    ink("accent", "══ keys"),
    ...bindings.map(({ shown, help }) => `  ${ink("strong", padEnd(shown, width))}  ${help}`),
    "",
    ink("accent", "══ filter: words side by side must all fit; also: not, or, plain text"),
    ...keywords.map(({ name, argument }) => `  ${ink("strong", padEnd(name, 8))}  ${argument}`),
  ];
}

function summaryLines(state: TuiState, columns: number, ink: Ink): string[] {
  const { hops, ended } = state.log;
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [ink("accent", `══ ${title}`), ...lines, ""];
  return [
    ...(ended === undefined ? [] : section("trace", closingLines(ended, hops, state.deaths.list(), ink, columns))),
    ...section("time on each gap", gapLines(state.gapTimes, state.log.hopNames(), ink)),
    ...section("exchanges", exchangeLines(state.log, ink, columns)),
    ...section("hops", hopLines(hops, ink)),
  ].map((line) => cutInk(line, columns));
}
