/**
 * Throughput of decoding and correlating: the docker-bridge picture, TCP through DNAT at five hops, from pcap bytes in
 * memory to verdicts, on one core, without per-packet output.
 *
 * usage: node dist/bench/trace.js [packets]
 */
import { pcapHeader, pcapRecord } from "../src/packet/pcap.js";
import { hops } from "../src/path/hops.js";
import { createTrace } from "../src/trace/trace.js";
import type { TraceEnded } from "../src/model/trace.js";
import { dockerBridge, macs } from "../test/path/docker-bridge.js";
import { flag, tcp } from "../test/trace/frames.js";

const epoch = 1_700_000_000_000_000_000n;
const packets = Number(process.argv[2] ?? 200_000);
/** Bytes of each capture that are handed over at once, as a pipe would. */
const CHUNK = 65_536;

interface Capture {
  readonly bytes: Uint8Array;
  /** Ends of the records in `bytes`, for nothing but cutting the captures at the same time. */
  readonly ends: readonly number[];
}

/** Captures of one bulk connection: data one way, acknowledgements the other. */
function captures(): Capture[] {
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
  const parts: Uint8Array[][] = Array.from({ length: 5 }, () => [pcapHeader(1, 256)]);
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
    for (let step = 0; step < 5; step++) {
      const hop = answer ? 4 - step : step;
      const time = epoch + BigInt(1_000_000 + number * 4000 + step * 2000);
      parts[hop]?.push(pcapRecord(time, hop < 2 ? outer : inner));
    }
  }
  return parts.map((list) => {
    let end = 0;
    const ends = list.map((part) => (end += part.length));
    return { bytes: Buffer.concat(list), ends };
  });
}

function run(streams: readonly Capture[]): { seconds: number; cpu: number; end: TraceEnded } {
  const list = hops(dockerBridge);
  let end: TraceEnded | undefined;
  const trace = createTrace({
    snapshot: dockerBridge,
    hops: list,
    filter: { ports: [], hosts: [], protocols: [] },
    epoch,
    countOnly: true,
    emit: (event) => {
      if (event.type === "end") end = event;
    },
  });
  const taps = list.map((_, hop) => trace.tap({ hop }));
  const began = performance.now();
  const used = process.cpuUsage();
  for (let at = 0; streams.some(({ bytes }) => at < bytes.length); at += CHUNK) {
    for (const [hop, { bytes }] of streams.entries()) taps[hop]?.push(bytes.subarray(at, at + CHUNK));
  }
  for (const tap of taps) tap.end();
  trace.end();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(used);
  if (!end) throw new Error("the trace did not end");
  return { seconds, cpu: (user + system) / 1e6, end };
}

const streams = captures();
const sightings = packets * 5;
let best = Number.POSITIVE_INFINITY;
for (let turn = 0; turn < 5; turn++) {
  const { seconds, cpu, end } = run(streams);
  best = Math.min(best, cpu);
  if (turn === 0) {
    const { packets: joined, matches, verdicts } = end;
    console.log(JSON.stringify({ packets: joined, matches, verdicts }));
  }
  const rate = (time: number): string => (sightings / time / 1e6).toFixed(2);
  console.log(`${rate(cpu)} million sightings a CPU second, ${rate(seconds)} a second of wall time`);
}
const memory = process.memoryUsage();
console.log(
  `best of 5: ${(sightings / best / 1e6).toFixed(2)} M a CPU second, ${sightings} sightings, resident ${(memory.rss / 2 ** 20).toFixed(0)} MiB, ` +
    `of which ${(streams.reduce((sum, one) => sum + one.bytes.length, 0) / 2 ** 20).toFixed(0)} MiB are the captures`,
);
