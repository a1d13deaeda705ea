/** Saved traces: what is written is what is read, and what is none is refused. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { RecordBytes } from "../../src/capture/record-bytes.js";
import { readRecording, RecordingWriter, type RecordingHeader } from "../../src/capture/recording.js";
import { Failure } from "../../src/model/failure.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { dockerBridge } from "../path/docker-bridge.js";

const header: RecordingHeader = {
  version: 1,
  lab: "docker-bridge",
  epoch: "1700000000000000000",
  hops: [
    { node: "client", interface: "eth0", index: 2, kind: "veth" },
    { node: "host", interface: "eth0/7", index: 3, kind: "veth" },
  ],
  filter: { ports: [80], hosts: [], protocols: [] },
  count: 3,
};

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(os.tmpdir(), "yapc-net-recording-"));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

test("what is saved is read again; the captures are what tcpdump wrote", (t) => {
  const name = path.join(folder(t), "web.trace");
  const writer = new RecordingWriter(name, header, dockerBridge);
  writer.bytes(0, Uint8Array.from([1, 2]));
  writer.bytes(1, Uint8Array.from([9]));
  writer.bytes(0, Uint8Array.from([3]));
  writer.log({ at: 0, tick: 5 });
  writer.log({ at: 2, end: true });
  writer.close();
  const { captures, ...read } = readRecording(name);
  t.deepEqual(read, {
    folder: name,
    header,
    snapshot: dockerBridge,
    log: [
      { at: 0, tick: 5 },
      { at: 2, end: true },
    ],
  });
  t.deepEqual(
    captures.map((file) => [path.basename(file), [...readFileSync(file)]]),
    [
      ["0-client_eth0.pcap", [1, 2, 3]],
      ["1-host_eth0_7.pcap", [9]],
    ],
    "an interface may have a slash in its name, a file may not",
  );
});

test("an older trace of the name is replaced, anything else is left alone", (t) => {
  const place = folder(t);
  const name = path.join(place, "web.trace");
  new RecordingWriter(name, header, dockerBridge).close();
  writeFileSync(path.join(name, "left over"), "");
  new RecordingWriter(name, header, dockerBridge).close();
  t.false(existsSync(path.join(name, "left over")));

  const home = path.join(place, "home");
  mkdirSync(home);
  writeFileSync(path.join(home, "precious"), "");
  const error = t.throws(() => new RecordingWriter(home, header, dockerBridge), { instanceOf: Failure });
  t.like(error, { kind: "usage", message: `${home} exists and is not a saved trace` });
  t.true(existsSync(path.join(home, "precious")));
});

test("what is no saved trace says what it lacks", (t) => {
  const place = folder(t);
  t.like(
    t.throws(() => readRecording(place), { instanceOf: Failure }),
    {
      kind: "usage",
      message: `${place} is not a saved trace: it has no readable trace.json`,
    },
  );
  const name = path.join(place, "web.trace");
  new RecordingWriter(name, header, dockerBridge).close();
  writeFileSync(path.join(name, "log.jsonl"), '{"at":0,"tick":5}\n{"at":1,"ti');
  t.deepEqual(
    readRecording(name).log,
    [{ at: 0, tick: 5 }],
    "what was being written when it was killed does not count",
  );
  writeFileSync(path.join(name, "log.jsonl"), '{"at":0,"tick":5}\n{"at":1,"ti\n{"at":2,"tick":7}\n');
  t.regex(t.throws(() => readRecording(name)).message, /log\.jsonl, line 2 is not JSON$/);
  writeFileSync(path.join(name, "trace.json"), JSON.stringify({ ...header, version: 2 }));
  t.regex(t.throws(() => readRecording(name)).message, /version 2; this program reads version 1$/);
});

test("records are found in a capture while it grows", (t) => {
  const file = path.join(folder(t), "growing.pcap");
  using records = new RecordBytes(file);
  t.is(records.bytes(0), undefined, "not there yet");
  const frames = [Uint8Array.from([1, 2, 3]), Uint8Array.from([4]), Uint8Array.from([5, 6])];
  const whole = Buffer.concat([pcapHeader(1), ...frames.map((frame) => pcapRecord(1_000_000_000n, frame))]);
  for (let size = 0; size <= whole.length; size += 1) {
    writeFileSync(file, whole.subarray(0, size));
    const there = [0, 1, 2].map((record) => records.bytes(record));
    for (const [record, bytes] of there.entries()) if (bytes !== undefined) t.deepEqual(bytes, frames[record]);
    t.is(
      there.filter((bytes) => bytes !== undefined).length,
      frames.filter((_, record) => size >= endOf(record)).length,
    );
  }
  t.deepEqual([records.bytes(2), records.bytes(0)], [frames[2], frames[0]], "in any order");
  t.is(records.linkType, 1);

  function endOf(record: number): number {
    return 24 + frames.slice(0, record + 1).reduce((sum, frame) => sum + 16 + frame.length, 0);
  }
});
