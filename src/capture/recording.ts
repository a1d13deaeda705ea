/**
 * A saved trace: the folder `NAME.trace/`, plain files that other tools read too.
 *
 *   trace.json         what was traced: version, lab, epoch, hops, filter, count
 *   snapshot.json      the network as it stood when the trace began
 *   captures/N-NODE_IFACE.pcap   each tap's stream as tcpdump wrote it (nanosecond pcap: tcpdump -r, tshark -r); IFACE is
 *                      `any` of a tap on all interfaces of a node (Linux cooked v2)
 *   log.jsonl          the other inputs of the trace core, each with its place among the records
 *
 * The core is a pure function of these, so a replay gives the JSON Lines of the live run.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { Failure, fileFailure } from "../model/failure.js";
import type { Hop } from "../model/hop.js";
import { hasNumbers, hasStrings, isListOf, isObject } from "../model/shape.js";
import { isNamespaceTap, type NamespaceTap } from "../model/tap.js";
import type { Snapshot } from "../model/snapshot.js";
import type { TraceFilter } from "../model/trace.js";
import type { TapPlace } from "./tap.js";
import { anyInterface } from "./tcpdump.js";

export interface RecordingHeader {
  readonly version: 1;
  readonly lab?: string;
  /** Nanoseconds since 1970 of time 0, decimal. */
  readonly epoch: string;
  readonly hops: readonly Hop[];
  /** Where the trace began with taps on whole nodes: those. Absent: one tap a hop, in their order. */
  readonly taps?: readonly NamespaceTap[];
  readonly filter: TraceFilter;
  /** The trace ended after so many packets; absent where nobody had asked for that. */
  readonly count?: number;
}

function captureName(number: number, { node, interface: device }: TapPlace): string {
  return `${number}-${node}_${device}.pcap`.replaceAll("/", "_");
}

/** The taps that a trace begins with. */
export function firstTaps({ hops, taps }: Pick<RecordingHeader, "hops" | "taps">): readonly TapPlace[] {
  return taps?.map(({ node }) => ({ node, interface: anyInterface })) ?? hops;
}

export class RecordingWriter {
  readonly folder: string;
  readonly #captures: number[];
  readonly #log: number;

  /**
   * Makes the folder. An older recording of the name is replaced; anything else of that name is refused.
   * @throws Failure (usage)
   */
  constructor(folder: string, header: RecordingHeader, snapshot: Snapshot) {
    this.folder = folder;
    makeRoom(folder);
    try {
      // Not recursive: below /proc that goes round for ever, as the parent is there and the folder never will be.
      for (const each of [folder, path.join(folder, "captures")]) mkdirSync(each);
    } catch (error) {
      throw fileFailure(`save the trace in ${folder}`, error, "choose another name for --save");
    }
    writeFileSync(path.join(folder, "trace.json"), `${JSON.stringify(header, undefined, 2)}\n`);
    writeFileSync(path.join(folder, "snapshot.json"), `${JSON.stringify(snapshot, undefined, 2)}\n`);
    this.#captures = [];
    for (const tap of firstTaps(header)) this.addCapture(tap);
    this.#log = openSync(path.join(folder, "log.jsonl"), "w");
  }

  /** A capture more, with the next number. */
  addCapture(tap: TapPlace): void {
    const name = captureName(this.#captures.length, tap);
    this.#captures.push(openSync(path.join(this.folder, "captures", name), "w"));
  }

  /** Appends to the capture of a tap. */
  bytes(tap: number, bytes: Uint8Array): void {
    const descriptor = this.#captures[tap];
    if (descriptor === undefined) throw new RangeError(`no tap ${tap} in this recording`);
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  }

  log(line: unknown): void {
    writeSync(this.#log, `${JSON.stringify(line)}\n`);
  }

  close(): void {
    for (const descriptor of [...this.#captures, this.#log]) closeSync(descriptor);
  }
}

function makeRoom(folder: string): void {
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isDirectory() || statSync(path.join(folder, "trace.json"), { throwIfNoEntry: false }) === undefined)
    throw new Failure("usage", `${folder} exists and is not a saved trace`, { hint: "choose another name for --save" });
  rmSync(folder, { recursive: true });
}

export interface Recording {
  readonly folder: string;
  readonly header: RecordingHeader;
  readonly snapshot: Snapshot;
  /** Path of each tap's capture: those that the trace began with, then those that took over. */
  readonly captures: readonly string[];
  /** Lines of log.jsonl, parsed. */
  readonly log: readonly unknown[];
}

/** Reads a saved trace. @throws Failure (usage) when it is none, or of a version that we do not know */
export function readRecording(folder: string): Recording {
  const header = readRecordingHeader(folder);
  // A trace that was killed may have left a last line that is not whole.
  const lines = readText(folder, "log.jsonl").split("\n").slice(0, -1);
  const log = lines.map((line, index) => parse(line, `${folder}/log.jsonl, line ${index + 1}`));
  return {
    folder,
    header,
    snapshot: readJson(folder, "snapshot.json") as Snapshot, // as above
    captures: capturePaths(folder, header),
    log,
  };
}

/** @throws Failure (usage) */
export function readRecordingHeader(folder: string): RecordingHeader {
  const header = readJson(folder, "trace.json");
  if (isObject(header) && header.version !== 1)
    throw new Failure(
      "usage",
      `${folder} is a saved trace of version ${String(header.version)}; this program reads version 1`,
    );
  if (!isHeader(header))
    throw new Failure("usage", `${folder}/trace.json does not say what was traced`, {
      hint: "the saved trace is damaged",
    });
  return header;
}

function isHeader(value: unknown): value is RecordingHeader {
  if (!isObject(value)) return false;
  const { epoch, hops, taps, filter, count, lab } = value;
  return (
    typeof epoch === "string" &&
    /^-?\d+$/.test(epoch) &&
    isListOf(hops, (hop) => hasStrings(hop, "node", "interface") && hasNumbers(hop, "index")) &&
    (taps === undefined || isListOf(taps, isNamespaceTap)) &&
    isFilter(filter) &&
    (count === undefined || typeof count === "number") &&
    (lab === undefined || typeof lab === "string")
  );
}

function isFilter(value: unknown): value is TraceFilter {
  if (!isObject(value)) return false;
  const isText = (each: unknown): boolean => typeof each === "string";
  return (
    isListOf(value.ports, (each) => typeof each === "number") &&
    isListOf(value.hosts, isText) &&
    isListOf(value.protocols, isText) &&
    (value.raw === undefined || isText(value.raw))
  );
}

function capturePaths(folder: string, header: RecordingHeader): string[] {
  const first = firstTaps(header).map((tap, number) => path.join(folder, "captures", captureName(number, tap)));
  const others: string[] = [];
  for (let next = findCapture(folder, first.length); next !== undefined;) {
    others.push(next);
    next = findCapture(folder, first.length + others.length);
  }
  return [...first, ...others];
}

/** Path of the capture with this number, also of a trace that is still being written; undefined while there is none. */
export function findCapture(folder: string, number: number): string | undefined {
  const captures = path.join(folder, "captures");
  if (!existsSync(captures)) return undefined;
  const name = readdirSync(captures).find((each) => each.startsWith(`${number}-`));
  return name === undefined ? undefined : path.join(folder, "captures", name);
}

function readJson(folder: string, name: string): unknown {
  return parse(readText(folder, name), path.join(folder, name));
}

function readText(folder: string, name: string): string {
  try {
    return readFileSync(path.join(folder, name), "utf8");
  } catch (error) {
    throw new Failure("usage", `${folder} is not a saved trace: it has no readable ${name}`, { cause: error });
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure("usage", `${where} is not JSON`, { cause: error });
  }
}
