/** Text measured in terminal cells. */

// eslint-disable-next-line no-control-regex -- SGR sequences begin with ESC
const sgrSequence = /\u001b\[[0-9;]*m/g;
const zeroWidth = /^(?:\p{Mark}|\u200b|\u200c|\u200d|\ufe0f)$/u;

/** Wide and fullwidth blocks of Unicode's EastAsianWidth, and emoji: two cells each. */
function isWide(point: number): boolean {
  return (
    (point >= 0x1100 && point <= 0x115f) ||
    (point >= 0x2e80 && point <= 0xa4cf) ||
    (point >= 0xac00 && point <= 0xd7a3) ||
    (point >= 0xf900 && point <= 0xfaff) ||
    (point >= 0xfe30 && point <= 0xfe6f) ||
    (point >= 0xff00 && point <= 0xff60) ||
    (point >= 0xffe0 && point <= 0xffe6) ||
    (point >= 0x1f300 && point <= 0x1faff) ||
    (point >= 0x20000 && point <= 0x3fffd)
  );
}

function cells(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  // Marks begin at U+0300.
  if (point < 0x300) return 1;
  if (zeroWidth.test(character)) return 0;
  return isWide(point) ? 2 : 1;
}

/** Where a cell is a code unit: Latin; arrows, symbols, lines of boxes. */
const ofSingleCells = /^[\x20-\u02ff\u2100-\u2bff]*$/;

/** Cells that the text takes on a terminal; SGR sequences take none. */
export function displayWidth(text: string): number {
  if (ofSingleCells.test(text)) return text.length;
  const bare = withoutInk(text);
  if (ofSingleCells.test(bare)) return bare.length;
  let width = 0;
  for (const character of bare) width += cells(character);
  return width;
}

export function padEnd(text: string, width: number): string {
  const free = width - displayWidth(text);
  return free > 0 ? text + " ".repeat(free) : text;
}

export function padStart(text: string, width: number): string {
  const free = width - displayWidth(text);
  return free > 0 ? " ".repeat(free) + text : text;
}

export function centre(text: string, width: number): string {
  const free = Math.max(0, width - displayWidth(text));
  return " ".repeat(free >> 1) + text + " ".repeat(free - (free >> 1));
}

/** Cut to a width, with an ellipsis where something is missing. The text must not hold SGR sequences. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let result = "";
  let used = 0;
  for (const character of text) {
    used += cells(character);
    if (used > width - 1) break;
    result += character;
  }
  return width < 1 ? "" : `${result}…`;
}

/** As `cut`, for a line that may hold SGR sequences. */
export function cutInk(text: string, width: number): string {
  return displayWidth(text) <= width ? text : `${sliceCells(text, 0, width - 1)}…`;
}

/** Text whose width is known. */
export interface Measured {
  readonly text: string;
  /** Cells. */
  readonly width: number;
}

export function measured(text: string): Measured {
  return { text, width: displayWidth(text) };
}

/** Joins pieces by blanks into lines no wider than `width`. A plain piece that is too wide for any line is cut in two. */
export function wrap(pieces: readonly string[], width: number): string[] {
  return wrapMeasured(pieces.map(measured), width).map(({ text }) => text);
}

/** As `wrap`, of pieces that need not be measured again. */
export function wrapMeasured(pieces: readonly Measured[], width: number): Measured[] {
  const lines: Measured[] = [];
  let line = "";
  let used = 0;
  const add = (piece: Measured): void => {
    if (line !== "" && used + 1 + piece.width <= width) {
      line += ` ${piece.text}`;
      used += 1 + piece.width;
      return;
    }
    if (line !== "") lines.push({ text: line, width: used });
    line = piece.text;
    used = piece.width;
  };
  for (const piece of pieces) {
    if (piece.width <= width || width < 2 || piece.text.includes("\u001b")) add(piece);
    else for (const chunk of chunks(piece.text, width)) add(measured(chunk));
  }
  if (line !== "") lines.push({ text: line, width: used });
  return lines;
}

/** A piece in parts of that width. */
function chunks(piece: string, width: number): string[] {
  const parts: string[] = [];
  let part = "";
  for (const character of piece) {
    if (displayWidth(part) + cells(character) > width) {
      parts.push(part);
      part = "";
    }
    part += character;
  }
  return [...parts, part];
}

// eslint-disable-next-line no-control-regex -- they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const controls = new RegExp(control, "g");

/**
 * Makes control characters visible. Names of containers, comments of rules and output of commands come from others: an
 * escape sequence in one of them must not reach the terminal, and bidirectional overrides must not reorder a line.
 */
export function visible(text: string): string {
  return text.replace(controls, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** `visible` for every string in a plain JSON value; the value itself where there is nothing to do. */
export function visibleDeep<T>(value: T): T {
  // The shape is kept: strings become strings, arrays arrays, objects objects with the same keys.
  return holdsControls(value) ? (deep(value) as T) : value;
}

function holdsControls(value: unknown): boolean {
  if (typeof value === "string") return control.test(value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(holdsControls);
  for (const key in value) if (holdsControls(value[key as keyof typeof value])) return true;
  return false;
}

function deep(value: unknown): unknown {
  if (typeof value === "string") return visible(value);
  if (Array.isArray(value)) return value.map(deep);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, deep(item)]));
  }
  return value;
}

/**
 * The cells `from` to `from + width` of a line that may hold SGR sequences, padded to exactly that width. Sequences
 * outside the window stay, so that colours are as they would be; a wide character on an edge becomes a blank.
 */
export function sliceCells(text: string, from: number, width: number): string {
  let result = "";
  let position = 0;
  for (const part of text.split(sgrParts)) {
    if (part.startsWith("\u001b")) {
      result += part;
      continue;
    }
    for (const character of part) {
      const size = cells(character);
      if (position >= from && position + size <= from + width) result += character;
      else if (position < from + width && position + size > from) result += " ";
      position += size;
    }
  }
  return result + " ".repeat(Math.max(0, Math.min(width, from + width - position)));
}

// eslint-disable-next-line no-control-regex -- SGR sequences begin with ESC
const sgrParts = /(\u001b\[[0-9;]*m)/;

export function withoutInk(text: string): string {
  return text.replace(sgrSequence, "");
}
