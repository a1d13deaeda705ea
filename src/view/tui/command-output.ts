/** What the traced command writes, as lines of text that a pane can show. */
import { visible } from "../width.js";

const linesKept = 500;

export class CommandOutput {
  readonly #lines: string[] = [];
  #unfinished = "";

  add(text: string): void {
    const lines = (this.#unfinished + text).split("\n");
    this.#unfinished = lines.pop() ?? "";
    for (const line of lines) this.#lines.push(readable(line));
    this.#lines.splice(0, Math.max(0, this.#lines.length - linesKept));
  }

  /** The last line, also where it is not complete yet. */
  get lines(): readonly string[] {
    return this.#unfinished === "" ? this.#lines : [...this.#lines, readable(this.#unfinished)];
  }
}

/** Without colours; a carriage return begins the line anew, as on a terminal. */
function readable(line: string): string {
  // eslint-disable-next-line no-control-regex -- SGR sequences begin with ESC
  const bare = line.replace(/\u001b\[[0-9;]*m/g, "").replace(/\r$/, "");
  return visible(bare.slice(bare.lastIndexOf("\r") + 1).replaceAll("\t", "    "));
}
