/** Aligned columns without borders: what `ip`, `ss` and `ps` users read fastest, and what `awk` can take apart. */
import { displayWidth, padEnd, padStart } from "./width.js";

export interface Column {
  readonly title: string;
  /** Numbers stand right. Default: left. */
  readonly align?: "left" | "right";
}

export interface ColumnsOptions {
  readonly indent?: string;
  /** Paints the heading line as a whole. */
  readonly heading?: (line: string) => string;
}

/**
 * Lines of a table: heading, then one a row. Cells may hold SGR sequences. Columns that are empty in every row are
 * left out; no line has trailing blanks.
 */
export function columns(
  head: readonly Column[],
  rows: readonly (readonly string[])[],
  options: ColumnsOptions = {},
): string[] {
  const used = head
    .map((column, index) => ({ column, index }))
    .filter(({ index }) => rows.some((row) => (row[index] ?? "") !== ""));
  const widths = used.map(({ column, index }) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(row[index] ?? ""))),
  );
  const line = (cell: (index: number) => string): string =>
    (options.indent ?? "") +
    used
      .map(({ column, index }, position) => {
        const pad = column.align === "right" ? padStart : padEnd;
        return pad(cell(index), widths[position] ?? 0);
      })
      .join("  ")
      .trimEnd();
  if (used.length === 0) return [];
  const heading = line((index) => head[index]?.title ?? "");
  return [
    options.heading === undefined ? heading : options.heading(heading),
    ...rows.map((row) => line((index) => row[index] ?? "")),
  ];
}
