/**
 * Runs a process of a lab on the caller's terminal: through a pty of its own when there is a terminal (a session, job
 * control and line editing as at a login), else on the caller's own descriptors, so that pipes stay pipes.
 */
import { constants as os } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import tty from "node:tty";
import type { ExitStatus, InitLine, InitProcess, SpawnRequest, TerminalSize } from "../init/api.js";
import { write } from "../kernel/syscalls.js";

const forwarded: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/**
 * Starts the process, joins it to this program's standard streams and settles with its status.
 * @param tty whether it gets a pty; absent: where input and output are a terminal
 */
export function runOnTerminal(
  line: InitLine,
  request: Omit<SpawnRequest, keyof Stdio | "tied">,
  tty?: boolean,
): Promise<ExitStatus> {
  return onTerminal((stdio) => line.spawn({ ...request, ...stdio, tied: true }), tty);
}

/** As `runOnTerminal`, for what is started otherwise. */
export async function onTerminal(
  start: (stdio: Stdio) => Promise<InitProcess>,
  tty = process.stdin.isTTY && process.stdout.isTTY,
): Promise<ExitStatus> {
  const signals = new ForwardedSignals();
  try {
    const child = await start(tty ? { stdio: "pty", size: sizeOf(process.stdout) } : { stdio: [0, 1, 2] });
    signals.goTo(child);
    return await (child.pty === undefined ? child.exit : relay(child, child.pty));
  } finally {
    signals[Symbol.dispose]();
  }
}

/** Shell convention: 128 + signal number for a process that a signal ended. */
export function shellStatus(status: ExitStatus): number {
  if (status.code !== undefined) return status.code;
  const number = Object.entries(os.signals).find(([name]) => name === status.signal)?.[1];
  return 128 + (number ?? 0);
}

/** Signals of ours are the child's; those that come while it starts reach it when it runs. */
class ForwardedSignals implements Disposable {
  readonly #handlers = forwarded.map((name) => ({ name, handler: (): void => this.#take(name) }));
  readonly #waiting: NodeJS.Signals[] = [];
  #child: InitProcess | undefined;

  constructor() {
    for (const { name, handler } of this.#handlers) process.on(name, handler);
  }

  goTo(child: InitProcess): void {
    this.#child = child;
    for (const name of this.#waiting.splice(0)) child.signal(name);
  }

  #take(name: NodeJS.Signals): void {
    if (this.#child === undefined) this.#waiting.push(name);
    else this.#child.signal(name);
  }

  [Symbol.dispose](): void {
    for (const { name, handler } of this.#handlers) process.off(name, handler);
  }
}

type Stdio = Pick<SpawnRequest, "stdio" | "size">;

/** A pty is as large as the terminal, and where there is none to ask as terminals always were. */
function sizeOf(terminal: NodeJS.WriteStream): TerminalSize {
  return terminal.isTTY ? { columns: terminal.columns, rows: terminal.rows } : { columns: 80, rows: 24 };
}

/** VEOF of a terminal that nobody has set otherwise: Ctrl-D. */
const endOfFile = Uint8Array.of(4);

/** Copies between the terminal in raw mode and the pty until the process has ended and its output is read. */
async function relay(child: InitProcess, master: number): Promise<ExitStatus> {
  const { stdin, stdout } = process;
  const output = new tty.ReadStream(master);
  const drained = new Promise<void>((resolve) => {
    output.once("close", () => resolve());
    // The master reads EIO once the last slave end is closed: that is its end of file (pty(7)).
    output.on("error", () => output.destroy());
  });
  const resize = (): void => {
    const { columns, rows } = sizeOf(stdout);
    child.resize(columns, rows);
  };
  const type = (chunk: Buffer): void => writeAll(master, chunk);
  const ended = (): void => writeAll(master, endOfFile);
  output.pipe(stdout, { end: false });
  // A file or a pipe may be its input, too, as of `docker run -t`.
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", type);
  stdin.on("end", ended);
  stdin.resume();
  stdout.on("resize", resize);
  resize();
  try {
    const status = await child.exit;
    // A process that it left in the background may hold the pty open: its later output is nobody's.
    await Promise.race([drained, delay(200, undefined, { ref: false })]);
    output.destroy();
    return status;
  } finally {
    stdin.off("data", type);
    stdin.off("end", ended);
    stdout.off("resize", resize);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
  }
}

/** What a person types is short; a full pty buffer means that the program does not read, and typing ahead is lost. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    const taken = write(descriptor, rest);
    if (taken === undefined) return;
    rest = rest.subarray(taken);
  }
}
