/** The path of the selected packet: boxes with arrows and microseconds, rewrites, and the gap where it died. */
import type { PacketEvent } from "../../model/trace.js";
import { type Ink, inverse } from "../ink.js";
import { gapLabel, marksOf, pathOf, rewritesOf, type PacketPath, type Station, stationName } from "../path.js";
import { duration, elapsedWithUnit } from "../quantity.js";
import { doubt, endMark, verdictSentence, verdictTone } from "../verdict.js";
import { centre, displayWidth, sliceCells, wrap } from "../width.js";

export interface PathPaneOptions {
  readonly width: number;
  readonly height: number;
  readonly ink: Ink;
  /** The hop whose bytes are shown; absent: none is pointed out. */
  readonly hop?: Station;
}

export function pathLines(packet: PacketEvent, options: PathPaneOptions): string[] {
  const { width, height, ink } = options;
  const path = pathOf(packet);
  const notes = [...verdictLines(packet, path, width, ink), ...rewriteLines(path, ink)];
  const verdictHeight = 1;
  const drawn = boxRows(packet, path, options);
  // Boxes need three lines a row; where the pane is too low for them and the verdict, the path becomes one line.
  const picture = drawn.length + verdictHeight <= height ? drawn : inline(packet, path, options);
  const lines = [...picture.slice(0, height - 1), ...notes];
  return lines.slice(0, height).map((line, index) => {
    const more = index === height - 1 && lines.length > height;
    return more ? `${sliceCells(line.trimEnd(), 0, width - 2)} …` : sliceCells(line, 0, width);
  });
}

interface Piece {
  readonly lines: readonly [string, string, string];
}

/** Boxes and arrows, in as many rows as the width asks for. */
function boxRows(packet: PacketEvent, path: PacketPath, options: PathPaneOptions): string[] {
  const units = path.stations.map((station) => [
    ...(station.gap === undefined ? [] : [arrow(station, options.ink)]),
    box(station, options),
  ]);
  const rows: Piece[][] = [];
  let used = Infinity;
  for (const unit of [...units, ending(packet, path, options)]) {
    const size = unit.reduce((sum, { lines }) => sum + displayWidth(lines[1]), 0);
    if (used + size > options.width && size > 0) {
      rows.push([]);
      used = 1;
    }
    rows.at(-1)?.push(...unit);
    used += size;
  }
  return rows.flatMap((pieces) => [0, 1, 2].map((line) => ` ${pieces.map(({ lines }) => lines[line] ?? "").join("")}`));
}

function box(station: Station, { ink, hop: chosen }: PathPaneOptions): Piece {
  const { sighting } = station;
  const name = ` ${stationName(station)} `;
  const lid = "─".repeat(displayWidth(name));
  if (sighting === undefined) {
    const dashes = "╌".repeat(displayWidth(name));
    return { lines: [ink("dim", `┌${dashes}┐`), ink("dim", `┊${name}┊`), ink("dim", `└${dashes}┘`)] };
  }
  const inside = sighting === chosen?.sighting ? inverse(name) : name;
  return { lines: [`┌${lid}┐`, `│${inside}│`, `└${lid}┘`] };
}

function arrow(station: Station, ink: Ink): Piece {
  const { gap } = station;
  const time = gap?.elapsed === undefined ? "" : elapsedWithUnit(gap.elapsed);
  const marks = gap === undefined ? "" : marksOf(gap).join(" ");
  const width = Math.max(displayWidth(time), displayWidth(marks) + 1, 3) + 2;
  return {
    lines: [
      centre(time, width),
      marks === "" ? ink("dim", `${"─".repeat(width - 1)}▶`) : dashesAround(marks, width, ink),
      " ".repeat(width),
    ],
  };
}

function dashesAround(marks: string, width: number, ink: Ink): string {
  const free = width - 1 - displayWidth(marks);
  return `${ink("dim", "─".repeat(free >> 1))}${ink("accent", marks)}${ink("dim", `${"─".repeat(free - (free >> 1))}▶`)}`;
}

/** `───✗` and a broken box of the hop that did not see it. */
function ending(packet: PacketEvent, path: PacketPath, { ink }: PathPaneOptions): Piece[] {
  const { verdict } = packet;
  if (verdict.kind === "delivered" || packet.provisional === true) return [];
  const tone = verdictTone[verdict.kind];
  const mark: Piece = {
    lines: ["     ", `${ink("dim", "──")}${ink(tone, endMark[verdict.kind])}  `, "     "],
  };
  if (path.missing === undefined) return [mark];
  return [mark, box({ hop: path.missing }, { width: 0, height: 0, ink })];
}

/** `client:eth0 ─+3.0─▶ host:eth0 ─+4.1 DNAT─▶ …`, wrapped. */
function inline(packet: PacketEvent, path: PacketPath, { width, ink, hop: chosen }: PathPaneOptions): string[] {
  const pieces: string[] = [];
  for (const station of path.stations) {
    const { gap } = station;
    if (gap !== undefined) pieces.push(ink("dim", `─${gapLabel(gap)}─▶`));
    if (station.sighting === undefined) pieces.push(ink("dim", `(${station.hop})`));
    else pieces.push(station.sighting === chosen?.sighting ? inverse(stationName(station)) : stationName(station));
  }
  const { kind } = packet.verdict;
  if (kind !== "delivered" && packet.provisional !== true) pieces.push(ink(verdictTone[kind], `─${endMark[kind]}`));
  return wrap(pieces, width - 1).map((line) => ` ${line}`);
}

function rewriteLines(path: PacketPath, ink: Ink): string[] {
  let before = "";
  const lines: string[] = [];
  for (const { hop, gap, sighting } of path.stations) {
    const rewrites = gap === undefined ? [] : rewritesOf(gap);
    if (rewrites.length > 0) lines.push(` ${ink("dim", `${before} ▶ ${hop}:`)} ${ink("accent", rewrites.join(", "))}`);
    if (sighting !== undefined) before = hop;
  }
  return lines;
}

function verdictLines(packet: PacketEvent, path: PacketPath, width: number, ink: Ink): string[] {
  if (packet.provisional === true) return [ink("dim", " … on its way")];
  const { verdict } = packet;
  const tone = verdictTone[verdict.kind];
  const doubtful = doubt(packet.match) === "" ? "" : `, join ${packet.match}`;
  if (verdict.kind === "delivered") {
    const time = path.stations.length > 1 ? ` in ${duration(path.total)}` : "";
    return [` ${ink(tone, `✓ delivered${time}`)}${ink("odd", doubtful)}`];
  }
  const sentence = `${endMark[verdict.kind]} ${verdictSentence(verdict)}${doubtful}`;
  return wrap(sentence.split(" "), width - 2).map((line) => ` ${ink(tone, line)}`);
}
