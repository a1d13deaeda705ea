/** Logs of containers: those that init keeps, and those that an engine sends. */
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { followLogs } from "../../src/capture/container-log.js";
import { EngineLogReader, followEngineLog } from "../../src/capture/engine-log.js";
import { type LogLine, stampOf } from "../../src/capture/log-line.js";
import { until } from "../e2e/cli.js";

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(os.tmpdir(), "yapc-net-log-"));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

test("a stamp is read to the nanosecond", (t) => {
  t.is(stampOf("1970-01-01T00:00:01Z"), 1_000_000_000n);
  t.is(stampOf("2026-11-23T05:41:07.608268155Z"), 1_795_412_467_608_268_155n);
  // An engine leaves out zeros at the end.
  t.is(stampOf("2026-11-23T05:41:07.6Z"), 1_795_412_467_600_000_000n);
  for (const text of ["", "now", "2026-11-23 05:41:07Z", "2026-99-23T05:41:07Z"]) t.is(stampOf(text), undefined, text);
});

test("lines that come are told, those that stood there are not, a log that begins anew is followed", async (t) => {
  const place = folder(t);
  const file = path.join(place, "web.log");
  writeFileSync(file, "1970-01-01T00:00:00Z stdout old\n");
  const told: string[] = [];
  using follower = followLogs(place, ["web.log", "db.log"], (name, { stream, text }) =>
    told.push(`${name} ${stream} ${text}`),
  );
  appendFileSync(file, "1970-01-01T00:00:01Z stderr with spaces  in it\n1970-01-01T00:00:02Z stdout ha");
  t.true(await until(() => told.length === 1), "without being asked");
  appendFileSync(file, "lf\n1970-01-01T00:00:03Z stdout last\n");
  renameSync(file, `${file}.1`);
  writeFileSync(file, "1970-01-01T00:00:04Z stdout first\n");
  writeFileSync(path.join(place, "db.log"), "1970-01-01T00:00:05Z stdout later\n");
  follower.flush();
  t.deepEqual(told.toSorted(), [
    "db.log stdout later",
    "web.log stderr with spaces  in it",
    "web.log stdout first",
    "web.log stdout half",
    "web.log stdout last",
  ]);
});

const frame = (stream: number, text: string): Buffer => {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};

test("what an engine sends is read however it is cut", (t) => {
  const sent = Buffer.concat([
    frame(1, "2026-11-29T20:00:00.5Z GET / 200\n"),
    frame(2, "2026-11-29T20:00:01Z grün "),
    frame(1, "2026-11-29T20:00:02Z\n2026-11-29T20:00:03Z  two\n"),
    frame(2, "ist es\n"),
  ]);
  const expected: LogLine[] = [
    { time: "2026-11-29T20:00:00.5Z", stream: "stdout", text: "GET / 200" },
    { time: "2026-11-29T20:00:03Z", stream: "stdout", text: " two" },
    { time: "2026-11-29T20:00:01Z", stream: "stderr", text: "grün ist es" },
  ];
  for (const size of [1, 3, 7, 64, sent.length]) {
    const lines: LogLine[] = [];
    const reader = new EngineLogReader((line) => lines.push(line));
    for (let at = 0; at < sent.length; at += size) reader.push(sent.subarray(at, at + size));
    t.deepEqual(lines, expected, `in pieces of ${size}`);
  }
  const lines: LogLine[] = [];
  new EngineLogReader((line) => lines.push(line)).push(Buffer.from("2026-11-29T20:00:00Z of a terminal\r\n"));
  t.deepEqual(lines, [{ time: "2026-11-29T20:00:00Z", stream: "stdout", text: "of a terminal" }]);
});

test("an engine is asked for what comes from the epoch on; one that cannot tell is a warning, one that is not there is none", async (t) => {
  const socket = path.join(folder(t), "engine.sock");
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url ?? "");
    if (request.url?.startsWith("/containers/silent/") === true) response.writeHead(501).end();
    else if (request.url?.startsWith("/containers/web/") === true)
      response.write(frame(1, "2026-11-29T20:00:00Z hello\n"));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  const said: string[] = [];
  const followers = ["web", "silent", "nobody"].map((container) =>
    followEngineLog({
      sockets: [`${socket}.gone`, socket],
      container,
      since: 1_795_982_501_000_000_007n,
      onLine: ({ text }) => said.push(`${container}: ${text}`),
      onFailure: (reason) => said.push(`${container} failed: ${reason}`),
    }),
  );
  t.true(await until(() => said.length === 2 && asked.length === 3));
  for (const follower of followers) follower[Symbol.dispose]();
  t.deepEqual(said.toSorted(), ["silent failed: HTTP status 501", "web: hello"]);
  t.true(
    asked.every((url) => url.endsWith("/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=1795982501.000000007")),
  );
});
