/** Captures that others made, as `view` opens them: one, several on one way, cut off, and as Wireshark's tools write them. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { hopName } from "../../src/model/hop.js";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { openCaptureFiles } from "../../src/session/capture-file.js";
import { flag, tcp } from "../trace/frames.js";
import { makeWorld, type World } from "../trace/world/index.js";
import { optionsOf } from "../trace/world/options.js";
import { epoch } from "../trace/world/run.js";

const world = makeWorld({
  ...optionsOf(7, 60),
  ...{ place: "chain", routers: ["plain", "both"], bridged: false, family: 4, flows: 2, delay: 0, jitter: 1000 },
  ...{ loss: 0.02, tapLoss: 0, duplicate: 0, segmentation: false, reuse: false, twins: false, large: 0, tagged: false },
});

function folder(t: ExecutionContext): string {
  const place = mkdtempSync(path.join(tmpdir(), "yapc-net-captures-"));
  t.teardown(() => rmSync(place, { recursive: true }));
  return place;
}

/** Writes the captures of some hops. @returns their paths */
function write(place: string, made: World, hops: readonly string[]): string[] {
  return hops.map((name) => {
    const capture = made.captures[made.hops.findIndex((hop) => hopName(hop) === name)] ?? [];
    const file = path.join(place, `${name.replace(":", ".")}.pcap`);
    const records = capture.map(({ time, frame }) => pcapRecord(epoch + BigInt(time), frame.bytes, frame.length));
    writeFileSync(file, Buffer.concat([pcapHeader(1), ...records]));
    return file;
  });
}

async function view(requests: Parameters<typeof openCaptureFiles>[0]): Promise<{
  readonly events: readonly TraceEvent[];
  readonly packets: readonly PacketEvent[];
  readonly warnings: readonly string[];
}> {
  const files = await openCaptureFiles(requests);
  const events: TraceEvent[] = [];
  await files.replay({ onEvent: (event) => events.push(event) });
  return { events, packets: events.filter((event) => event.type === "packet"), warnings: files.warnings };
}

const way = ["client:eth0", "r1:in", "server:eth0"];

test("a packet that was seen at every place has arrived: a long capture does not outgrow the window", async (t) => {
  const place = folder(t);
  const count = 100_000;
  const ends = { source: "10.0.0.1", destination: "10.0.9.9", sourcePort: 40_000, destinationPort: 80 };
  const frame = tcp({ ...ends, flags: flag.ack, payload: 100 });
  const header = new DataView(frame.buffer, frame.byteOffset);
  const files = ["a", "b", "c"].map((name, hop) => {
    const records = Array.from({ length: count }, (_, number) => {
      header.setUint16(18, (number % 65_535) + 1); // identification
      header.setUint8(22, 64 - hop);
      header.setUint32(38, number * 100); // sequence number
      return pcapRecord(epoch + BigInt(number * 10_000 + hop * 1000), frame);
    });
    const file = path.join(place, `${name}.pcap`);
    writeFileSync(file, Buffer.concat([pcapHeader(1), ...records]));
    return { path: file };
  });
  const { packets, events } = await view(files);
  t.is(packets.length, count);
  t.true(packets.every(({ verdict, sightings }) => verdict.kind === "delivered" && sightings.length === 3));
  t.like(events.at(-1), { evicted: 0 });
});

test("several captures are places on one way: packets are joined over them, through routers and NAT that nobody described", async (t) => {
  const files = write(folder(t), world, way);
  const names = ["client", "r1:in", "server:eth0"];
  const { packets, events } = await view(files.map((file, index) => ({ path: file, name: names[index]! })));
  const hops = ["client:capture", "r1:in", "server:eth0"];
  t.deepEqual(
    events.flatMap((event) => (event.type === "hop" ? event.hop : [])),
    hops,
  );
  let joined = 0;
  for (const packet of packets) {
    const truths = packet.sightings.map((one) => {
      const hop = way[hops.indexOf(one.hop)];
      return world.captures[world.hops.findIndex((each) => hopName(each) === hop)]![one.record]!.parcel.parts[0]!.truth;
    });
    t.is(new Set(truths).size, 1);
    t.is(packet.verdict.kind, packet.sightings.length === 3 ? "delivered" : "unknown");
    if (packet.sightings.length === 3) joined++;
  }
  t.true(joined > 50, `${joined} joined`);
  const told = packets.filter(({ verdict }) => verdict.kind === "delivered").length;
  const end = events.at(-1)!;
  t.is(end.type === "end" ? end.verdicts.delivered : -1, told);
  t.true(packets.some(({ rewrites }) => rewrites.some(({ kind }) => kind === "dnat")));
});

test("a capture that is cut off is shown up to there, with the byte; one without a record to show is an error", async (t) => {
  const place = folder(t);
  const [file = ""] = write(place, world, ["client:eth0"]);
  const whole = await view([{ path: file }]);
  const { readFileSync } = await import("node:fs");
  const bytes = readFileSync(file);
  const cut = path.join(place, "cut.pcap");
  writeFileSync(cut, bytes.subarray(0, 500));
  const { packets, warnings } = await view([{ path: cut }]);
  t.deepEqual(
    packets.map(({ summary }) => summary),
    whole.packets.slice(0, packets.length).map(({ summary }) => summary),
  );
  t.is(packets.length, 5);
  t.deepEqual(warnings, [`${cut}: the capture ends inside record 6 (at byte 500); the 5 records before it are shown`]);
  writeFileSync(cut, bytes.subarray(0, 20));
  await t.throwsAsync(view([{ path: cut }]), {
    message: /cut\.pcap: the capture ends inside its file header \(at byte 20\)/,
  });
});

test("what editcap and mergecap make of the captures is read the same", async (t) => {
  if (spawnSync("sh", ["-c", "command -v editcap && command -v mergecap"]).status !== 0) {
    t.log("SKIP editcap and mergecap are not installed");
    t.pass();
    return;
  }
  const place = folder(t);
  const files = write(place, world, way);
  const told = async (paths: readonly string[]): Promise<unknown[]> => {
    const { packets } = await view(paths.map((each) => ({ path: each })));
    return packets.map(({ summary, sightings, match }) => [summary, sightings.map(({ record }) => record), match]);
  };
  const expected = await told(files);
  for (const format of ["nsecpcap", "pcapng"]) {
    const others = files.map((file) => {
      const other = `${file}.${format}`;
      execFileSync("editcap", ["-F", format, file, other]);
      return other;
    });
    t.deepEqual(await told(others), expected, format);
  }
  // One file, an interface for each.
  const merged = path.join(place, "merged.pcapng");
  execFileSync("mergecap", ["-I", "none", "-w", merged, ...files]);
  const { packets } = await view([{ path: merged }]);
  t.deepEqual(
    packets.map(({ summary, sightings }) => [summary, sightings.length]),
    (expected as [string, number[], string][]).map(([summary, records]) => [summary, records.length]),
  );
});
