/**
 * The ladder: a column for each hop, a row for each packet, arrows with the time between hops. Its rows are made one by
 * one, so that text output can stream them and the TUI can draw those in sight.
 */
import type { HopEvent, LogEvent, PacketEvent } from "../model/trace.js";
import { closingLines, DeathCount, hopLines } from "./closing.js";
import { inkFor, type Ink, type Tone } from "./ink.js";
import { hopName, type Hop } from "../model/hop.js";
import { logTitle } from "./log-title.js";
import { gapLabel, pathOf, type Station, titleOf } from "./path.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { milliseconds } from "./quantity.js";
import { doubt, endMark, verdictSentence, verdictTone } from "./verdict.js";
import { ByWay } from "./by-way.js";
import { centre, cut, displayWidth, padEnd, padStart, visible, visibleDeep } from "./width.js";

interface Cell {
  readonly character: string;
  readonly tone: Tone;
}

const blank: Cell = { character: " ", tone: "plain" };
const lifeline: Cell = { character: "│", tone: "dim" };
const stroke: Cell = { character: "─", tone: "dim" };

export interface LadderLayout {
  readonly hops: readonly string[];
  /** Cells from one lifeline to the next. */
  readonly pitch: number;
  /** Cell of the first lifeline. */
  readonly margin: number;
  /** Cell of each hop's lifeline. */
  readonly cells: ReadonlyMap<string, number>;
  /** A line with nothing on it but the lifelines. */
  readonly lifelines: readonly Cell[];
}

/** `+1234.5 DNAT` has to fit between two lifelines. */
const narrowestPitch = 13;

export function ladderLayout(hops: readonly string[]): LadderLayout {
  const widest = Math.max(0, ...hops.flatMap((hop) => hop.split(":").map(displayWidth)));
  const pitch = Math.max(narrowestPitch, widest + 2);
  const margin = pitch >> 1;
  const lifelines = Array.from({ length: hops.length * pitch }, (_, cell) =>
    cell % pitch === margin ? lifeline : blank,
  );
  const cells = new Map<string, number>();
  for (const [column, hop] of hops.entries()) if (!cells.has(hop)) cells.set(hop, margin + column * pitch);
  return { hops, pitch, margin, cells, lifelines };
}

export function ladderWidth({ hops, pitch }: LadderLayout): number {
  return hops.length * pitch;
}

/** Two lines: nodes, and their interfaces below. */
export function ladderHead({ hops, pitch }: LadderLayout): [string, string] {
  const name = (part: (hop: string) => string): string =>
    hops.map((hop) => centre(cut(part(hop), pitch - 1), pitch)).join("");
  return [name((hop) => hop.slice(0, hop.lastIndexOf(":"))), name((hop) => hop.slice(hop.lastIndexOf(":") + 1))];
}

/** A line of a container's log, below the column of its last hop; to the left of it where it would leave the picture. */
export function logText({ node, text }: LogEvent, layout: LadderLayout): string {
  const column = layout.hops.findLastIndex((hop) => hop.startsWith(`${node}:`));
  const room = ladderWidth(layout) - displayWidth(text);
  return " ".repeat(Math.max(0, Math.min(layout.margin + column * layout.pitch, room))) + text;
}

/** Lines of one packet: one, or more where its way doubles back. Each is `ladderWidth` cells wide. */
export function ladderRow(packet: PacketEvent, layout: LadderLayout, ink: Ink): string[] {
  const canvas = new LadderCanvas(layout);
  const path = pathOf(packet);
  const tone = packet.provisional === true ? "dim" : verdictTone[packet.verdict.kind];
  let last: Station | undefined;
  for (const station of path.stations) {
    if (last !== undefined) canvas.arrow(last.hop, station.hop, station.gap === undefined ? "" : gapLabel(station.gap));
    canvas.station(station.hop, station.sighting === undefined ? "○" : "●", tone);
    last = station;
  }
  const { kind } = packet.verdict;
  if (last !== undefined && kind !== "delivered" && packet.provisional !== true) {
    canvas.end(last.hop, path.missing, packet.direction === "request" ? 1 : -1, endMark[kind], tone);
  }
  return canvas.lines(ink);
}

/** Draws on lifelines; begins a new line when a stretch is already taken. */
class LadderCanvas {
  readonly #layout: LadderLayout;
  readonly #lines: Cell[][] = [];
  #taken: [from: number, to: number] = [Infinity, -Infinity];

  constructor(layout: LadderLayout) {
    this.#layout = layout;
    this.#newLine();
  }

  station(hop: string, character: string, tone: Tone): void {
    this.#put(this.#cell(hop), character, tone);
  }

  arrow(from: string, to: string, label: string): void {
    const start = this.#cell(from);
    const end = this.#cell(to);
    const low = Math.min(start, end);
    const high = Math.max(start, end);
    if (high - low < 2) return;
    if (low < this.#taken[1] && high > this.#taken[0]) {
      this.#newLine();
      this.#put(start, "●", "plain");
    }
    this.#taken = [Math.min(low, this.#taken[0]), Math.max(high, this.#taken[1])];
    const room = high - low - 2;
    const text = cut(label, room);
    const free = room - displayWidth(text);
    let cell = low + 1;
    if (end < start) this.#put(cell++, "◀", "dim");
    for (const after = cell + (free >> 1); cell < after; cell += 1) this.#set(cell, stroke);
    // One code unit is one cell: labels are ASCII.
    for (let index = 0; index < text.length; index += 1) this.#put(cell++, text.charAt(index), "plain");
    for (const after = cell + free - (free >> 1); cell < after; cell += 1) this.#set(cell, stroke);
    if (end > start) this.#put(cell, "▶", "dim");
  }

  /** The mark where the packet ended: half way to the hop that missed it, else beside the last one. */
  end(hop: string, missing: string | undefined, direction: 1 | -1, mark: string, tone: Tone): void {
    const start = this.#cell(hop);
    const target = missing === undefined ? undefined : this.#cell(missing);
    const way = target === undefined || target === start ? direction : Math.sign(target - start);
    const steps = missing === undefined ? 2 : this.#layout.pitch >> 1;
    for (let step = 1; step < steps; step += 1) this.#set(start + way * step, stroke);
    this.#put(start + way * steps, mark, tone);
  }

  lines(ink: Ink): string[] {
    return this.#lines.map((cells) => {
      let text = "";
      for (let index = 0; index < cells.length;) {
        const tone = cells[index]?.tone ?? "plain";
        let run = "";
        for (let cell = cells[index]; cell?.tone === tone; cell = cells[index]) {
          run += cell.character;
          index += 1;
        }
        text += ink(tone, run);
      }
      return text;
    });
  }

  #cell(hop: string): number {
    const { hops, pitch, margin, cells } = this.#layout;
    return cells.get(hop) ?? (hops.length - 1) * pitch + margin;
  }

  #put(cell: number, character: string, tone: Tone): void {
    this.#set(cell, { character, tone });
  }

  #set(cell: number, drawn: Cell): void {
    const line = this.#lines.at(-1);
    if (line !== undefined && cell >= 0 && cell < line.length) line[cell] = drawn;
  }

  #newLine(): void {
    this.#lines.push([...this.#layout.lifelines]);
    this.#taken = [Infinity, -Infinity];
  }
}

/** Rows between two heads, so that the names of the columns stay in sight. */
const rowsPerHead = 50;

export function ladderPrinter(options: Pick<PrinterOptions, "colours" | "columns">): TracePrinter {
  const ink = inkFor(options.colours);
  const deaths = new DeathCount();
  const hops: HopEvent[] = [];
  let layout = ladderLayout([]);
  let rows = 0;
  const left = (id: string, time: string, title: string): string =>
    `${padStart(id, 4)}  ${padStart(time, 9)}  ${padEnd(title, 20)} `;
  const head = (known: readonly Hop[]): string => {
    layout = ladderLayout(known.map(hopName));
    const [nodes, interfaces] = ladderHead(layout);
    return `${ink("strong", `${left("", "", "")}${nodes}`.trimEnd())}\n${ink("dim", left("#", "time ms", "packet"))}${ink("strong", interfaces.trimEnd())}\n`;
  };
  let known: readonly Hop[] = [];
  const ways = new ByWay((raw) => {
    const packet = visibleDeep(raw);
    const { verdict, match } = packet;
    const { kind } = verdict;
    const note = [kind === "delivered" ? "" : ink(verdictTone[kind], kind), doubt(match)].join(" ");
    return { plain: packet === raw, sentence: verdictSentence(verdict), note };
  });
  const packetRows = (raw: PacketEvent): string => {
    const { plain, sentence, note } = ways.of(raw);
    const packet = plain ? raw : visibleDeep(raw);
    deaths.push(packet, sentence);
    rows += 1;
    const again = rows > 1 && rows % rowsPerHead === 1 ? `\n${head(known)}` : "";
    const title = cut(visible(titleOf(packet)), 20);
    const lines = ladderRow(packet, layout, ink).map((line, index) =>
      index === 0
        ? `${left(String(packet.id), milliseconds(packet.time), title)}${line} ${note}`.trimEnd()
        : `${left("", "", "")}${line}`.trimEnd(),
    );
    return `${again}${lines.join("\n")}\n`;
  };
  return (raw) => {
    if (raw.type === "packet") return raw.provisional === true ? "" : packetRows(raw);
    const event = visibleDeep(raw);
    switch (event.type) {
      case "trace":
        known = event.hops;
        return head(known);
      case "log":
        return `${left("", milliseconds(event.time), cut(logTitle(event), 20))}${logText(event, layout)}\n`;
      case "exchange":
        return "";
      case "hop":
        hops.push(event);
        return "";
      case "end":
        return `${["", ...hopLines(hops, ink), "", ...closingLines(event, hops, deaths.list(), ink, options.columns)].join("\n")}\n`;
    }
  };
}
