/** What a terminal shows, from the bytes that a program writes to it: as much of xterm as blessed uses. */
export class Screen {
  readonly #rows: string[][];
  #row = 0;
  #column = 0;
  #rest = "";

  constructor(
    rows: number,
    private readonly columns: number,
  ) {
    this.#rows = Array.from({ length: rows }, () => new Array<string>(columns).fill(" "));
  }

  lines(): string[] {
    return this.#rows.map((row) => row.join(""));
  }

  write(text: string): void {
    const all = this.#rest + text;
    // eslint-disable-next-line no-control-regex -- control characters are what it reads
    const token = /\x1b\[([?>]?)([\d;]*)([@-~])|\x1b[()][A-Z0-9]|\x1b\][^\x07]*\x07|\x1b[=>78cM]|\r|\n|[^\x1b\r\n]/uy;
    let at = 0;
    for (let match = token.exec(all); match !== null; match = token.exec(all)) {
      at = token.lastIndex;
      const [whole, mark, numbers = "", final] = match;
      if (final !== undefined) {
        if (mark === "") this.#control(final, numbers.split(";").map(Number));
      } else if (whole === "\r") this.#column = 0;
      else if (whole === "\n") this.#row += 1;
      else if (whole >= " " && !whole.startsWith("\x1b")) this.#put(whole);
    }
    this.#rest = all.slice(at); // a sequence that is not whole
  }

  #put(character: string): void {
    const row = this.#rows[this.#row];
    if (row !== undefined && this.#column < this.columns) row[this.#column] = character;
    this.#column += 1;
  }

  /** CSI sequences (ECMA-48). */
  #control(final: string, [first = 0, second = 0]: readonly number[]): void {
    const count = Math.max(1, first);
    if (final === "H" || final === "f") [this.#row, this.#column] = [count - 1, Math.max(1, second) - 1];
    else if (final === "A") this.#row -= count;
    else if (final === "B") this.#row += count;
    else if (final === "C") this.#column += count;
    else if (final === "D") this.#column -= count;
    else if (final === "G") this.#column = count - 1;
    else if (final === "d") this.#row = count - 1;
    else if (final === "K") this.#rows[this.#row]?.fill(" ", first === 0 ? this.#column : 0);
    else if (final === "J") for (const row of this.#rows) row.fill(" ");
    else if (final === "X") this.#rows[this.#row]?.fill(" ", this.#column, this.#column + count);
  }
}
