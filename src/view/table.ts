/**
 * The trace as a table: a row for each packet, then exchanges, hops and a sentence. cli-table3 lays out the first rows;
 * as its time grows with the square of their number, the rows after them are padded here to the same columns and
 * written as they come.
 */
import Table from "cli-table3";
import type { LogEvent, PacketEvent, TraceEvent } from "../model/trace.js";
import { closingLines, DeathCount, exchangeLines, gapLines, hopLines } from "./closing.js";
import { inOrder } from "./first-packets.js";
import { GapTimes } from "./gap-times.js";
import { inkFor, type Ink } from "./ink.js";
import { logTitle } from "./log-title.js";
import { pathPieces } from "./path-line.js";
import { pathOf, rewritesOf, titleOf } from "./path.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { duration, milliseconds } from "./quantity.js";
import { TraceLog } from "./trace-log.js";
import { doubt, verdictSentence, verdictTone } from "./verdict.js";
import { displayWidth, padEnd, padStart, visibleDeep, wrap } from "./width.js";

/** Rows that cli-table3 lays out. */
const rowsLaidOut = 500;
/** A longer summary goes on in a second line; below a hundred columns the path needs the room more. */
const widestPacket = (columns: number): number => (columns < 100 ? 14 : 20);
/** Narrower than this, a path cannot be read: the table is then wider than the terminal. */
const narrowestPath = 30;

const head = ["#", "time ms", "packet", "path, µs between hops", "verdict"];
const right = new Set([0, 1]);

export function tablePrinter(options: Pick<PrinterOptions, "colours" | "columns">): TracePrinter {
  return new TraceTable(options.columns, inkFor(options.colours)).push;
}

class TraceTable {
  readonly #log = new TraceLog();
  readonly #deaths = new DeathCount();
  readonly #gapTimes = new GapTimes();
  readonly #told = new Told();
  readonly #columns: number;
  readonly #ink: Ink;
  readonly #waiting: (PacketEvent | LogEvent)[] = [];
  #widths: readonly number[] | undefined;
  #severalExchanges = false;

  constructor(columns: number, ink: Ink) {
    this.#columns = columns;
    this.#ink = ink;
  }

  readonly push = (raw: TraceEvent): string => {
    const event = visibleDeep(raw);
    if (event.type === "packet") return event.provisional === true ? "" : this.#packet(event);
    if (event.type === "log") return this.#row(event);
    this.#log.push(event);
    if (event.type === "hop") this.#gapTimes.push(event);
    return event.type === "end" ? this.#close() : "";
  };

  #packet(packet: PacketEvent): string {
    this.#deaths.push(packet);
    this.#gapTimes.push(packet);
    return this.#row(packet);
  }

  #row(row: PacketEvent | LogEvent): string {
    if (this.#widths !== undefined) return handMadeRow(this.#cellsOf(row, this.#widths), this.#widths);
    this.#waiting.push(row);
    return this.#waiting.length < rowsLaidOut ? "" : `${this.#layOut(true)}\n`;
  }

  /** @param open more rows will follow, wider numbers among them: no line closes the table */
  #layOut(open: boolean): string {
    // Packets count in the order of their first sightings: by time, that is, and so do lines of logs.
    const rows = this.#waiting.sort(inOrder);
    const packets = rows.filter((row) => row.type === "packet");
    this.#severalExchanges = open || packets.some(({ exchange }) => exchange !== packets[0]?.exchange);
    const widths = this.#measure(packets, open);
    const table = new Table({
      head: head.map((title) => this.#ink("dim", title)),
      colWidths: widths.map((width) => width + 2),
      colAligns: head.map((_title, index) => (right.has(index) ? "right" : "left")),
      // No line between rows: they start with their number.
      chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
      style: { head: [], border: [] },
    });
    for (const row of rows) table.push(this.#cellsOf(row, widths).map((lines) => lines.join("\n")));
    this.#widths = widths;
    const text = drawHeadLine(table.toString(), widths);
    return open ? text.slice(0, text.lastIndexOf("\n")) : text;
  }

  #measure(packets: readonly PacketEvent[], open: boolean): number[] {
    const widest = (title: string, cell: (packet: PacketEvent) => number): number =>
      Math.max(displayWidth(title), ...packets.map(cell));
    const number = widest("#", ({ id }) => String(id).length) + (open ? 3 : 0);
    const time = widest("time ms", ({ time }) => milliseconds(time).length) + (open ? 2 : 0);
    const packet = Math.min(
      widestPacket(this.#columns),
      widest("packet", (one) => displayWidth(titleOf(one))),
    );
    const verdict = "delivered".length;
    const borders = 1 + 3 * head.length;
    const path = Math.max(narrowestPath, this.#columns - number - time - packet - verdict - borders);
    const needed = widest(head[3] ?? "", (one) =>
      displayWidth(pathPieces(pathOf(one), one.verdict, this.#ink).join(" ")),
    );
    return [number, time, packet, open ? path : Math.min(path, Math.max(needed, 50)), verdict];
  }

  #cellsOf(row: PacketEvent | LogEvent, widths: readonly number[]): string[][] {
    if (row.type === "packet") return this.#cells(row, widths);
    const text = wrap(row.text.split(" "), widths[3] ?? narrowestPath);
    return [[""], [milliseconds(row.time)], titleLines(logTitle(row), widths[2] ?? 0), text, [""]];
  }

  /** Lines of each cell. */
  #cells(packet: PacketEvent, widths: readonly number[]): string[][] {
    const path = pathOf(packet);
    const width = widths[3] ?? narrowestPath;
    const pathCell = wrap(pathPieces(path, packet.verdict, this.#ink), width);
    const { verdict } = packet;
    const rewrites = rewritesOf(packet);
    if (rewrites.length > 0 && this.#told.first(packet, rewrites.join()) === packet.id) {
      const texts = rewrites.map((rewrite, index) => (index < rewrites.length - 1 ? `${rewrite},` : rewrite));
      const pieces = texts.flatMap((text) => (displayWidth(text) <= width ? [text] : text.split(" ")));
      pathCell.push(...wrap(pieces, width).map((line) => this.#ink("accent", line)));
    }
    if (verdict.kind !== "delivered") {
      const sentence = verdictSentence(verdict);
      const first = this.#told.first(packet, sentence);
      const text = first === packet.id ? sentence : `as packet ${first}`;
      pathCell.push(...wrap(text.split(" "), width).map((line) => this.#ink(verdictTone[verdict.kind], line)));
    }
    const verdictCell = [this.#ink(verdictTone[verdict.kind], verdict.kind)];
    if (path.stations.length > 1) verdictCell.push(this.#ink("dim", duration(path.total)));
    const doubtful = doubt(packet.match);
    if (doubtful !== "") verdictCell.push(this.#ink("odd", doubtful));
    return [
      [String(packet.id)],
      [milliseconds(packet.time)],
      [
        ...titleLines(titleOf(packet), widths[2] ?? 0),
        ...(this.#severalExchanges ? [this.#ink("dim", `  exchange ${packet.exchange}`)] : []),
      ],
      pathCell,
      verdictCell,
    ];
  }

  #close(): string {
    const { ended, hops } = this.#log;
    const parts: string[] = [];
    if (this.#widths !== undefined) parts.push(border("└", "┴", "┘", this.#widths));
    else if (this.#waiting.length > 0) parts.push(this.#layOut(false));
    const sections = [
      exchangeLines(this.#log, this.#ink),
      gapLines(this.#gapTimes, this.#log.hopNames(), this.#ink),
      hopLines(hops, this.#ink),
      ended === undefined ? [] : closingLines(ended, hops, this.#deaths.list(), this.#ink, this.#columns),
    ];
    parts.push(...sections.filter(({ length }) => length > 0).map((lines) => lines.join("\n")));
    return `${parts.join("\n\n")}\n`;
  }
}

/**
 * Rewrites are the same for every packet of one direction of an exchange, and so is the death of its retransmissions:
 * told in full once; later packets carry the mark, or name the first one.
 */
class Told {
  readonly #packets = new Map<string, number>();

  /** Number of the packet that was the first to tell this text, perhaps this one. */
  first(packet: PacketEvent, text: string): number {
    const key = `${packet.exchange} ${packet.direction} ${text}`;
    const known = this.#packets.get(key);
    if (known !== undefined) return known;
    // Bounded; when it starts anew, some texts are told twice.
    if (this.#packets.size >= 10_000) this.#packets.clear();
    this.#packets.set(key, packet.id);
    return packet.id;
  }
}

function titleLines(title: string, width: number): string[] {
  if (displayWidth(title) <= width) return [title];
  return wrap(title.split(" "), width - 2).map((line, index) => (index === 0 ? line : `  ${line}`));
}

/** cli-table3 draws the line below the head with the same characters as those between rows, which are off. */
function drawHeadLine(text: string, widths: readonly number[]): string {
  const lines = text.split("\n");
  return [...lines.slice(0, 2), border("├", "┼", "┤", widths), ...lines.slice(2)].join("\n");
}

function border(left: string, cross: string, end: string, widths: readonly number[]): string {
  return left + widths.map((width) => "─".repeat(width + 2)).join(cross) + end;
}

function handMadeRow(cells: readonly (readonly string[])[], widths: readonly number[]): string {
  const height = Math.max(...cells.map(({ length }) => length));
  let text = "";
  for (let line = 0; line < height; line += 1) {
    const row = widths.map((width, index) => {
      const pad = right.has(index) ? padStart : padEnd;
      return pad(cells[index]?.[line] ?? "", width);
    });
    text += `│ ${row.join(" │ ")} │\n`;
  }
  return text;
}
