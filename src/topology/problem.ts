/**
 * What is wrong with a topology file, made for the person who wrote it: the place, the line itself with a mark under
 * the part that is meant, what is wrong with it, and what would be right.
 */

/** A way into the file: keys and indexes from the root. */
export type Path = readonly (string | number)[];

/**
 * `syntax` not JSON · `form` not what the format asks for here · `variable` · `range` · `unknown-name` ·
 * `duplicate` · `conflict` the file contradicts itself or the kernel would refuse it · `missing` something that it needs ·
 * `unreachable` (warning) it builds and will not work.
 */
export type ProblemCode =
  "syntax" | "form" | "variable" | "range" | "unknown-name" | "duplicate" | "conflict" | "missing" | "unreachable";

export interface Problem {
  /** An error: the kernel would refuse it, or the file contradicts itself. A warning: it builds and will not work. */
  readonly severity: "error" | "warning";
  readonly code: ProblemCode;
  /** One sentence without a full stop. */
  readonly message: string;
  /** What would be right, or what to do: `did you mean "host"?` */
  readonly hint?: string;
  /** The file as the caller named it. */
  readonly file: string;
  /** Counted from 1; columns in UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** Units from `column` on that are meant, at least 1, within the line. */
  readonly length: number;
  /** The line of the file. */
  readonly source: string;
  /** RFC 6901: `/nodes/web/container`. Empty for the whole file. */
  readonly pointer: string;
}

export function pointerOf(path: Path): string {
  return path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** In the order of the file; on one place errors before warnings. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return problems.toSorted(
    (a, b) =>
      a.line - b.line ||
      a.column - b.column ||
      a.severity.localeCompare(b.severity) ||
      a.message.localeCompare(b.message),
  );
}

/**
 * ```text
 * lab.json:4:31: error: there is no node "hots" (/links/0/1)
 *   4 |   "links": [["client:eth0", "hots:eth0"]]
 *     |                             ^^^^^^^^^^^
 *     = did you mean "host"?
 * ```
 */
export function formatProblem(problem: Problem): string {
  const { file, line, column, length, severity, message, source, pointer, hint } = problem;
  const number = String(line).padStart(4);
  const gutter = " ".repeat(number.length);
  // A tab stays a tab, so that the mark stands where the terminal puts the text.
  const indent = source.slice(0, column - 1).replaceAll(/[^\t]/g, " ");
  return [
    `${file}:${line}:${column}: ${severity}: ${message}${pointer === "" ? "" : ` (${pointer})`}`,
    `${number} | ${source}`,
    `${gutter} | ${indent}${"^".repeat(length)}`,
    ...(hint === undefined ? [] : [`${gutter} = ${hint}`]),
  ].join("\n");
}

/** All problems with an empty line between them, and a count. Empty for none. */
export function formatProblems(problems: readonly Problem[]): string {
  if (problems.length === 0) return "";
  const errors = problems.filter((problem) => problem.severity === "error").length;
  const count = [counted(errors, "error"), counted(problems.length - errors, "warning")].filter((text) => text !== "");
  return [...problems.map(formatProblem), count.join(", ")].join("\n\n");
}

function counted(count: number, word: string): string {
  return count === 0 ? "" : `${count} ${word}${count === 1 ? "" : "s"}`;
}
