/**
 * The trace as a table: a row for each packet, then exchanges, hops and a sentence. cli-table3 lays out the first rows;
 * as its time grows with the square of their number, the rows after them are padded here to the same columns and
 * written as they come.
 */
import Table from "cli-table3";
import type { LogEvent, PacketEvent, TraceEvent } from "../model/trace.js";
import { closingSections, DeathCount } from "./closing.js";
import { inOrder } from "./first-packets.js";
import { GapTimes } from "./gap-times.js";
import { inkFor, type Ink, type Tone } from "./ink.js";
import { logTitle } from "./log-title.js";
import { PathLine } from "./path-line.js";
import { rewritesOf, titleOf, totalOf } from "./path.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { duration, milliseconds } from "./quantity.js";
import { Told } from "./told.js";
import { singleLines, TableRows, type Cells } from "./table-rows.js";
import { TraceLog } from "./trace-log.js";
import { doubt, verdictSentence, verdictTone } from "./verdict.js";
import { ByWay } from "./by-way.js";
import { displayWidth, measured, type Measured, visible, visibleDeep, wrapMeasured } from "./width.js";

/** Rows that cli-table3 lays out. */
const rowsLaidOut = 500;
/** Rows that it lays out at once, so that the square stays small. */
const rowsAtOnce = 25;
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
  readonly #ways: ByWay<WayCells>;
  readonly #columns: number;
  readonly #ink: Ink;
  readonly #waiting: (PacketEvent | LogEvent)[] = [];
  #widths: readonly number[] = [];
  /** Once the widths are settled. */
  #rows: TableRows | undefined;
  #severalExchanges = false;

  constructor(columns: number, ink: Ink) {
    this.#columns = columns;
    this.#ink = ink;
    this.#ways = new ByWay((packet) => wayCells(packet, ink));
  }

  readonly push = (raw: TraceEvent): string => {
    if (raw.type === "packet") return raw.provisional === true ? "" : this.#packet(raw);
    const event = visibleDeep(raw);
    if (event.type === "log") return this.#line(event);
    this.#log.push(event);
    if (event.type === "hop") this.#gapTimes.push(event);
    return event.type === "end" ? this.#close() : "";
  };

  #packet(raw: PacketEvent): string {
    const way = this.#ways.of(raw);
    const packet = way.plain ? raw : visibleDeep(raw);
    this.#deaths.push(packet, way.sentence);
    this.#gapTimes.push(packet);
    if (this.#rows === undefined) return this.#wait(packet);
    return this.#rows.draw(this.#cells(packet, way));
  }

  #line(line: LogEvent): string {
    return this.#rows === undefined ? this.#wait(line) : this.#rows.draw(this.#cellsOf(line));
  }

  #wait(row: PacketEvent | LogEvent): string {
    this.#waiting.push(row);
    return this.#waiting.length < rowsLaidOut ? "" : `${this.#layOut(true)}\n`;
  }

  /** @param open more rows will follow, wider numbers among them: no line closes the table */
  #layOut(open: boolean): string {
    // Packets count in the order of their first sightings: by time, that is, and so do lines of logs.
    const rows = this.#waiting.sort(inOrder);
    const packets = rows.filter((row) => row.type === "packet");
    this.#severalExchanges = open || packets.some(({ exchange }) => exchange !== packets[0]?.exchange);
    const widths = (this.#widths = this.#measure(packets, open));
    this.#rows = new TableRows(widths, right);
    const lines: string[] = [];
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      const table = new Table({
        head: at === 0 ? head.map((title) => this.#ink("dim", title)) : [],
        colWidths: widths.map((width) => width + 2),
        colAligns: head.map((_title, index) => (right.has(index) ? "right" : "left")),
        // No line between rows: they start with their number.
        chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
        style: { head: [], border: [] },
      });
      for (const row of rows.slice(at, at + rowsAtOnce)) table.push(...singleLines(this.#cellsOf(row)));
      const drawn = table.toString().split("\n");
      lines.push(...drawn.slice(at === 0 ? 0 : 1, -1));
    }
    // cli-table3 draws the line below the head with the same characters as those between rows, which are off.
    lines.splice(2, 0, this.#rows.border("├", "┼", "┤"));
    if (!open) lines.push(this.#rows.border("└", "┴", "┘"));
    return lines.join("\n");
  }

  #measure(packets: readonly PacketEvent[], open: boolean): number[] {
    const widest = (title: string, cell: (packet: PacketEvent) => number): number =>
      Math.max(displayWidth(title), ...packets.map(cell));
    const number = widest("#", ({ id }) => String(id).length) + (open ? 3 : 0);
    const time = widest("time ms", ({ time }) => milliseconds(time).length) + (open ? 2 : 0);
    const packet = Math.min(
      widestPacket(this.#columns),
      widest("packet", (one) => displayWidth(visible(titleOf(one)))),
    );
    const verdict = "delivered".length;
    const borders = 1 + 3 * head.length;
    const path = Math.max(narrowestPath, this.#columns - number - time - packet - verdict - borders);
    const needed = widest(head[3] ?? "", (one) => displayWidth(this.#ways.of(one).path.text(one)));
    return [number, time, packet, open ? path : Math.min(path, Math.max(needed, 50)), verdict];
  }

  #cellsOf(row: PacketEvent | LogEvent): Cells {
    if (row.type === "packet") return this.#cells(row, this.#ways.of(row));
    const [, , titleWidth = 0, width = narrowestPath] = this.#widths;
    return [
      [],
      [measured(milliseconds(row.time))],
      titleLines(logTitle(row), titleWidth),
      wrapped(row.text, width),
      [],
    ];
  }

  /** Lines of each cell. */
  #cells(packet: PacketEvent, way: WayCells): Cells {
    const { id, verdict } = packet;
    const [, , titleWidth = 0, width = narrowestPath] = this.#widths;
    const pathCell = wrapMeasured(way.path.pieces(packet), width);
    if (way.rewrites.length > 0 && this.#told.first(packet, way.allRewrites) === id) {
      const pieces = way.rewrites.flatMap((text) => (displayWidth(text) <= width ? [text] : text.split(" ")));
      pathCell.push(...this.#inked("accent", wrapMeasured(pieces.map(measured), width)));
    }
    if (verdict.kind !== "delivered") {
      const first = this.#told.first(packet, way.sentence);
      const tone = verdictTone[verdict.kind];
      // The narrowest path has room for the longest number.
      if (first !== id) pathCell.push(this.#cell(tone, `as packet ${first}`));
      else pathCell.push(...this.#inked(tone, wrapped(way.sentence, width)));
    }
    const titleCell = titleLines(visible(titleOf(packet)), titleWidth);
    if (this.#severalExchanges) titleCell.push(this.#cell("dim", `  exchange ${packet.exchange}`));
    const verdictCell = [this.#cell(verdictTone[verdict.kind], verdict.kind)];
    if (way.path.stations > 1) verdictCell.push(this.#cell("dim", duration(totalOf(packet))));
    if (way.doubt !== "") verdictCell.push(this.#cell("odd", way.doubt));
    return [[measured(String(id))], [measured(milliseconds(packet.time))], titleCell, pathCell, verdictCell];
  }

  #inked(tone: Tone, lines: readonly Measured[]): Measured[] {
    return lines.map(({ text, width }) => ({ text: this.#ink(tone, text), width }));
  }

  #cell(tone: Tone, text: string): Measured {
    return { text: this.#ink(tone, text), width: displayWidth(text) };
  }

  #close(): string {
    const parts: string[] = [];
    if (this.#rows !== undefined) parts.push(this.#rows.border("└", "┴", "┘"));
    else if (this.#waiting.length > 0) parts.push(this.#layOut(false));
    parts.push(...closingSections(this.#log, this.#gapTimes, this.#deaths, this.#ink, this.#columns));
    return `${parts.join("\n\n")}\n`;
  }
}

/** What is the same for all packets that went one way. */
interface WayCells {
  /** No control characters in it, but for those of a packet's title. */
  readonly plain: boolean;
  readonly path: PathLine;
  readonly rewrites: readonly string[];
  readonly allRewrites: string;
  readonly sentence: string;
  readonly doubt: string;
}

function wayCells(raw: PacketEvent, ink: Ink): WayCells {
  const packet = visibleDeep(raw);
  const rewrites = rewritesOf(packet);
  return {
    plain: packet === raw,
    path: new PathLine(packet, ink),
    rewrites: rewrites.map((rewrite, index) => (index < rewrites.length - 1 ? `${rewrite},` : rewrite)),
    allRewrites: rewrites.join(),
    sentence: verdictSentence(packet.verdict),
    doubt: doubt(packet.match),
  };
}

function wrapped(sentence: string, width: number): Measured[] {
  return wrapMeasured(sentence.split(" ").map(measured), width);
}

function titleLines(title: string, width: number): Measured[] {
  const whole = measured(title);
  if (whole.width <= width) return [whole];
  return wrapped(title, width - 2).map((line, index) =>
    index === 0 ? line : { text: `  ${line.text}`, width: line.width + 2 },
  );
}
