/** The TUI: packet list, path, fields; live or on a saved trace. `openTui` alone takes the terminal, and gives it back. */
import type { PacketEvent, TraceEvent } from "../../model/trace.js";
import { closingLines, exchangeLines, hopLines } from "../closing.js";
import { inkFor, wantsColours, tuiInk } from "../ink.js";
import type { PacketSource } from "../packet-source.js";
import { frame } from "./frame.js";
import { actionFor } from "./keys.js";
import { TuiState, type Request } from "./state.js";
import { cutInk } from "../width.js";
import { openTerminal, type Terminal } from "./terminal.js";

export interface TuiOptions {
  /** `trace docker-bridge, port 80` */
  readonly title: string;
  readonly source?: PacketSource;
  /** Packets still come: the list follows them. False for a saved trace. */
  readonly live: boolean;
  /** Writes packets to a file whose format its name tells; gives back what to say about it. */
  readonly onExport?: (path: string, packets: readonly PacketEvent[]) => Promise<string>;
  /** Packets kept for the list; the oldest go first. Default 20,000. */
  readonly limit?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** `quit`: q. `interrupt`: Ctrl-C, SIGINT or SIGQUIT. `terminate`: SIGTERM, SIGHUP, or the terminal is gone. */
export type TuiEnd = "quit" | "interrupt" | "terminate";

export interface Tui {
  /** Provisional packets too. Events after the end are kept for the summary. */
  push(event: TraceEvent): void;
  /** Output of the traced command. */
  output(stream: "stdout" | "stderr", text: string): void;
  /** No more events will come. @param note `curl ended with status 0` */
  finish(note: string): void;
  /** Restores the terminal, as q does. */
  close(): void;
  /** Settles when the terminal is restored. */
  readonly closed: Promise<TuiEnd>;
  /** Exchanges, hops and closing sentence, for the scrollback: to be written when `closed` has settled and the trace has ended. */
  summary(): string;
}

export type TuiAbility = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Whether the TUI can run here, and else why not. */
export function canRunTui(
  env: Readonly<Record<string, string | undefined>>,
  stdout: { readonly isTTY?: boolean },
  stdin: { readonly isTTY?: boolean } = process.stdin,
): TuiAbility {
  if (stdout.isTTY !== true) return { ok: false, reason: "standard output is not a terminal" };
  if (stdin.isTTY !== true) return { ok: false, reason: "standard input is not a terminal" };
  const terminal = env.TERM ?? "";
  if (terminal === "" || terminal === "dumb") {
    return { ok: false, reason: terminal === "" ? "TERM is not set" : "TERM is dumb: the terminal cannot place text" };
  }
  return { ok: true };
}

const packetsKept = 20_000;
/** Milliseconds between two drawings that new packets ask for, and that keys ask for. */
const frameInterval = 50;
const keyInterval = 25;

const signals: readonly (readonly [NodeJS.Signals, TuiEnd])[] = [
  ["SIGINT", "interrupt"],
  ["SIGQUIT", "interrupt"],
  ["SIGTERM", "terminate"],
  ["SIGHUP", "terminate"],
];

export function openTui(options: TuiOptions): Tui {
  return new TerminalUi(options, options.env ?? process.env);
}

class TerminalUi implements Tui {
  readonly closed: Promise<TuiEnd>;
  readonly #state: TuiState;
  readonly #colours: boolean;
  readonly #terminal: Terminal;
  readonly #onExport: TuiOptions["onExport"];
  readonly #settle: (end: TuiEnd) => void;
  readonly #handlers: (readonly [NodeJS.Signals, () => void])[];
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  #drawnAt = -Infinity;
  #open = true;

  constructor(options: TuiOptions, env: Readonly<Record<string, string | undefined>>) {
    this.#colours = wantsColours(env, true);
    this.#onExport = options.onExport;
    this.#state = new TuiState({
      title: options.title,
      live: options.live,
      canExport: options.onExport !== undefined,
      limit: options.limit ?? packetsKept,
      ...(options.source !== undefined && { source: options.source }),
    });
    const { promise, resolve } = withResolver<TuiEnd>();
    this.closed = promise;
    this.#settle = resolve;
    // Before the screen is made, and not given back within the signal: blessed's own handlers end the process with
    // status 0 wherever they are the only ones.
    this.#handlers = signals.map(([signal, end]) => [signal, () => setImmediate(() => this.#end(end))]);
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
    this.#terminal = openTerminal(options.title, {
      key: (key) => this.#key(key),
      resized: () => this.#draw(),
      lost: () => this.#end("terminate"),
    });
    this.#draw();
  }

  push(event: TraceEvent): void {
    this.#state.push(event);
    this.#drawWithin(frameInterval);
  }

  output(_stream: "stdout" | "stderr", text: string): void {
    this.#state.output.add(text);
    this.#drawWithin(frameInterval);
  }

  finish(note: string): void {
    this.#state.finished = note;
    this.#drawWithin(frameInterval);
  }

  close(): void {
    this.#end("quit");
  }

  summary(): string {
    const ink = inkFor(this.#colours);
    const { log, deaths } = this.#state;
    const { ended, hops } = log;
    const { columns } = process.stdout;
    const sections = [
      exchangeLines(log, ink, columns),
      hopLines(hops, ink).map((line) => cutInk(line, columns)),
      ended === undefined ? [] : closingLines(ended, hops, deaths.list(), ink, columns),
    ];
    return sections
      .filter(({ length }) => length > 0)
      .map((lines) => `${lines.join("\n")}\n`)
      .join("\n");
  }

  #key(key: string): void {
    const state = this.#state;
    if (state.prompt !== undefined) this.#carryOut(state.type(key));
    else {
      const action = actionFor(key);
      if (action !== undefined) this.#carryOut(state.act(action));
    }
    this.#drawWithin(keyInterval);
  }

  #carryOut(request: Request | undefined): void {
    if (request === undefined) return;
    if (request.kind !== "export") {
      this.#end(request.kind);
      return;
    }
    this.#state.message = `writing ${request.path} …`;
    const say = (message: string): void => {
      this.#state.message = message;
      this.#drawWithin(keyInterval);
    };
    this.#onExport?.(request.path, request.packets).then(say, (error: unknown) =>
      say(`not written: ${error instanceof Error ? error.message : String(error)}`),
    );
  }

  /** Draws now if the last drawing is old enough, else when it will be. Many calls make one drawing. */
  #drawWithin(interval: number): void {
    if (!this.#open) return;
    const due = Math.max(performance.now(), this.#drawnAt + interval);
    if (this.#timer !== undefined) {
      if (due >= this.#due) return;
      clearTimeout(this.#timer);
    }
    this.#due = due;
    this.#timer = setTimeout(() => this.#draw(), due - performance.now());
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#open) return;
    const { columns, rows } = this.#terminal;
    this.#terminal.draw(frame(this.#state, columns, rows, tuiInk(this.#colours)));
    this.#drawnAt = performance.now();
  }

  #end(end: TuiEnd): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#timer);
    this.#terminal.close();
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
    this.#settle(end);
  }
}

function withResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
