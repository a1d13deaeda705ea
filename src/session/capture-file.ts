/** `view` of captures that others made: pcap and pcapng, each of their interfaces a hop, several of them on one way. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { RecordIndex } from "../capture/record-index.js";
import { Failure, fileFailure } from "../model/failure.js";
import { type Hop, hopName } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { TraceFilter } from "../model/trace.js";
import { describe } from "../packet/describe.js";
import { CaptureError } from "../packet/error.js";
import { type OpenReader, readerFor } from "../packet/open.js";
import { PcapngReader } from "../packet/pcapng.js";
import { createReplay, type ReplayTap } from "../trace/replay.js";
import type { OpenPacketSource } from "./packet-source.js";
import { feedAll, type ReplayOptions } from "./replay.js";

/** Whole files are held in memory, so that any of their packets can be shown. */
const largest = 1 << 30;
/** Bytes that are joined before others have their turn (the TUI, a reader who is slow). */
const chunkSize = 1 << 18;

const everything: TraceFilter = { ports: [], hosts: [], protocols: [] };

export interface CaptureRequest {
  readonly path: string;
  /** Name of its hop: `client`, `client:eth0`; else that of the file. */
  readonly name?: string;
}

export interface CaptureFiles {
  readonly source: OpenPacketSource;
  /** What of them cannot be read: a tail that was cut off, a record that is damaged. */
  readonly warnings: readonly string[];
  replay(options: Omit<ReplayOptions, "path" | "onWarning">): Promise<void>;
}

interface Survey {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly open: OpenReader;
  readonly hops: readonly Hop[];
  /** Link types of the interfaces. */
  readonly linkTypes: readonly number[];
  /** Stamp of the oldest record, Infinity where there is none. */
  readonly first: number;
  readonly records: RecordIndex;
  readonly damage?: string;
}

/** @throws Failure (usage) for a file that is no capture, or cannot be read */
export async function openCaptureFiles(requests: readonly CaptureRequest[]): Promise<CaptureFiles> {
  const surveys: Survey[] = [];
  for (const request of requests) surveys.push(await understand(request));
  const files = distinct(surveys);
  const hops = files.flatMap((file) => file.hops);
  const first = Math.min(...files.map((file) => file.first));
  const epoch = Number.isFinite(first) ? BigInt(Math.floor(first / 1e9)) * 1_000_000_000n : 0n;
  const header = { version: 1, epoch: String(epoch), hops, filter: everything } as const;
  const fileOf = (hop: string): Survey | undefined =>
    files.find((file) => file.hops.some((own) => hopName(own) === hop));
  return {
    warnings: files.flatMap(({ damage }) => damage ?? []),
    source: {
      bytes: ({ hop, record }) => fileOf(hop)?.records.bytes(record),
      describe({ hop, record }) {
        const file = fileOf(hop);
        const bytes = file?.records.bytes(record);
        return file === undefined || bytes === undefined
          ? []
          : describe(bytes, file.linkTypes[file.records.link(record)] ?? 1);
      },
      started: () => ({ type: "trace", ...header }),
      linkType({ hop }) {
        const file = fileOf(hop);
        return file?.linkTypes[file.hops.findIndex((own) => hopName(own) === hop)] ?? 1;
      },
      [Symbol.dispose]: () => undefined,
    },
    async replay({ onEvent, pressure, tell = "all" }) {
      const options = { snapshot: unknownNetwork(epoch), hops, filter: everything, epoch, bare: true };
      const run = createReplay({ ...options, tell, emit: onEvent });
      let number = 0;
      for (const file of files) {
        const links = new Map(file.hops.map((_, link) => [link, number + link]));
        number += file.hops.length;
        run.tap({ links }, file.open);
      }
      const places = files.map(() => 0);
      const feedTap = (tap: ReplayTap): void => {
        const bytes = files[tap.number]?.bytes ?? new Uint8Array(0);
        const from = places[tap.number] ?? 0;
        const to = Math.min(from + chunkSize, bytes.length);
        places[tap.number] = feed(tap, bytes.subarray(from, to)) ? to : bytes.length;
      };
      await feedAll(run, feedTap, pressure);
    },
  };
}

/** Gives a tap its next bytes, none at the end. @returns whether they were sound; `damage` tells what is not */
function feed(tap: ReplayTap, bytes: Uint8Array): boolean {
  try {
    if (bytes.length > 0) tap.push(bytes);
    else tap.end();
    return true;
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    return false;
  }
}

function read(file: string): Uint8Array {
  try {
    const { size } = statSync(file);
    if (size > largest)
      throw new Failure("usage", `${file} has ${size} bytes; up to ${largest} can be viewed`, {
        hint: "take a part of it: editcap, or tcpdump -r FILE -w PART 'port 80'",
      });
    return readFileSync(file);
  } catch (error) {
    throw error instanceof Failure ? error : fileFailure(`read ${file}`, error);
  }
}

/** Reads the file once to learn its interfaces, where its time begins, and how much of it is whole. */
async function understand({ path: file, name }: CaptureRequest): Promise<Survey> {
  const bytes = read(file);
  const records = new RecordIndex(bytes);
  let first = Infinity;
  let damage: string | undefined;
  try {
    const open = await readerFor(bytes);
    const reader = open(0n, (time, chunk, offset, captured, _length, link) => {
      first = Math.min(first, time);
      records.add(chunk, offset, captured, link);
    });
    try {
      reader.push(bytes);
      reader.end();
    } catch (error) {
      if (!(error instanceof CaptureError) || reader.header === undefined) throw error;
      damage = `${file}: ${error.message}; the ${records.count} records before it are shown`;
    }
    const interfaces = reader instanceof PcapngReader ? reader.interfaces : [undefined];
    return {
      file,
      bytes,
      open,
      hops: interfaces.map((each, index) => hopOf(each?.name, name ?? stemOf(file), index, interfaces.length > 1)),
      linkTypes: interfaces.map((_, index) => reader.linkType(index)),
      first,
      records,
      ...(damage === undefined ? {} : { damage }),
    };
  } catch (error) {
    if (error instanceof CaptureError)
      throw new Failure("usage", `${file}: ${error.message}`, { code: error.code ?? "CAPTURE", cause: error });
    throw error;
  }
}

function stemOf(file: string): string {
  return path.basename(file).replace(/\.(pcap|pcapng|cap)$/, "");
}

/** `host:eth0` as our own export, or the reader, writes it; any other name is an interface of the file. */
function hopOf(device: string | undefined, name: string, index: number, several: boolean): Hop {
  const more = { index: index + 1, kind: "other" } as const;
  const given = split(name);
  if (given !== undefined && !several) return { ...given, ...more };
  const known = device === undefined ? undefined : split(device);
  if (known !== undefined) return { ...known, ...more };
  return { node: name, interface: device ?? (index === 0 ? "capture" : `capture${index}`), ...more };
}

function split(name: string): { node: string; interface: string } | undefined {
  const [node, device] = name.split(":");
  return node !== undefined && node !== "" && device !== undefined && device !== ""
    ? { node, interface: device }
    : undefined;
}

/** Hops of one name are told apart by a number. */
function distinct(surveys: readonly Survey[]): Survey[] {
  const taken = new Set<string>();
  return surveys.map((survey) => ({
    ...survey,
    hops: survey.hops.map((hop) => {
      let own = hop;
      for (let number = 2; taken.has(hopName(own)); number++) own = { ...hop, interface: `${hop.interface}-${number}` };
      taken.add(hopName(own));
      return own;
    }),
  }));
}

/** Nothing is known of the network that a bare capture comes from. */
function unknownNetwork(epoch: bigint): Snapshot {
  return { version: 1, takenAt: new Date(Number(epoch / 1_000_000n)).toISOString(), nodes: [] };
}
