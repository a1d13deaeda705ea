/** Rows of a table whose widths are settled: cli-table3's box, drawn by hand. */
import type { Measured } from "./width.js";

/** Lines of each cell of a row. */
export type Cells = readonly (readonly Measured[])[];

export class TableRows {
  readonly #widths: readonly number[];
  readonly #right: ReadonlySet<number>;
  /** What stands behind the text of a cell, for each column by the cells that are free there: most of what is drawn. */
  readonly #ends: readonly (readonly string[])[];

  /** @param right columns of numbers: ASCII, and nothing but text in them */
  constructor(widths: readonly number[], right: ReadonlySet<number>) {
    this.#widths = widths;
    this.#right = right;
    this.#ends = widths.map((width, column) =>
      Array.from({ length: width + 1 }, (_, free) => " ".repeat(free) + (column < widths.length - 1 ? " │ " : " │\n")),
    );
  }

  draw(cells: Cells): string {
    let height = 0;
    for (const { length } of cells) height = Math.max(height, length);
    let text = "";
    for (let line = 0; line < height; line += 1) {
      text += "│ ";
      for (let column = 0; column < this.#widths.length; column += 1) text += this.#cell(column, cells[column]?.[line]);
    }
    return text;
  }

  border(left: string, cross: string, end: string): string {
    return left + this.#widths.map((width) => "─".repeat(width + 2)).join(cross) + end;
  }

  #cell(column: number, cell: Measured | undefined): string {
    const ends = this.#ends[column] ?? [];
    const width = this.#widths[column] ?? 0;
    if (cell === undefined) return ends[width] ?? "";
    if (this.#right.has(column)) return cell.text.padStart(width) + (ends[0] ?? "");
    return cell.text + (ends[Math.max(0, width - cell.width)] ?? "");
  }
}

/** Its lines, each as a row of one line: where no line stands between rows, they look the same. */
export function singleLines(cells: Cells): string[][] {
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => cells.map((lines) => lines[line]?.text ?? ""));
}
