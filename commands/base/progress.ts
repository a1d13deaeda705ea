/** How far a command is, for whoever watches a terminal for longer than a second: one line, written over itself. */

/** Milliseconds until a terminal is told, and between two changes of the line. */
const patience = 1000;
const interval = 100;

type Terminal = Pick<NodeJS.WriteStream, "isTTY" | "columns" | "write">;

export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Milliseconds of the clock from which on the line may be written. */
  #due: number;
  #text = "";
  #shown = false;

  /**
   * @param terminal standard error: data goes elsewhere; where it is no terminal, nothing is ever written
   * @param now milliseconds of any clock
   */
  constructor(terminal: Terminal, now = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#due = now() + patience;
    if (!terminal.isTTY || process.env.TERM === "dumb") return;
    // What goes on by itself, such as a wait, shows too; work that does not let timers run calls `show`.
    this.#timer = setInterval(() => this.#write(), interval).unref();
  }

  show(text: string): void {
    this.#text = text;
    this.#write();
  }

  /** Makes room for what is written for good. */
  clear(): void {
    if (this.#shown) this.#terminal.write("\r\x1b[K");
    this.#shown = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #write(): void {
    const now = this.#now();
    if (this.#timer === undefined || this.#text === "" || now < this.#due) return;
    this.#due = now + interval;
    // One that is folded could not be written over.
    const line = this.#text.slice(0, Math.max(1, (this.#terminal.columns || 80) - 1));
    this.#terminal.write(`\r\x1b[K${line}`);
    this.#shown = true;
  }
}
