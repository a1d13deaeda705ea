/**
 * Throughput of decoding and joining: the docker-bridge picture, TCP through DNAT at five hops, from pcap files to
 * verdicts, without per-packet output; beside what tcpdump, tshark and pcap-parser take for the same files. Each runs in a
 * process of its own, and its processor time counts (user and system, the start included): other work disturbs that least.
 *
 * A line of its own says what decoding and joining alone take: in one process, of captures that are in memory, without
 * the start and the files. First while V8 still compiles (a trace as long as that), then the least of some rounds after.
 *
 * usage: node dist/bench/trace.js [million sightings...]   (0.5 1 2 4; the peers read those of 2, or of the last)
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Outflow } from "../commands/base/outflow.js";
import { pcapHeader, pcapRecord } from "../src/packet/pcap.js";
import { hops } from "../src/path/hops.js";
import { createTrace } from "../src/trace/trace.js";
import { jsonlPrinter } from "../src/view/jsonl.js";
import type { TraceEnded, TraceEvent } from "../src/model/trace.js";
import { dockerBridge, macs } from "../test/path/docker-bridge.js";
import { flag, tcp } from "../test/trace/frames.js";

const epoch = 1_700_000_000_000_000_000n;
const HOPS = 5;
/** Bytes of each capture that are handed over at once, as a pipe would. */
const CHUNK = 65_536;
/** Packets that tshark is given: it is far slower, and what it takes for these is multiplied. */
const SLICE = 20_000;
const ROUNDS = 3;

/** Writes captures of one bulk connection, a file a hop: data one way, acknowledgements the other. */
function generate(folder: string, packets: number): string[] {
  const outside = { source: "203.0.113.2", destination: "203.0.113.1", sourcePort: 40_000, destinationPort: 8080 };
  const inside = { source: "203.0.113.2", destination: "10.0.0.10", sourcePort: 40_000, destinationPort: 80 };
  const turned = (ends: typeof outside): typeof outside => ({
    source: ends.destination,
    destination: ends.source,
    sourcePort: ends.destinationPort,
    destinationPort: ends.sourcePort,
  });
  const wire = { sourceMac: macs.client, destinationMac: macs.host };
  const lan = { sourceMac: macs.bridge, destinationMac: macs.web };
  const back = (link: { sourceMac: string; destinationMac: string }) => ({
    sourceMac: link.destinationMac,
    destinationMac: link.sourceMac,
  });
  const files = Array.from({ length: HOPS }, (_, hop) => path.join(folder, `${packets}-${hop}.pcap`));
  const descriptors = files.map((file) => openSync(file, "w"));
  const parts: Uint8Array[][] = files.map(() => [pcapHeader(1, 256)]);
  const flush = (): void => {
    for (const [hop, list] of parts.entries()) writeSync(descriptors[hop] ?? 0, Buffer.concat(list.splice(0)));
  };
  for (let number = 0; number < packets; number++) {
    const answer = number % 3 === 2;
    const segment = {
      id: (number % 65_535) + 1,
      sequence: answer ? 1 : number * 1448,
      acknowledgement: answer ? number * 1448 : 1,
      flags: flag.ack,
      payload: answer ? 0 : 150,
      stamps: [number, number] as const,
    };
    const outer = tcp({
      ...(answer ? turned(outside) : outside),
      ...(answer ? back(wire) : wire),
      ...segment,
      ttl: answer ? 63 : 64,
    });
    const inner = tcp({
      ...(answer ? turned(inside) : inside),
      ...(answer ? back(lan) : lan),
      ...segment,
      ttl: answer ? 64 : 63,
    });
    for (let step = 0; step < HOPS; step++) {
      const hop = answer ? 4 - step : step;
      const time = epoch + BigInt(1_000_000 + number * 4000 + step * 500);
      parts[hop]?.push(pcapRecord(time, hop < 2 ? outer : inner));
    }
    if (number % 4096 === 4095) flush();
  }
  flush();
  for (const descriptor of descriptors) closeSync(descriptor);
  return files;
}

interface Chunk {
  readonly file: number;
  readonly bytes: Uint8Array;
}

/** The chunks of some files, in turn, all in one buffer: each is valid until the next one. */
function* chunks(files: readonly string[]): Generator<Chunk> {
  const open = files.map((name) => openSync(name, "r"));
  const bytes = new Uint8Array(CHUNK);
  let left = open.length;
  for (const done = new Set<number>(); left > 0;) {
    for (const [file, descriptor] of open.entries()) {
      if (done.has(file)) continue;
      const length = readSync(descriptor, bytes);
      if (length > 0) yield { file, bytes: bytes.subarray(0, length) };
      else {
        done.add(file);
        left--;
        closeSync(descriptor);
      }
    }
  }
}

/** The same, all of them in memory. */
function inMemory(files: readonly string[]): Chunk[] {
  const whole = files.map((file) => readFileSync(file));
  const longest = Math.max(...whole.map(({ length }) => length));
  return Array.from({ length: Math.ceil(longest / CHUNK) }, (_, number) => number * CHUNK).flatMap((at) =>
    whole.flatMap((bytes, file) => (at < bytes.length ? [{ file, bytes: bytes.subarray(at, at + CHUNK) }] : [])),
  );
}

/** @param onEvent takes packets too; without it they are counted alone */
function trace(parts: Iterable<Chunk>, onEvent?: (event: TraceEvent) => void): TraceEnded {
  const list = hops(dockerBridge);
  let end: TraceEnded | undefined;
  const core = createTrace({
    snapshot: dockerBridge,
    hops: list,
    filter: { ports: [], hosts: [], protocols: [] },
    epoch,
    tell: onEvent === undefined ? "none" : "all",
    emit: (event) => {
      onEvent?.(event);
      if (event.type === "end") end = event;
    },
  });
  const taps = list.map((_, hop) => core.tap({ hop }));
  for (const { file, bytes } of parts) taps[file]?.push(bytes);
  for (const tap of taps) tap.end();
  core.end();
  if (!end) throw new Error("the trace did not end");
  return end;
}

/** Writes a line of JSON for each packet to standard output, as `view -o jsonl` does. */
function lines(files: readonly string[]): void {
  const print = jsonlPrinter();
  const output = new Outflow(process.stdout);
  trace(chunks(files), (event) => output.write(print(event)));
  output.flush();
}

/** Decoding and joining alone, again and again. @returns processor seconds of each round */
function alone(files: readonly string[]): number[] {
  const parts = inMemory(files);
  return Array.from({ length: 1 + ROUNDS }, () => {
    const before = process.cpuUsage();
    trace(parts);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  });
}

/** What pcap-parser makes of them, and nothing done with it. It knows microseconds alone: so the files call themselves. */
async function parseOnly(files: readonly string[]): Promise<number> {
  const { PcapParserReader } = await import("../src/packet/pcap-parser-reader.js");
  const readers = files.map(() => new PcapParserReader(epoch, () => undefined));
  for (const { file, bytes } of chunks(files)) {
    const reader = readers[file];
    const own = bytes.slice(); // it keeps what it was given
    if (reader?.header === undefined) new DataView(own.buffer).setUint32(0, 0xa1b2c3d4, true);
    reader?.push(own);
  }
  return readers.reduce((sum, { records }) => sum + records, 0);
}

interface Cost {
  /** Processor seconds, and those that passed. */
  readonly cpu: number;
  readonly wall: number;
  readonly output: string;
}

/** Runs a command for each file, one after the other. @returns the least of some rounds */
function cost(commands: readonly (readonly string[])[], discard = true): Cost | undefined {
  const quoted = commands.map((words) => words.map((word) => `'${word}'`).join(" ") + (discard ? " >/dev/null" : ""));
  let best: Cost | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const script = `TIMEFORMAT='%R %U %S'; time { ${quoted.join(" && ")}; }`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
    if (status !== 0) return undefined;
    const [wall = 0, user = 0, system = 0] = (stderr.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
    if (best === undefined || user + system < best.cpu) best = { cpu: user + system, wall, output: stdout };
  }
  return best;
}

function line(what: string, sightings: number, time: Cost | undefined, ours?: Cost): void {
  if (time === undefined) {
    console.log(`  ${what.padEnd(34)} did not run`);
    return;
  }
  const rate = (seconds: number): string => (sightings / seconds / 1e6).toFixed(2);
  const beside = ours === undefined ? "" : `   ours: ${(time.cpu / ours.cpu).toFixed(2)} × as fast`;
  console.log(
    `  ${what.padEnd(34)} ${rate(time.cpu)} M sightings a CPU second (${rate(time.wall)} M a second)${beside}`,
  );
}

/** Writes this program as a bundle, as what users start is: what is imported from a module by itself is looked up at each use. */
async function bundled(): Promise<string> {
  // Not at the top: what is measured would load it, too.
  const { build } = await import("esbuild");
  const outdir = path.join(import.meta.dirname, "trace-bundle");
  await build({
    entryPoints: [import.meta.filename],
    outdir,
    splitting: true,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  return path.join(outdir, "trace.js");
}

function self(program: string, mode: "trace" | "parse" | "lines", files: readonly string[]): Cost | undefined {
  return cost([[process.execPath, program, mode, ...files]], mode === "lines");
}

/** Processor seconds of `alone`, in a process of its own. */
function rounds(program: string, files: readonly string[]): number[] {
  const { status, stdout } = spawnSync(process.execPath, [program, "alone", ...files], { encoding: "utf8" });
  if (status !== 0) throw new Error("our own run in memory failed");
  return JSON.parse(stdout) as number[];
}

function peers(program: string, files: readonly string[], sightings: number, ours: Cost): void {
  const each = (...words: readonly string[]): string[][] => files.map((file) => [...words, "-r", file]);
  line("tcpdump -r, text", sightings, cost(each("tcpdump", "-nn")), ours);
  line("tcpdump -r -w", sightings, cost(each("tcpdump", "-w", "-")), ours); // to a file it would give that, /dev/null, to its own user
  const fields = ["frame.time_epoch", "ip.src", "ip.dst", "ip.id", "tcp.seq_raw", "tcp.ack_raw", "tcp.len"];
  const tshark = ["tshark", "-n", "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
  const slice = (count: number): Cost | undefined => cost([[...tshark, "-c", String(count), "-r", files[0] ?? ""]]);
  const [start, more] = [slice(1), slice(SLICE)];
  const scale = sightings / SLICE;
  const whole = start &&
    more && { ...more, cpu: (more.cpu - start.cpu) * scale, wall: (more.wall - start.wall) * scale };
  line(`tshark -T fields, from ${SLICE}`, sightings, whole, ours);
  line("pcap-parser alone", sightings, self(program, "parse", files), ours);
}

async function bench(millions: readonly number[]): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "yapc-net-bench-"));
  const program = await bundled();
  try {
    for (const million of millions) {
      const sightings = million * 1e6;
      const files = generate(folder, sightings / HOPS);
      const mebibytes = files.reduce((sum, file) => sum + statSync(file).size, 0) / 2 ** 20;
      const ours = self(program, "trace", files);
      if (!ours) throw new Error("our own run failed");
      const { end, memory } = JSON.parse(ours.output) as { end: TraceEnded; memory: number };
      console.log(`${million} M sightings, ${mebibytes.toFixed(0)} MiB; resident at most ${memory.toFixed(0)} MiB`);
      console.log(`  ${JSON.stringify({ packets: end.packets, matches: end.matches, verdicts: end.verdicts })}`);
      line("decode and join, start and files", sightings, ours);
      line("the same, a line of JSON a packet", sightings, self(program, "lines", files));
      const [first = 0, ...later] = rounds(program, files);
      const rate = (seconds: number): string => (sightings / seconds / 1e6).toFixed(2);
      console.log(
        `  ${"decode and join alone, in memory".padEnd(34)} ${rate(first)} M sightings a CPU second at first, ${rate(Math.min(...later))} warm`,
      );
      if (million === (millions.includes(2) ? 2 : millions.at(-1))) peers(program, files, sightings, ours);
      for (const file of files) rmSync(file);
    }
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(path.dirname(program), { recursive: true });
  }
}

const [mode = "", ...files] = process.argv.slice(2);
if (mode === "trace") {
  const end = trace(chunks(files));
  console.log(JSON.stringify({ end, memory: process.resourceUsage().maxRSS / 1024 }));
} else if (mode === "lines") lines(files);
else if (mode === "alone") console.log(JSON.stringify(alone(files)));
else if (mode === "parse") console.log(await parseOnly(files));
else await bench(mode === "" ? [0.5, 1, 2, 4] : [mode, ...files].map(Number));
