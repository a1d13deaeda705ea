/** The TUI without a terminal: the filter language, and frames as values. */
import { fail, strictEqual } from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { noInk, tuiInk } from "../../src/view/ink.js";
import { traceFormats } from "../../src/view/index.js";
import { keywords, parseFilter } from "../../src/view/tui/filter.js";
import { frame, smallest } from "../../src/view/tui/frame.js";
import { actionFor, bindings } from "../../src/view/tui/keys.js";
import { TuiState } from "../../src/view/tui/state.js";
import { displayWidth, sliceCells, withoutInk } from "../../src/view/width.js";
import { arp, bridged, events, exchangeOne, exchangeTwo, lost } from "./fixture.js";
import { golden } from "./golden.js";

const packets = [arp, ...exchangeOne, ...exchangeTwo, lost];

function ids(filter: string): number[] | string {
  const parsed = parseFilter(filter);
  return parsed.ok ? packets.filter(parsed.test).map(({ id }) => id) : parsed.error;
}

test("the filter language", (t) => {
  t.deepEqual(
    ids(""),
    packets.map(({ id }) => id),
  );
  t.deepEqual(ids("port 80"), [2, 3, 4, 5, 6, 7, 8, 9, 10, 14], "whichever side of NAT a sighting is on");
  t.deepEqual(ids("port 8080"), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  t.deepEqual(ids("host web syn"), [2, 3]);
  t.deepEqual(ids("host 10.0.0.1"), [1]);
  t.deepEqual(ids("hop host:yapc0 fin"), [8, 9]);
  t.deepEqual(ids("verdict dropped"), [11, 12, 13]);
  t.deepEqual(ids("verdict dropped or proto arp"), [1, 11, 12, 13]);
  t.deepEqual(ids("not verdict delivered not proto udp"), [11, 12, 13]);
  t.deepEqual(ids("exchange 2 and syn"), [11, 12, 13]);
  t.deepEqual(ids("handle or who-has"), [1, 11, 12, 13]);
});

test("the filter says what is wrong", (t) => {
  t.is(ids("port"), "port needs NUMBER");
  t.is(ids("port http"), "'http' is not a port");
  t.is(ids("port 70000"), "'70000' is not a port");
  t.is(ids("verdict gone"), "a verdict is delivered, refused, dropped or unknown");
  t.is(ids("hop web"), "'web' is not NODE:INTERFACE");
  t.is(ids("or syn"), "'or' joins two conditions");
  t.is(ids("syn or"), "'or' needs a condition after it");
  t.is(ids("not"), "'not' needs a condition after it");
});

test("no key has two meanings", (t) => {
  const keys = bindings.flatMap((binding) => binding.keys);
  t.is(new Set(keys).size, keys.length);
  t.is(actionFor("j"), "down");
  t.is(actionFor("G"), "last");
});

function saved(): TuiState {
  const state = new TuiState({ title: "view docker-bridge.trace", live: false, canExport: true });
  state.finished = "";
  for (const event of events) state.push(event);
  return state;
}

test("what is still on its way when the trace ends is no packet of it, held still or not", (t) => {
  for (const paused of [false, true]) {
    const state = new TuiState({ title: "trace", live: true, canExport: false });
    const [started, ...others] = events;
    state.push(started!);
    state.push(arp);
    if (paused) state.list.togglePause();
    for (const packet of exchangeOne) state.push({ ...packet, provisional: true });
    t.is(state.list.all.length, 1 + exchangeOne.length);
    state.push(others.find(({ type }) => type === "end")!);
    t.deepEqual([state.list.all, state.list.shown], [[arp], [arp]]);
    t.is(state.list.packet, arp);
  }
});

test("the summary keeps to the terminal: rows are cut, sentences go on below", (t) => {
  const state = saved();
  state.act("summary");
  const lines = frame(state, smallest.columns, 40, tuiInk(true)).map(withoutInk);
  t.true(lines.every((line) => displayWidth(line) === smallest.columns));
  const text = lines.map((line) => line.trim()).join(" ");
  t.regex(text, /dropped between host:eth0 and host:yapc0 by nft rule 'no 81' \(inet yapc_filter, forward, handle 7\)/);
  t.true(
    lines.some((line) => /^ +\d+ +tcp .*…$/.test(line)),
    "an exchange is wider than sixty cells",
  );
});

test("frames: the list, a death, the ladder, the smallest screen", (t) => {
  const state = saved();
  const frames = [];
  state.act("down");
  frames.push(frame(state, 100, 30, noInk));
  state.act("next-problem");
  frames.push(frame(state, 100, 24, noInk));
  state.act("ladder");
  frames.push(frame(state, 110, 24, noInk));
  state.act("back");
  frames.push(frame(state, smallest.columns, smallest.rows, noInk));
  golden(
    t,
    "tui-frames",
    `${frames.map((lines) => lines.map((line) => withoutInk(line).trimEnd()).join("\n")).join("\n\n\n")}\n`,
  );
});

test("a packet that a bridge passed on unseen has a broken box and no time of its own", (t) => {
  const state = saved();
  state.push({ ...bridged, id: 15 });
  state.act("last");
  const text = frame(state, 120, 30, noInk).map(withoutInk).join("\n");
  t.regex(text, /│ host:vetha │────▶┊ host:yapc0 ┊────────▶│ host:vethb │/);
  t.regex(text, /✓ delivered in 6\.9 µs, join ambiguous/);
});

test("whatever is pressed and arrives, a frame fills its screen exactly", (t) => {
  const step = fc.oneof(
    fc
      .constantFrom(...bindings.map(({ action }) => action))
      .map((action) => (state: TuiState) => void state.act(action)),
    fc.constantFrom(...events).map((event) => (state: TuiState) => state.push(event)),
    fc.constantFrom("port 80", "verdict dropped", "por", "日本語 \u001b[31m").map((text) => (state: TuiState) => {
      for (const key of ["/", ...Array.from(text)]) {
        if (state.prompt === undefined) state.act("filter");
        else state.type(key);
      }
    }),
    fc.constantFrom("enter", "escape", "backspace").map((key) => (state: TuiState) => void state.type(key)),
    fc.string({ unit: "binary" }).map((text) => (state: TuiState) => state.output.add(`${text}\n`)),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.integer({ min: 1, max: 160 }),
      fc.integer({ min: 1, max: 50 }),
      (steps, columns, rows) => {
        const state = new TuiState({ title: "日本 trace", live: true, canExport: true, limit: 8 });
        for (const act of steps) act(state);
        const lines = frame(state, columns, rows, tuiInk(true));
        strictEqual(lines.length, rows);
        for (const line of lines) {
          if (displayWidth(line) !== columns) strictEqual(displayWidth(line), columns, line);
          // eslint-disable-next-line no-control-regex -- only SGR sequences may be left
          if (/[\u0000-\u001a\u001c-\u001f\u007f]/.test(line)) fail(JSON.stringify(line));
        }
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});

test("a window of a line keeps its colours and its width", (t) => {
  const red = "\u001b[31m";
  const off = "\u001b[39m";
  t.is(sliceCells(`ab${red}cd${off}ef`, 1, 3), `b${red}cd${off}`);
  t.is(sliceCells(`${red}abc${off}`, 5, 2), `${red}${off}  `);
  t.is(sliceCells("日本", 1, 2), "  ", "half a wide character is a blank");
});

test("the guide lists every key and every keyword", (t) => {
  const guide = readFileSync(new URL("../../../docs/viewer.md", import.meta.url), "utf8").replace(/ +/g, " ");
  for (const { shown, help } of bindings) t.true(guide.includes(`| \`${shown}\` | ${help} |`), shown);
  for (const { name } of keywords) t.true(guide.includes(`\`${name} `), name);
  for (const format of traceFormats) t.true(guide.includes(`| \`${format}\` |`), format);
});

test("a capture that cannot be read costs its bytes, not the screen", (t) => {
  const source = {
    bytes: (): Uint8Array => {
      throw new Error("host-eth0.pcap ends in the middle of record 3");
    },
    describe: () => [],
  };
  const state = new TuiState({ title: "view", live: false, canExport: false, source });
  for (const event of events) state.push(event);
  const text = frame(state, 110, 30, noInk).join("\n");
  t.regex(text, /bytes not at hand: host-eth0\.pcap ends in the middle of record 3/);
  t.regex(text, /bytes on the wire: 42/);
});
