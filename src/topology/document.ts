/** The text of a topology file: JSON with comments, and where each of its values stands. */
import { createScanner, parseTree, printParseErrorCode, type Node, type ParseError } from "jsonc-parser";
import { type Path, type Problem, type ProblemCode, pointerOf } from "./problem.js";

/** Deeper than any topology; keeps the recursive parser off the end of its stack. */
const deepest = 64;

/** SyntaxKind of jsonc-parser: a const enum, which separately compiled modules cannot name. */
const token = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 };

/** How many problems of one kind are told of one place. */
const mostOfAKind = 3;

export interface Remark {
  readonly code: ProblemCode;
  readonly hint?: string | undefined;
  /** Marks the key instead of the value. */
  readonly atKey?: boolean;
}

/** What was said about a document so far, and the means to say more. */
export class Document {
  readonly problems: Problem[] = [];
  readonly root: Node | undefined;
  readonly #text: string;
  readonly #file: string;
  readonly #lineStarts: number[];
  /** Keyed by the pointer of the value after `${…}` was replaced. */
  readonly #places = new Map<string, { value: Node; key?: Node }>();
  readonly #aliases = new Map<string, Path>();
  readonly #said = new Map<string, Set<string>>();

  /** Parses; what is wrong with the syntax is in `problems`, and `root` is then undefined. */
  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    this.#lineStarts = [0, ...Array.from(text.matchAll(/\r\n|\n|\r/g), (match) => match.index + match[0].length)];
    const tooDeep = offsetOfDepth(text);
    if (tooDeep !== undefined) {
      this.#add("error", tooDeep, 1, "", `values are nested more than ${deepest} deep`, { code: "syntax" });
      return;
    }
    const errors: ParseError[] = [];
    const root = parseTree(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
    const lines = new Set<number>();
    for (const error of errors) {
      // The first mistake of a line brings others with it.
      const { line } = this.#lineOf(error.offset);
      if (lines.has(line)) continue;
      lines.add(line);
      this.#add("error", error.offset, error.length, "", syntaxWords(printParseErrorCode(error.error)), {
        code: "syntax",
      });
    }
    if (errors.length > 0) return;
    if (root === undefined) this.#add("error", 0, 1, "", "the file is empty", { code: "syntax" });
    this.root = root;
  }

  /** Tells where the value with this path (as the program sees it) stands in the text. */
  place(path: Path, value: Node, key?: Node): void {
    this.#places.set(pointerOf(path), key ? { value, key } : { value });
  }

  /** What a range made of the entry at `origin` has this path from now on. */
  alias(path: Path, origin: Path): void {
    this.#aliases.set(pointerOf(path), origin);
  }

  error(path: Path, message: string, remark: Remark): void {
    this.#remark("error", path, message, remark);
  }

  warning(path: Path, message: string, remark: Remark): void {
    this.#remark("warning", path, message, remark);
  }

  /** The first of these paths that stands in the file as it is; else the last. */
  placed(...paths: [Path, ...Path[]]): Path {
    return paths.find((path) => this.#places.has(pointerOf(this.#origin(path)))) ?? paths.at(-1) ?? [];
  }

  /** Takes back what was said since `count` problems, but for those of these kinds. */
  keepSince(count: number, codes: ReadonlySet<ProblemCode>): void {
    const later = this.problems.splice(count);
    this.problems.push(...later.filter(({ code }) => codes.has(code)));
  }

  get failed(): boolean {
    return this.problems.some((problem) => problem.severity === "error");
  }

  #remark(severity: Problem["severity"], path: Path, message: string, remark: Remark): void {
    const { node, exact } = this.#nodeAt(path, remark.atKey ?? false);
    // Text that came from a variable or a range is not in the file: the pointer names where it came from.
    const pointer = pointerOf(exact);
    if (node === undefined) this.#add(severity, 0, 1, pointer, message, remark);
    else this.#add(severity, node.offset, node.length, pointer, message, remark);
  }

  /** The node, or the nearest one around it (a value that came from `defaults` has none of its own). */
  #nodeAt(made: Path, atKey: boolean): { node: Node | undefined; exact: Path } {
    const path = this.#origin(made);
    for (let length = path.length; length > 0; length--) {
      const exact = path.slice(0, length);
      const place = this.#places.get(pointerOf(exact));
      if (place) return { node: (atKey && length === path.length ? place.key : undefined) ?? place.value, exact };
    }
    return { node: this.root, exact: [] };
  }

  #origin(path: Path): Path {
    if (this.#aliases.size === 0) return path;
    for (let length = path.length; length > 0; length--) {
      const origin = this.#aliases.get(pointerOf(path.slice(0, length)));
      if (origin) return [...origin, ...path.slice(length)];
    }
    return path;
  }

  #add(
    severity: Problem["severity"],
    offset: number,
    length: number,
    pointer: string,
    message: string,
    { code, hint }: Remark,
  ): void {
    const { line, column, source } = this.#lineOf(offset);
    // A range or a default comes by one place many times: what is the same is said once, the like of it a few times.
    const key = `${severity} ${code} ${offset}`;
    // A text with a variable that is not there is no name, no address, no port either: that goes without saying.
    if (code === "form" && this.#said.has(`error variable ${offset}`)) return;
    const said = this.#said.get(key) ?? new Set();
    if (said.has(message) || said.size >= mostOfAKind) return;
    this.#said.set(key, said.add(message));
    this.problems.push({
      severity,
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      file: this.#file,
      line,
      column,
      length: Math.max(1, Math.min(length, source.length - column + 1)),
      source,
      pointer,
    });
  }

  #lineOf(offset: number): { line: number; column: number; source: string } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const start = this.#lineStarts[low] ?? 0;
    const source = this.#text.slice(start, this.#lineStarts[low + 1] ?? this.#text.length).replace(/[\r\n]+$/, "");
    return { line: low + 1, column: offset - start + 1, source };
  }
}

function offsetOfDepth(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let kind: number = scanner.scan(); kind !== token.end; kind = scanner.scan()) {
    if (kind === token.openBrace || kind === token.openBracket) depth++;
    else if (kind === token.closeBrace || kind === token.closeBracket) depth--;
    if (depth > deepest) return scanner.getTokenOffset();
  }
  return undefined;
}

function syntaxWords(code: string): string {
  const words: Record<string, string> = {
    InvalidSymbol: "this is not JSON (names and texts stand in double quotes)",
    InvalidNumberFormat: "this is not a number",
    PropertyNameExpected: "a name in double quotes is expected here",
    ValueExpected: "a value is expected here",
    ColonExpected: "a colon is expected here",
    CommaExpected: "a comma is expected here",
    CloseBraceExpected: "a closing brace } is missing",
    CloseBracketExpected: "a closing bracket ] is missing",
    EndOfFileExpected: "the file goes on after its value has ended",
    UnexpectedEndOfComment: "this comment does not end",
    UnexpectedEndOfString: "this text does not end on its line",
    UnexpectedEndOfNumber: "this number does not end",
    InvalidUnicode: "this is not a \\u escape with four hexadecimal digits",
    InvalidEscapeCharacter: "JSON does not know this escape",
    InvalidCharacter: "a control character cannot stand in a text; write it as an escape",
  };
  return words[code] ?? `this is not JSON (${code})`;
}
