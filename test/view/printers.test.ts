import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { Failure } from "../../src/model/failure.js";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import {
  explainPacket,
  failureJson,
  inkFor,
  inspectLines,
  labLines,
  openPrinter,
  planLines,
  printFailure,
  traceFormats,
  wantsColours,
  type TraceFormat,
} from "../../src/view/index.js";
import { PacketRing } from "../../src/view/packet-ring.js";
import { microseconds } from "../../src/view/quantity.js";
import { displayWidth, visible, visibleDeep } from "../../src/view/width.js";
import { bridged, events, exchangeOne, exchangeTwo, lost, started, withLog } from "./fixture.js";
import { golden } from "./golden.js";
import { snapshot } from "./snapshot-fixture.js";

async function print(
  format: TraceFormat,
  list: readonly TraceEvent[],
  columns = 100,
  colours = false,
): Promise<string> {
  const printer = await openPrinter(format, { colours, columns });
  return list.map(printer).join("");
}

/* eslint-disable no-control-regex -- escape sequences are what these tests look for */
const stripInk = (text: string): string => text.replace(/\u001b\[\d+m/g, "");

for (const format of traceFormats) {
  test(`${format} of the docker-bridge trace`, async (t) => {
    golden(t, format, await print(format, withLog));
  });
}

test("the table keeps to its columns, and paths stay on one line where there is room", async (t) => {
  for (const columns of [80, 100, 130]) {
    const tooWide = (await print("table", events, columns))
      .split("\n")
      .filter((line) => /^[│┌└]/.test(line) && displayWidth(line) > columns);
    t.deepEqual(tooWide, []);
  }
  const sighting = { ...lost.sightings[0]!, hop: `${"long-name-".repeat(9)}:eth0` };
  const cutNowhere = await print("table", [started, { ...lost, sightings: [sighting] }, events.at(-1)!], 80);
  t.notRegex(cutNowhere, /…/);
  const wide = await print("table", events, 160);
  t.regex(wide, /client:eth0 \+3\.0 host:eth0 \+4\.1 DNAT host:yapc0 \+1\.9 host:vethweb \+1\.8 web:eth0/);
});

test("the summary is what stands below the table, of the packets that were not delivered alone", async (t) => {
  const asked = withLog.filter((event) => event.type !== "packet" || event.verdict.kind !== "delivered");
  const table = await print("table", withLog);
  t.is(await print("summary", asked), table.slice(table.indexOf("\n\n", table.indexOf("└")) + 2));
});

test("colours change no character and no alignment", async (t) => {
  const plain = await print("table", events);
  const coloured = await print("table", events, 100, true);
  t.not(coloured, plain);
  t.is(stripInk(coloured), plain);
});

test("a long table is streamed after its first rows, with the same columns", async (t) => {
  const template = exchangeOne[3];
  if (template === undefined) throw new Error("the fixture has changed");
  const printer = await openPrinter("table", { colours: false, columns: 100 });
  printer(started);
  const written: string[] = [];
  for (let id = 1; id <= 1200; id += 1) written.push(printer({ ...template, id, time: id * 1_000_000 }));
  t.is(
    written.findIndex((text) => text !== ""),
    499,
    "nothing is written before the columns are known",
  );
  t.true(
    written.slice(500).every((text) => text.includes("client:eth0")),
    "then every row at once",
  );
  const text = written.join("") + printer(events.at(-1)!);
  const box = text.split("\n").filter((line) => /^[│┌├└]/.test(line));
  t.deepEqual([...new Set(box.map(displayWidth))], [displayWidth(box[0] ?? "")]);
  t.regex(text, /│ +1200 │ +1200\.000 │/);
  t.deepEqual(
    [...text.matchAll(/^│ +(\d+) │/gm)].map((match) => Number(match[1])),
    Array.from({ length: 1200 }, (_, index) => index + 1),
  );
});

test("JSON Lines are the events without the provisional ones", async (t) => {
  const lines = (await print("jsonl", events)).trimEnd().split("\n");
  t.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    events.filter((event) => !(event.type === "packet" && event.provisional === true)),
  );
});

test("a packet explained: delivered through NAT, dropped, passed on by a bridge, unknown", (t) => {
  const packets = [exchangeOne[0], exchangeOne[6], exchangeTwo[0], bridged, lost];
  const text = packets.map((packet) => explainPacket(packet!).join("\n")).join("\n\n");
  golden(t, "explain-packet", `${text}\n`);
});

test("refused by the application's node; dropped inside a node; cause not known", (t) => {
  const base = exchangeTwo[0]!;
  const verdicts: PacketEvent["verdict"][] = [
    { kind: "refused", by: "web", reason: "RST, nothing listens on port 81" },
    {
      kind: "dropped",
      after: "host:eth0",
      cause: { code: "rp-filter", text: "reverse path filter of eth0", evidence: [] },
    },
    { kind: "dropped", after: "host:eth0", before: "host:yapc0" },
  ];
  t.deepEqual(
    verdicts.map((verdict) =>
      explainPacket({ ...base, verdict })
        .at(verdict.kind === "dropped" && verdict.before !== undefined ? -2 : -1)
        ?.trim(),
    ),
    [
      "↩ refused by web: RST, nothing listens on port 81",
      "✗ dropped after host:eth0, inside host: reverse path filter of eth0",
      "✗ dropped between host:eth0 and host:yapc0, cause not known",
    ],
  );
});

test("an escape sequence in a name or comment does not reach the terminal", async (t) => {
  const evil = "\u001b]0;owned\u0007\u202e";
  const packet: PacketEvent = { ...exchangeOne[0]!, summary: evil };
  for (const format of ["text", "table"] as const) {
    const text = await print(format, [{ ...started, lab: evil }, packet, events.at(-1)!]);
    t.notRegex(text, /[\u001b\u0007\u202e]/);
    t.true(text.includes(visible(evil).slice(0, 6)), format);
  }
  t.notRegex(explainPacket(packet).join(""), /[\u001b\u0007]/);
  t.notRegex(printFailure(new Failure("kernel", evil, { hint: evil })), /[\u001b\u0007]/);
});

test("names and titles of others, in the first rows and in those that follow: visible, and as wide as they are", async (t) => {
  const { sightings, ...rest } = exchangeOne[0]!;
  const name = (hop: string): string => hop.replace("host:", "東京\u001b[2J:");
  const list: TraceEvent[] = [
    { ...started, hops: started.hops.map((hop) => ({ ...hop, node: hop.node.replace("host", "東京\u001b[2J") })) },
  ];
  for (let id = 1; id <= 600; id += 1) {
    const own = id % 2 === 0 ? sightings : sightings.map((one) => ({ ...one, hop: name(one.hop) }));
    // A title may be the first of its kind on a way that is known.
    list.push({ ...rest, id, sightings: own, summary: id % 200 === 199 ? "\u0007 é\u202e" : "SYN" });
  }
  list.push(events.at(-1)!);
  for (const format of ["text", "table", "ladder"] as const) {
    const text = await print(format, list);
    t.is(text, await print(format, visibleDeep(list)), format);
    t.notRegex(text, /[\u001b\u0007\u202e]/);
    t.true(text.includes("東京\\x1b[2J") && text.includes("\\x07 é\\u202e"), format);
    const box = text.split("\n").filter((line) => /^[│┌├└] /.test(line));
    if (format === "table") t.deepEqual([...new Set(box.map(displayWidth))], [100]);
  }
});

test("times are written as toFixed writes them", (t) => {
  const times = [0, -0, 49, 50, 51, 99, 150, 250, 350, 949, 950, 999_949, 999_950, 1_000_050, 2 ** 53, 50.4, 0.1];
  const wrong = [...times, ...times.map((time) => -time), ...times].filter(
    (time) => microseconds(time) !== (time / 1e3).toFixed(1),
  );
  t.deepEqual(wrong, []);
});

test("inspect", (t) => {
  golden(t, "inspect", `${inspectLines(snapshot).join("\n")}\n`);
  t.deepEqual(
    inspectLines(snapshot, { nodes: ["web"] }).filter((line) => line.startsWith("client") || line.startsWith("host")),
    [],
  );
});

test("ls and a plan", (t) => {
  const now = Date.UTC(2026, 10, 23, 2, 0, 0);
  const lines = labLines(
    [
      {
        name: "docker-bridge",
        state: "running",
        nodes: 3,
        containers: 1,
        mode: "rootless",
        pid: 4211,
        startedAt: now - 185_000,
        file: "topologies/docker-bridge.json",
      },
      { name: "old", state: "broken", nodes: 12, containers: 0, mode: "sandbox" },
    ],
    now,
  );
  const plan = planLines([
    { text: "create node web with a container", reason: "new" },
    { text: "set mtu of host:vethweb to 1400", reason: "mtu 1500 -> 1400" },
  ]);
  golden(t, "listing", [...lines, "", ...plan, "", ...planLines([]), ...labLines([], now), ""].join("\n"));
});

test("failures: text and JSON", (t) => {
  const failure = new Failure("kernel", "cannot add 10.0.0.1/24 to host:yapc0 in lab docker-bridge: File exists", {
    code: "EEXIST",
    hint: "yapc-net inspect docker-bridge",
  });
  t.is(
    printFailure(failure),
    "error: cannot add 10.0.0.1/24 to host:yapc0 in lab docker-bridge: File exists (EEXIST)\nhint:  yapc-net inspect docker-bridge\n",
  );
  t.deepEqual(JSON.parse(failureJson(failure)), {
    error: { code: "EEXIST", message: failure.message, hint: "yapc-net inspect docker-bridge" },
  });
  t.regex(printFailure(new TypeError("x is not a function")), /^error: x is not a function\nhint: {2}this is a bug/);
  t.deepEqual(JSON.parse(failureJson(new Failure("usage", "no such lab"))), {
    error: { code: "USAGE", message: "no such lab" },
  });
});

test("colours only where they are wanted", (t) => {
  t.true(wantsColours({ TERM: "xterm" }, true));
  t.false(wantsColours({ TERM: "xterm" }, false));
  t.false(wantsColours({ TERM: "dumb" }, true));
  t.false(wantsColours({ NO_COLOR: "1", FORCE_COLOR: "1" }, true));
  t.true(wantsColours({ NO_COLOR: "", FORCE_COLOR: "1" }, false));
  t.is(inkFor(false)("bad", "x"), "x");
});

test("the ring replaces a provisional packet by its closed form and forgets the oldest beyond its limit", (t) => {
  const ring = new PacketRing(10);
  const template = exchangeOne[0]!;
  for (const id of [1, 2, 4, 3]) ring.put({ ...template, id, provisional: true });
  ring.put({ ...template, id: 2 });
  t.deepEqual(
    ring.packets.map(({ id, provisional = false }) => [id, provisional]),
    [
      [1, true],
      [2, false],
      [3, true],
      [4, true],
    ],
  );
  for (let id = 5; id <= 30; id += 1) ring.put({ ...template, id });
  t.deepEqual(
    ring.packets.map(({ id }) => id),
    Array.from({ length: 10 }, (_, index) => index + 21),
  );
  t.is(ring.forgotten, 20);
  ring.put({ ...template, id: 3 });
  t.is(ring.packets[0]?.id, 21, "a packet that was forgotten does not come back");
});

test("of very many exchanges those without an answer are listed, and all are counted", async (t) => {
  const template = events.find((event) => event.type === "exchange");
  if (template?.type !== "exchange") throw new Error("the fixture has changed");
  const many = Array.from({ length: 3000 }, (_, index): TraceEvent => {
    const id = index + 1;
    return { ...template, id, verdict: id === 7 || id === 2500 ? "unanswered" : "answered" };
  });
  const text = await print("table", [started, ...many, events.at(-1)!]);
  t.deepEqual(
    [...text.matchAll(/^ *(\d+) {2}tcp.* (\w+)$/gm)].map((match) => [match[1], match[2]]),
    [
      ["7", "unanswered"],
      ["2500", "unanswered"],
    ],
  );
  t.regex(text, /… and 2998 more/);
});

test("the text views load neither blessed nor cli-table3", (t) => {
  const index = new URL("../../src/view/index.js", import.meta.url).href;
  const script = `
    await import(${JSON.stringify(index)});
    const { createRequire } = await import("node:module");
    const cache = Object.keys(createRequire(${JSON.stringify(fileURLToPath(index))}).cache);
    console.log(cache.filter((path) => /blessed|cli-table3|koffi/.test(path)).length);`;
  t.is(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).trim(), "0");
});
