/** `view` of a capture that others made: pcap and pcapng, one file, each of its interfaces a hop. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { Failure, fileFailure } from "../model/failure.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { TraceEvent, TraceFilter } from "../model/trace.js";
import { describe } from "../packet/describe.js";
import { CaptureError } from "../packet/error.js";
import { type OpenReader, readerFor } from "../packet/open.js";
import { PcapngReader } from "../packet/pcapng.js";
import { createReplay } from "../trace/replay.js";
import type { OpenPacketSource } from "./packet-source.js";

/** The whole file is held in memory, so that any of its packets can be shown. */
const largest = 1 << 30;

const everything: TraceFilter = { ports: [], hosts: [], protocols: [] };

interface CapturedRecord {
  readonly bytes: Uint8Array;
  readonly linkType: number;
}

export interface CaptureFile {
  readonly source: OpenPacketSource;
  replay(onEvent: (event: TraceEvent) => void): void;
}

/** @throws Failure (usage) for a file that is no capture, is damaged, or cannot be read */
export async function openCaptureFile(file: string): Promise<CaptureFile> {
  const bytes = read(file);
  const { open, ...found } = await understand(file, bytes);
  const { hops, epoch, records } = found;
  const header = { version: 1, epoch: String(epoch), hops, filter: everything } as const;
  const find = (record: number): CapturedRecord | undefined => records[record];
  return {
    source: {
      bytes: ({ record }) => find(record)?.bytes,
      describe({ record }) {
        const found = find(record);
        return found === undefined ? [] : describe(found.bytes, found.linkType);
      },
      started: () => ({ type: "trace", ...header }),
      linkType: ({ record }) => find(record)?.linkType ?? 1,
      [Symbol.dispose]: () => undefined,
    },
    replay(onEvent) {
      const emit = (event: TraceEvent): void => onEvent(withoutNetwork(event));
      const run = createReplay({ snapshot: unknownNetwork(epoch), hops, filter: everything, epoch, emit });
      const tap = run.tap({ links: new Map(hops.map((_, index) => [index, index])) }, open);
      tap.push(bytes);
      tap.end();
    },
  };
}

async function understand(file: string, bytes: Uint8Array): Promise<Survey & { readonly open: OpenReader }> {
  try {
    const open = await readerFor(bytes);
    return { ...survey(file, bytes, open), open };
  } catch (error) {
    if (error instanceof CaptureError)
      throw new Failure("usage", `${file}: ${error.message}`, { code: error.code ?? "CAPTURE", cause: error });
    throw error;
  }
}

/** The core says that it does not know the hop; the reader wants to hear why. */
function withoutNetwork(event: TraceEvent): TraceEvent {
  if (event.type !== "packet" || event.verdict.kind !== "unknown") return event;
  return { ...event, verdict: { kind: "unknown", reason: "a bare capture does not tell where its packets go" } };
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

interface Survey {
  readonly hops: readonly [Hop, ...Hop[]];
  /** Stamp of the first record. */
  readonly epoch: bigint;
  readonly records: readonly CapturedRecord[];
}

/** Reads the file once to learn its interfaces and where its time begins. */
function survey(file: string, bytes: Uint8Array, open: OpenReader): Survey {
  const records: CapturedRecord[] = [];
  let first = Infinity;
  const reader = open(0n, (time, chunk, offset, captured, _length, link) => {
    first = Math.min(first, time);
    records.push({ bytes: chunk.subarray(offset, offset + captured), linkType: reader.linkType(link) });
  });
  reader.push(bytes);
  reader.end();
  const stem = path.basename(file).replace(/\.(pcap|pcapng|cap)$/, "");
  const names = reader instanceof PcapngReader ? reader.interfaces.map(({ name }) => name) : [undefined];
  const [hop = hopOf(undefined, stem, 0), ...others] = names.map((name, index) => hopOf(name, stem, index));
  return {
    hops: [hop, ...others],
    epoch: Number.isFinite(first) ? BigInt(Math.floor(first / 1e9)) * 1_000_000_000n : 0n,
    records,
  };
}

/** `host:eth0` as our own export writes it; any other name is an interface of the file. */
function hopOf(name: string | undefined, stem: string, index: number): Hop {
  const [node, device] = name?.split(":") ?? [];
  const known = node !== undefined && node !== "" && device !== undefined && device !== "";
  return {
    node: known ? node : stem,
    interface: known ? device : (name ?? (index === 0 ? "capture" : `capture${index}`)),
    index: index + 1,
    kind: "other",
  };
}

/** Nothing is known of the network that a bare capture comes from. */
function unknownNetwork(epoch: bigint): Snapshot {
  return { version: 1, takenAt: new Date(Number(epoch / 1_000_000n)).toISOString(), nodes: [] };
}
