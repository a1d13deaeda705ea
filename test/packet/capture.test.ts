import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { CaptureError } from "../../src/packet/error.js";
import { readerFor } from "../../src/packet/open.js";
import { PcapParserReader } from "../../src/packet/pcap-parser-reader.js";
import { type CaptureReader, pcapHeader, PcapReader, pcapRecord, type RecordSink } from "../../src/packet/pcap.js";
import { pcapngHeader, pcapngPacket, PcapngReader } from "../../src/packet/pcapng.js";
import { icmpError, ip, tcp, udp } from "../trace/frames.js";
import { skip } from "../tools.js";

const epoch = 1_700_000_000_123_456_789n;
const fuzzRuns = process.env.YAPC_NET_SOAK ? 200_000 : 2_000;

interface Row {
  time: number;
  bytes: number[];
  length: number;
  link: number;
}

interface Reading {
  rows: Row[];
  error: { code: string; offset: number } | undefined;
}

type Open = (epoch: bigint, sink: RecordSink) => CaptureReader;

/** Reads a capture in chunks of the given sizes, again and again. */
function read(open: Open, capture: Uint8Array, sizes: readonly number[]): Reading {
  const rows: Row[] = [];
  const reader = open(epoch, (time, bytes, offset, captured, length, link) =>
    rows.push({ time, bytes: [...bytes.subarray(offset, offset + captured)], length, link }),
  );
  try {
    for (let at = 0, turn = 0; at < capture.length; turn++) {
      const size = sizes[turn % sizes.length]!;
      reader.push(capture.subarray(at, at + size));
      at += size;
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    return { rows, error: { code: error.code ?? "", offset: error.offset } };
  }
  return { rows, error: undefined };
}

const pcap: Open = (zero, sink) => new PcapReader(zero, sink);
const pcapng: Open = (zero, sink) => new PcapngReader(zero, sink);
const witness: Open = (zero, sink) => new PcapParserReader(zero, sink);

/** A pcap file in either byte order and resolution. */
function file(
  records: readonly { seconds: number; fraction: number; bytes: Uint8Array; extra: number }[],
  little: boolean,
  nanoseconds: boolean,
): Uint8Array {
  const length = records.reduce((sum, one) => sum + 16 + one.bytes.length, 24);
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, little);
  view.setUint16(4, 2, little);
  view.setUint16(6, 4, little);
  view.setUint32(16, 65_535, little);
  view.setUint32(20, 1, little);
  let at = 24;
  for (const one of records) {
    view.setUint32(at, one.seconds, little);
    view.setUint32(at + 4, one.fraction, little);
    view.setUint32(at + 8, one.bytes.length, little);
    view.setUint32(at + 12, one.bytes.length + one.extra, little);
    new Uint8Array(view.buffer).set(one.bytes, at + 16);
    at += 16 + one.bytes.length;
  }
  return new Uint8Array(view.buffer);
}

const records = fc.array(
  fc.record({
    seconds: fc.integer({ min: 1_699_999_990, max: 1_700_000_100 }),
    fraction: fc.integer({ min: 0, max: 999_999 }),
    bytes: fc.uint8Array({ maxLength: 90 }),
    extra: fc.integer({ min: 0, max: 2000 }),
  }),
  { maxLength: 12 },
);
const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 5 });

test("pcap: any byte order, resolution and chunking gives the records that were written", (t) => {
  fc.assert(
    fc.property(records, fc.boolean(), fc.boolean(), sizes, (list, little, nanoseconds, chunks) => {
      const { rows, error } = read(pcap, file(list, little, nanoseconds), chunks);
      strictEqual(error, undefined);
      deepStrictEqual(
        rows,
        list.map((one) => ({
          time: Number(
            BigInt(one.seconds) * 1_000_000_000n + BigInt(one.fraction) * (nanoseconds ? 1n : 1000n) - epoch,
          ),
          bytes: [...one.bytes],
          length: one.bytes.length + one.extra,
          link: 0,
        })),
      );
    }),
  );
  t.pass();
});

test("pcap-parser reads the same from microsecond files, and where they are damaged fails at the same record", (t) => {
  fc.assert(
    fc.property(records, fc.boolean(), sizes, fc.nat(400), (list, little, chunks, cut) => {
      const whole = file(list, little, false);
      const part = whole.subarray(0, Math.max(0, whole.length - cut));
      const ours = read(pcap, part, chunks);
      const theirs = read(witness, part, chunks);
      deepStrictEqual(theirs.rows, ours.rows);
      strictEqual(theirs.error?.code, ours.error?.code);
    }),
  );
  t.pass();
});

test("errors name the byte", (t) => {
  const good = file([{ seconds: 1, fraction: 0, bytes: new Uint8Array(10), extra: 0 }], true, true);
  const check = (capture: Uint8Array, code: string, offset: number): void => {
    for (const size of [1, 7, 1000]) t.deepEqual(read(pcap, capture, [size]).error, { code, offset });
  };
  check(new Uint8Array(0), "EMPTY", 0);
  check(good.subarray(0, 20), "TRUNCATED", 20);
  check(good.subarray(0, 45), "TRUNCATED", 45);
  check(Uint8Array.from([1, 2, 3, 4, ...good.subarray(4)]), "NOT_PCAP", 0);
  const corrupt = Uint8Array.from(good);
  corrupt.set([255, 255, 255, 127], 24 + 8);
  check(corrupt, "CORRUPT", 24);
  const version = Uint8Array.from(good);
  version[4] = 3;
  check(version, "NOT_PCAP", 4);
});

test("a corrupt length stops pcap-parser too, instead of swallowing the rest", (t) => {
  const corrupt = file([{ seconds: 1, fraction: 0, bytes: new Uint8Array(10), extra: 0 }], true, false);
  corrupt.set([255, 255, 255, 127], 24 + 8);
  t.is(read(witness, corrupt, [1000]).error?.code, "CORRUPT");
});

test("the reader is chosen by the first bytes", async (t) => {
  const name = async (first: Uint8Array): Promise<string> =>
    (await readerFor(first))(0n, () => undefined).constructor.name;
  t.is(await name(pcapHeader(1)), "PcapReader");
  t.is(await name(file([], true, false)), "PcapParserReader");
  t.is(await name(file([], false, false)), "PcapParserReader");
  t.is(await name(pcapngHeader([])), "PcapngReader");
  await t.throwsAsync(readerFor(Uint8Array.from([80, 75, 3, 4])), { instanceOf: CaptureError, code: "NOT_PCAP" });
});

const interfaces = [
  { name: "client:eth0", linkType: 1 },
  { name: "host:eth0", linkType: 1, description: "behind NAT" },
];

test("pcapng: what is written is read back, in chunks of any size", (t) => {
  const packet = fc.record({
    interface: fc.integer({ min: 0, max: 1 }),
    offset: fc.bigInt({ min: -1_000_000_000n, max: 10_000_000_000n }),
    bytes: fc.uint8Array({ maxLength: 90 }),
    packetId: fc.integer({ min: 1, max: 2 ** 40 }),
    comment: fc.string({ maxLength: 20 }),
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 10 }), sizes, (packets, chunks) => {
      const capture = Uint8Array.from([
        ...pcapngHeader(interfaces, "a trace"),
        ...packets.flatMap((one) => [...pcapngPacket({ ...one, time: epoch + one.offset })]),
      ]);
      const { rows, error } = read(pcapng, capture, chunks);
      strictEqual(error, undefined);
      deepStrictEqual(
        rows,
        packets.map((one) => ({
          time: Number(one.offset),
          bytes: [...one.bytes],
          length: one.bytes.length,
          link: one.interface,
        })),
      );
    }),
  );
  t.pass();
});

test("tshark reads the pcapng: interface names, nanoseconds, packet ids, comments", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "yapc-net-pcapng-"));
  try {
    const frame = tcp({ source: "10.0.0.1", destination: "10.0.0.2", sourcePort: 1, destinationPort: 2 });
    const path = join(folder, "trace.pcapng");
    writeFileSync(
      path,
      Uint8Array.from([
        ...pcapngHeader(interfaces),
        ...pcapngPacket({ interface: 0, time: epoch, bytes: frame, packetId: 7, comment: "dnat" }),
        ...pcapngPacket({ interface: 1, time: epoch + 1n, bytes: frame, packetId: 7 }),
        ...pcapngPacket({ interface: 1, time: epoch + 2n, bytes: frame, packetId: 8 }),
      ]),
    );
    const fields = ["frame.interface_name", "frame.time_epoch", "frame.comment"].flatMap((name) => ["-e", name]);
    const run = spawnSync("tshark", ["-n", "-r", path, "-Y", "frame.packet_id==7", "-T", "fields", ...fields], {
      encoding: "utf8",
    });
    if (run.error) {
      skip(t, "needs tshark");
      return;
    }
    t.deepEqual(
      run.stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split("\t")),
      [
        ["client:eth0", "1700000000.123456789", "dnat"],
        ["host:eth0", "1700000000.123456790", ""],
      ],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("tcpdump reads the plain pcap that is written", (t) => {
  const frame = udp({ source: "10.0.0.1", destination: "10.0.0.2", sourcePort: 1000, destinationPort: 53 });
  const capture = Buffer.concat([pcapHeader(1), pcapRecord(epoch, frame)]);
  const run = spawnSync("tcpdump", ["-nn", "-tt", "--time-stamp-precision=nano", "-r", "-"], {
    input: capture,
    encoding: "utf8",
  });
  if (run.error) {
    skip(t, "needs tcpdump");
    return;
  }
  t.regex(run.stdout, /^1700000000\.123456789 IP 10\.0\.0\.1\.1000 > 10\.0\.0\.2\.53/);
});

test("damaged captures give records and an error, never anything else", (t) => {
  const inner = ip({ source: "10.0.0.1", destination: "10.0.0.2" }, 17, new Uint8Array(8));
  const frame = icmpError({ source: "10.0.0.9", destination: "10.0.0.1" }, 3, 3, inner);
  const seeds: readonly (readonly [Open, Uint8Array])[] = [
    [pcap, file([{ seconds: 1, fraction: 2, bytes: frame, extra: 0 }], true, true)],
    [witness, file([{ seconds: 1, fraction: 2, bytes: frame, extra: 0 }], true, false)],
    [
      pcapng,
      Uint8Array.from([
        ...pcapngHeader(interfaces),
        ...pcapngPacket({ interface: 0, time: 5n, bytes: frame, packetId: 1, comment: "x" }),
      ]),
    ],
  ];
  const edits = fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, fc.nat(300), sizes, ([open, capture], changes, cut, chunks) => {
      const broken = Uint8Array.from(capture);
      for (const [at, value] of changes) broken[at % broken.length] = value;
      const result = read(open, broken.subarray(0, broken.length - (cut % broken.length)), chunks);
      ok(result.rows.length <= 2);
    }),
    { numRuns: fuzzRuns, seed: 20261123 },
  );
  t.pass();
});
