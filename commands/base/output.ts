/** Where trace events go: `-o FORMAT[=FILE]` (repeatable), the TUI on a terminal, a table elsewhere, JSON Lines with --json. */
import { mkdtempSync, rmSync } from "node:fs";
import { createWriteStream, type WriteStream } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Flags } from "@oclif/core";
import { Failure } from "../../src/model/failure.js";
import { type Hop, hopName } from "../../src/model/hop.js";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import type { CommandOutput } from "../../src/session/command.js";
import { openPacketSource, type OpenPacketSource } from "../../src/session/packet-source.js";
import { wantsColours } from "../../src/view/ink.js";
import { openPrinter, traceFormats, type TraceFormat, type TracePrinter } from "../../src/view/printer.js";
import type { Tui } from "../../src/view/tui/index.js";

export const outputFlag = Flags.string({
  char: "o",
  multiple: true,
  summary: `format, and where to: ${traceFormats.join(", ")}`,
  helpValue: "FORMAT[=FILE]",
});

interface OutputOptions {
  readonly formats: readonly string[] | undefined;
  readonly json: boolean;
  /** --tui, --no-tui, or neither. */
  readonly tui: boolean | undefined;
  readonly title: string;
  readonly live: boolean;
  /** A saved trace whose bytes the TUI shows. */
  readonly source?: OpenPacketSource;
}

interface Sink {
  readonly print: TracePrinter;
  readonly file: WriteStream | undefined;
}

export class OutputSet {
  /** A folder for the recording that the TUI reads packet bytes from; gone with `during`. */
  readonly recordingFolder: string | undefined;
  readonly #temporary: string | undefined;
  #source: OpenPacketSource | undefined;

  private constructor(
    private readonly sinks: readonly Sink[],
    private readonly tui: Tui | undefined,
    temporary: string | undefined,
    source: OpenPacketSource | undefined,
  ) {
    this.#temporary = temporary;
    this.#source = source;
    this.recordingFolder = temporary === undefined ? undefined : path.join(temporary, "live.trace");
  }

  static async open(options: OutputOptions): Promise<OutputSet> {
    const formats = options.json ? ["jsonl"] : (options.formats ?? []);
    const view = await import("../../src/view/tui/index.js").then(
      (tui) => tui,
      (error: unknown) => {
        throw error;
      },
    );
    const ability = view.canRunTui(process.env, process.stdout);
    if (options.tui === true && !ability.ok) throw new Failure("usage", `the TUI cannot run here: ${ability.reason}`);
    const wantsTui = options.tui ?? (formats.length === 0 && ability.ok);
    if (!wantsTui)
      return new OutputSet(
        await openSinks(formats.length === 0 ? ["table"] : formats),
        undefined,
        undefined,
        undefined,
      );

    const temporary = options.live ? mkdtempSync(path.join(os.tmpdir(), "yapc-net-")) : undefined;
    const source =
      options.source ?? (temporary === undefined ? undefined : openPacketSource(path.join(temporary, "live.trace")));
    const tui = view.openTui({
      title: options.title,
      live: options.live,
      ...(source === undefined ? {} : { source }),
    });
    return new OutputSet(await openSinks(formats.filter((each) => each.includes("="))), tui, temporary, source);
  }

  /** Where the output of a traced command goes: our own carries data. */
  get commandOutput(): CommandOutput {
    const { tui } = this;
    return tui === undefined ? "stderr" : (stream, text) => tui.output(stream, text);
  }

  event(event: TraceEvent): void {
    for (const { print, file } of this.sinks) (file ?? process.stdout).write(print(event));
    this.tui?.push(event);
  }

  provisional(packet: PacketEvent): void {
    this.tui?.push(packet);
  }

  /** Every tap listens: told where nothing else would show it. */
  ready(hops: readonly Hop[], command: readonly string[]): void {
    if (this.tui !== undefined || command.length > 0 || !process.stderr.isTTY) return;
    process.stderr.write(`tracing ${hops.map(hopName).join(", ")}; Ctrl-C ends it\n`);
  }

  /** Runs the trace; with the TUI, until both it and the reader have ended. */
  async during<T>(run: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const quit = new AbortController();
    const { tui } = this;
    try {
      void tui?.closed.then(() => quit.abort());
      const result = await run(quit.signal);
      if (tui !== undefined) {
        tui.finish("the trace has ended");
        await tui.closed;
        process.stdout.write(tui.summary());
      }
      return result;
    } finally {
      tui?.close();
      for (const { file } of this.sinks) file?.end();
      this.#source?.[Symbol.dispose]();
      this.#source = undefined;
      if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
    }
  }
}

async function openSinks(formats: readonly string[]): Promise<Sink[]> {
  const toStdout = formats.filter((each) => !each.includes("="));
  if (toStdout.length > 1)
    throw new Failure("usage", `only one format can go to standard output, not ${toStdout.join(" and ")}`, {
      hint: "give the others a file: -o jsonl=trace.jsonl",
    });
  return Promise.all(formats.map(openSink));
}

async function openSink(text: string): Promise<Sink> {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  const target = at < 0 ? undefined : text.slice(at + 1);
  if (!isFormat(name))
    throw new Failure("usage", `no format '${name}'`, { hint: `one of: ${traceFormats.join(", ")}` });
  const onTerminal = target === undefined && process.stdout.isTTY;
  const print = await openPrinter(name, {
    colours: wantsColours(process.env, onTerminal),
    columns: onTerminal ? process.stdout.columns : 120,
  });
  return { print, file: target === undefined ? undefined : createWriteStream(target) };
}

function isFormat(name: string): name is TraceFormat {
  return (traceFormats as readonly string[]).includes(name);
}
