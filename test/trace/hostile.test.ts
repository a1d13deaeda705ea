/** Damaged captures and saved traces: an error that says so, or packets; never a fault, never an end that does not come. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "ava";
import { Failure } from "../../src/model/failure.js";
import { CaptureError } from "../../src/packet/error.js";
import type { OpenReader } from "../../src/packet/open.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { PcapngReader, pcapngHeader, pcapngPacket } from "../../src/packet/pcapng.js";
import { replay } from "../../src/session/replay.js";
import { noFilter } from "../../src/trace/core.js";
import { createReplay } from "../../src/trace/replay.js";
import { makeWorld } from "./world/index.js";
import { optionsOf } from "./world/options.js";
import { between, pick, type Random, random } from "./world/random.js";
import { epoch } from "./world/run.js";

const soak = process.env.YAPC_NET_SOAK !== undefined;
const seed = Number(process.env.YAPC_NET_SEED ?? 20261129);
const captures = soak ? 1_000_000 : 300;
const saved = soak ? 20_000 : 20;

function mutated(bytes: Uint8Array, next: Random): Uint8Array {
  const out = Uint8Array.from(bytes);
  for (let count = between(next, 1, 8); count > 0; count--) {
    const at = Math.floor(next() * out.length);
    out[at] = next() < 0.3 ? pick(next, [0, 255, 128, 127]) : Math.floor(next() * 256);
  }
  if (next() < 0.2) return out.subarray(0, Math.floor(next() * out.length));
  if (next() < 0.1) return Buffer.concat([out.subarray(0, Math.floor(next() * out.length)), out.subarray(24)]);
  return out;
}

interface Material {
  readonly world: ReturnType<typeof makeWorld>;
  readonly pcap: readonly Uint8Array[];
  readonly pcapng: readonly Uint8Array[];
}

function material(number: number): Material {
  const world = makeWorld(optionsOf(number, 12));
  const few = world.captures.map((capture) => capture.slice(0, 8));
  return {
    world,
    pcap: few.map((capture) =>
      Buffer.concat([
        pcapHeader(1),
        ...capture.map(({ time, frame }) => pcapRecord(epoch + BigInt(time), frame.bytes, frame.length)),
      ]),
    ),
    pcapng: few.map((capture) =>
      Buffer.concat([
        pcapngHeader([{ name: "a:b", linkType: 1 }]),
        ...capture.map(({ time, frame }) =>
          pcapngPacket({ interface: 0, time: epoch + BigInt(time), bytes: frame.bytes, length: frame.length }),
        ),
      ]),
    ),
  };
}

/** Reads captures to their end, or to where they are damaged. @returns events told */
function run({ world }: Material, streams: readonly Uint8Array[], open?: OpenReader): number {
  let events = 0;
  const options = { snapshot: world.snapshot, hops: world.hops, filter: noFilter, epoch };
  const trace = createReplay({ ...options, emit: () => events++ });
  const taps = streams.map((_, hop) => trace.tap(open ? { links: new Map([[0, hop]]) } : { hop }, open));
  for (const [hop, tap] of taps.entries()) {
    for (const act of [() => tap.push(streams[hop]!), () => tap.end()]) {
      try {
        act();
      } catch (error) {
        if (!(error instanceof CaptureError)) throw error;
      }
    }
  }
  if (trace.core.openSightings !== 0) throw new Error(`${trace.core.openSightings} sightings are still open`);
  if (trace.core.columns.used !== 0) throw new Error(`${trace.core.columns.used} rows are still taken`);
  return events;
}

const reader: OpenReader = (from, sink) => new PcapngReader(from, sink);

test("mutated captures, through reader, decoder and joiner", (t) => {
  t.timeout(soak ? 7_200_000 : 60_000);
  const next = random(seed);
  t.log(`seed ${seed}`);
  let source = material(seed);
  let events = 0;
  for (let count = 0; count < captures; count++) {
    if (count % 50 === 0) source = material(seed + count);
    const [streams, open] = next() < 0.5 ? ([source.pcap, undefined] as const) : ([source.pcapng, reader] as const);
    const victim = Math.floor(next() * streams.length);
    events += run(
      source,
      streams.map((bytes, hop) => (hop === victim || next() < 0.2 ? mutated(bytes, next) : bytes)),
      open,
    );
  }
  t.true(events > captures);
});

test("captures that end at any byte", (t) => {
  const source = material(seed);
  for (const [streams, open] of [[source.pcap, undefined] as const, [source.pcapng, reader] as const]) {
    const [first] = streams;
    const step = soak ? 1 : 31;
    for (let end = 0; end <= first!.length; end += step)
      run(source, [first!.subarray(0, end), ...streams.slice(1)], open);
  }
  t.pass();
});

test("mutated saved traces: each file of one, damaged or cut off", async (t) => {
  t.timeout(soak ? 7_200_000 : 60_000);
  const place = mkdtempSync(path.join(tmpdir(), "yapc-net-hostile-"));
  t.teardown(() => rmSync(place, { recursive: true }));
  const shipped = path.resolve(import.meta.dirname, "../../../captures/request.trace");
  const folder = path.join(place, "request.trace");
  cpSync(shipped, folder, { recursive: true });
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter((name) =>
    statSync(path.join(folder, name)).isFile(),
  );
  const next = random(seed);
  let shown = 0;
  for (let count = 0; count < saved; count++) {
    const name = pick(next, files);
    const whole = readFileSync(path.join(shipped, name));
    writeFileSync(path.join(folder, name), mutated(whole, next));
    try {
      await replay({ path: folder, onEvent: () => shown++, onWarning: () => undefined });
    } catch (error) {
      if (!(error instanceof Failure)) throw new Error(`${name}: ${String(error)}`, { cause: error });
    }
    writeFileSync(path.join(folder, name), whole);
  }
  t.true(shown > saved);
});
