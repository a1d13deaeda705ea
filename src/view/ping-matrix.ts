/** `ping`: who reaches whom. */
import { columns } from "./columns.js";
import { noInk, type Ink } from "./ink.js";
import { count, duration } from "./quantity.js";
import { visible } from "./width.js";

export interface PingMatrix {
  /** Nodes, in the order of rows and columns. */
  readonly nodes: readonly string[];
  /** By row (from), then column (to); the diagonal is not looked at. */
  readonly cells: readonly (readonly PingCell[])[];
}

export type PingCell =
  /** @property roundTrip nanoseconds, the fastest answer */
  | { readonly kind: "answered"; readonly roundTrip: number }
  | { readonly kind: "lost"; readonly reason?: string }
  /** The node has no address to ping. */
  | { readonly kind: "no-address" };

/** Wider matrices cannot be read: then only the pairs that failed are listed. */
const widestMatrix = 16;
/** Failed pairs that are listed. */
const mostFailures = 60;

export function pingLines(matrix: PingMatrix, ink: Ink = noInk): string[] {
  const pairs = matrix.nodes.flatMap((from, row) =>
    matrix.nodes.flatMap((to, column) => {
      const cell = matrix.cells[row]?.[column];
      return row === column || cell === undefined ? [] : [{ from: visible(from), to: visible(to), cell }];
    }),
  );
  const tried = pairs.filter(({ cell }) => cell.kind !== "no-address");
  const lost = tried.flatMap(({ from, to, cell }) => (cell.kind === "lost" ? [{ from, to, reason: cell.reason }] : []));
  const sentence =
    lost.length === 0
      ? ink("good", `All ${count(tried.length, "pair")} answered.`)
      : ink("bad", `${lost.length} of ${count(tried.length, "pair")} got no answer.`);
  const failures = columns(
    [{ title: "from" }, { title: "to" }, { title: "reason" }],
    lost.slice(0, mostFailures).map(({ from, to, reason }) => [from, to, visible(reason ?? "")]),
    { heading: (line) => ink("dim", line) },
  );
  if (lost.length > mostFailures) failures.push(ink("dim", `… and ${lost.length - mostFailures} more`));
  const picture = matrix.nodes.length <= widestMatrix ? [...matrixLines(matrix, ink), ""] : [];
  const untold = matrix.nodes.length > widestMatrix || lost.some(({ reason }) => reason !== undefined);
  return [...picture, ...(untold && failures.length > 0 ? [...failures, ""] : []), sentence];
}

function matrixLines(matrix: PingMatrix, ink: Ink): string[] {
  const rows = matrix.nodes.map((from, row) => [
    ink("strong", visible(from)),
    ...matrix.nodes.map((_to, column) => {
      const cell = matrix.cells[row]?.[column];
      if (row === column || cell === undefined) return ink("dim", "·");
      if (cell.kind === "answered") return ink("good", duration(cell.roundTrip));
      return cell.kind === "lost" ? ink("bad", "✗") : ink("dim", "no address");
    }),
  ]);
  const head = [
    { title: "from \\ to" },
    ...matrix.nodes.map((node) => ({ title: visible(node), align: "right" as const })),
  ];
  return columns(head, rows, { heading: (line) => ink("dim", line) });
}
