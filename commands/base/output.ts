/** Where trace events go: `-o FORMAT[=FILE]` (repeatable), the TUI on a terminal, a table elsewhere, JSON Lines with --json. */
import { createWriteStream, fstatSync, mkdtempSync, openSync, rmSync, type WriteStream } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Flags } from "@oclif/core";
import { Failure, fileFailure } from "../../src/model/failure.js";
import { type Hop, hopName } from "../../src/model/hop.js";
import type { Pressure } from "../../src/model/pressure.js";
import type { PacketEvent, PacketsTold, TraceEvent } from "../../src/model/trace.js";
import type { CommandOutput } from "../../src/session/command.js";
import { openPacketSource, type OpenPacketSource } from "../../src/session/packet-source.js";
import { pcapngExport } from "../../src/session/pcapng.js";
import { wantsColours } from "../../src/view/ink.js";
import { openPrinter, traceFormats, type TraceFormat } from "../../src/view/formats.js";
import type { Tui } from "../../src/view/tui/index.js";
import { Outflow } from "./outflow.js";

const outputFormats = [...traceFormats, "pcapng"];

export const outputFlag = Flags.string({
  char: "o",
  multiple: true,
  summary: `format, and where to: ${outputFormats.join(", ")}`,
  helpValue: "FORMAT[=FILE]",
});

interface OutputOptions {
  readonly formats: readonly string[] | undefined;
  readonly json: boolean;
  /** --tui, --no-tui, or neither. */
  readonly tui: boolean | undefined;
  readonly title: string;
  readonly live: boolean;
  /** Folder of the recording: where a live trace is saved, or a saved one lies. */
  readonly recording?: string;
  /** Packet bytes that lie elsewhere: of a bare capture. */
  readonly source?: OpenPacketSource;
}

interface Sink {
  readonly print: (event: TraceEvent) => string | Uint8Array;
  /** Undefined: standard output. */
  readonly file: WriteStream | undefined;
  readonly flow: Outflow;
  /** It shows no other packets. */
  readonly undeliveredOnly: boolean;
}

export class OutputSet {
  readonly #temporary: string | undefined;
  #source: OpenPacketSource | undefined;

  private constructor(
    private readonly sinks: readonly Sink[],
    private readonly tui: Tui | undefined,
    /** Folder that a live trace is to be recorded in; undefined where nothing needs the bytes. */
    readonly recordingFolder: string | undefined,
    temporary: string | undefined,
    source: OpenPacketSource | undefined,
  ) {
    this.#temporary = temporary;
    this.#source = source;
  }

  static async open(options: OutputOptions): Promise<OutputSet> {
    const formats = options.json ? ["jsonl"] : (options.formats ?? []);
    const view = await import("../../src/view/tui/index.js");
    const ability = view.canRunTui(process.env, process.stdout);
    if (options.tui === true && !ability.ok) throw new Failure("usage", `the TUI cannot run here: ${ability.reason}`);
    const wantsTui = options.tui ?? (formats.length === 0 && ability.ok);
    const wanted = wantsTui ? formats.filter((each) => !isForStdout(each)) : formats.length === 0 ? ["table"] : formats;
    // Packet bytes are read back from a recording: of a live trace one is made, for as long as it is looked at.
    const needsBytes = wantsTui || wanted.some((each) => /^(html|pcapng)\b/.test(each));
    const homeless = options.recording === undefined && options.source === undefined;
    const temporary = homeless && needsBytes ? mkdtempSync(path.join(os.tmpdir(), "yapc-net-")) : undefined;
    const recording = temporary === undefined ? options.recording : path.join(temporary, "live.trace");
    const source = options.source ?? (needsBytes && recording !== undefined ? openPacketSource(recording) : undefined);
    const sinks = await openSinks(wanted, { title: options.title, source, live: options.live });
    if (!wantsTui) return new OutputSet(sinks, undefined, recording, temporary, source);

    const tui = view.openTui({
      title: options.title,
      live: options.live,
      ...(source === undefined ? {} : { source }),
      onExport: async (file, packets) => exportPackets(file, packets, source, options.title),
    });
    return new OutputSet(sinks, tui, recording, temporary, source);
  }

  /** Which packets they ask for. */
  get tell(): PacketsTold {
    return this.tui === undefined && this.sinks.every(({ undeliveredOnly }) => undeliveredOnly) ? "undelivered" : "all";
  }

  /** Where the output of a traced command goes: our own carries data. */
  get commandOutput(): CommandOutput {
    const { tui } = this;
    return tui === undefined ? "stderr" : (stream, text) => tui.output(stream, text);
  }

  event(event: TraceEvent): void {
    for (const { print, flow } of this.sinks) flow.write(print(event));
    this.tui?.push(event);
  }

  /** Takes packets that are still open; undefined where nothing shows them, as each costs as much as one that has closed. */
  get provisional(): ((packet: PacketEvent) => void) | undefined {
    const { tui } = this;
    return tui && ((packet) => tui.push(packet));
  }

  /** Where readers are behind: settles when they have caught up. Else undefined. */
  get pressure(): ReturnType<Pressure> {
    const behind = this.sinks.flatMap(({ flow }) => flow.pressure ?? []);
    return behind.length === 0 ? undefined : Promise.all(behind);
  }

  /** Beside the TUI, which owns the terminal, a warning goes to its pane. */
  warning(text: string): void {
    if (this.tui === undefined) process.stderr.write(`warning: ${text}\n`);
    else this.tui.output("stderr", `warning: ${text}\n`);
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
    let failed: Error | undefined;
    for (const { file } of this.sinks)
      file?.once("error", (error: NodeJS.ErrnoException) => {
        // A reader who has seen enough of a pipe; anything else (a full disk) is a failure.
        if (error.code !== "EPIPE") failed ??= fileFailure(`write ${String(file.path)}`, error);
        quit.abort();
      });
    try {
      void tui?.closed.then(() => quit.abort());
      const result = await run(quit.signal);
      this.#flush();
      if (tui !== undefined) {
        tui.finish("the trace has ended");
        await tui.closed;
        process.stdout.write(tui.summary());
      }
      await Promise.all(this.sinks.map(({ file }) => written(file)));
      if (failed !== undefined) throw failed;
      return result;
    } finally {
      tui?.close();
      this.#flush();
      for (const { file } of this.sinks) file?.destroy();
      this.#source?.[Symbol.dispose]();
      this.#source = undefined;
      if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
    }
  }

  #flush(): void {
    for (const { flow } of this.sinks) flow.flush();
  }
}

/** Settles when a file holds all that was written, or cannot. */
function written(file: WriteStream | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (file === undefined || file.destroyed) resolve();
    else {
      file.once("close", () => resolve());
      file.end();
    }
  });
}

interface SinkContext {
  readonly title: string;
  readonly source: OpenPacketSource | undefined;
  readonly live: boolean;
}

/** `-o table`, and `-o pcapng=-`. */
function isForStdout(format: string): boolean {
  return !format.includes("=") || format.endsWith("=-");
}

async function openSinks(formats: readonly string[], context: SinkContext): Promise<Sink[]> {
  const toStdout = formats.filter(isForStdout);
  if (toStdout.length > 1)
    throw new Failure("usage", `only one format can go to standard output, not ${toStdout.join(" and ")}`, {
      hint: "give the others a file: -o jsonl=trace.jsonl",
    });
  return Promise.all(formats.map((each) => openSink(each, context)));
}

/** Cells of a line that goes to a file or a pipe. */
const pipeColumns = 100;

async function openSink(text: string, { title, source, live }: SinkContext): Promise<Sink> {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  const target = isForStdout(text) ? undefined : text.slice(at + 1);
  if (name !== "pcapng" && !isFormat(name))
    throw new Failure("usage", `no format '${name}'`, { hint: `one of: ${outputFormats.join(", ")}` });
  const file = target === undefined ? undefined : openTarget(target);
  if (name === "pcapng") {
    if (target === undefined && process.stdout.isTTY)
      throw new Failure("usage", "pcapng is not for a terminal", { hint: "give it a file: -o pcapng=trace.pcapng" });
    // Who reads a pipe reads along; a file is read when it is whole, and then best in the order of time.
    const flowing = live && (file === undefined || isPipe(file));
    return sinkOf(name, pcapngExport(source, { title, flowing }), file);
  }
  const onTerminal = target === undefined && process.stdout.isTTY;
  const print = await openPrinter(name, {
    colours: wantsColours(process.env, onTerminal),
    columns: onTerminal ? process.stdout.columns : pipeColumns,
    title,
    ...(source === undefined ? {} : { source }),
  });
  return sinkOf(name, print, file);
}

function sinkOf(format: string, print: Sink["print"], file: Target | undefined): Sink {
  const flow = new Outflow(file?.stream ?? process.stdout);
  return { print, file: file?.stream, flow, undeliveredOnly: format === "summary" };
}

interface Target {
  readonly stream: WriteStream;
  readonly descriptor: number;
}

/** Opened at once: a path that cannot be written is told before the trace, not at its end. @throws Failure (usage) */
function openTarget(target: string): Target {
  try {
    const descriptor = openSync(target, "w");
    return { stream: createWriteStream(target, { fd: descriptor }), descriptor };
  } catch (error) {
    throw fileFailure(`write ${target}`, error, "choose another file for -o");
  }
}

function isPipe({ descriptor }: Target): boolean {
  return fstatSync(descriptor).isFIFO();
}

/** Writes some packets of the TUI to a file whose format its name tells. @returns what to say about it */
async function exportPackets(
  file: string,
  packets: readonly PacketEvent[],
  source: OpenPacketSource | undefined,
  title: string,
): Promise<string> {
  const format = path.extname(file).slice(1);
  const name = format === "txt" ? "table" : format === "mmd" ? "mermaid" : format;
  const [sink] = await openSinks([`${name}=${file}`], { title, source, live: false });
  if (sink?.file === undefined) return "nothing was written";
  const started = source?.started();
  for (const event of [...(started === undefined ? [] : [started]), ...packets, emptyEnd(packets)])
    sink.flow.write(sink.print(event));
  sink.flow.flush();
  await new Promise((resolve) => sink.file?.end(resolve));
  return `${packets.length} packets written to ${file}`;
}

/** Printers write their document at the end event. */
function emptyEnd(packets: readonly PacketEvent[]): TraceEvent {
  const matches = { exact: 0, strong: 0, ordered: 0, ambiguous: 0, single: 0 };
  const verdicts = { delivered: 0, refused: 0, dropped: 0, unknown: 0 };
  for (const packet of packets) {
    matches[packet.match] += 1;
    verdicts[packet.verdict.kind] += 1;
  }
  const last = packets.at(-1);
  return { type: "end", time: last?.time ?? 0, packets: packets.length, exchanges: 0, matches, verdicts, evicted: 0 };
}

function isFormat(name: string): name is TraceFormat {
  return (traceFormats as readonly string[]).includes(name);
}
