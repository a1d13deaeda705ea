/**
 * A tiny program for the TUI tests: opens the TUI on the fixture and says how it ended.
 *
 *   node tui-fixture.js saved            all events at once, as `view` does
 *   node tui-fixture.js live             the first half, the rest when SIGUSR2 comes
 *   node tui-fixture.js flood NUMBER     that many packets
 *   node tui-fixture.js crash            throws when SIGUSR2 comes
 */
import { writeFileSync } from "node:fs";
import type { TraceEvent } from "../../src/model/trace.js";
import type { PacketSource } from "../../src/view/index.js";
import { canRunTui, openTui } from "../../src/view/tui/index.js";
import { events, exchangeOne } from "./fixture.js";

const [mode = "saved", number = "1000"] = process.argv.slice(2);

/** An Ethernet frame with an IPv4 header, as far as the picture needs it. */
const frame = Uint8Array.from([
  0x02,
  0,
  0,
  0,
  0,
  0x01,
  0x02,
  0,
  0,
  0,
  0,
  0x02,
  0x08,
  0x00,
  0x45,
  0,
  0,
  0x3c,
  0x1c,
  0x46,
  0x40,
  0,
  0x40,
  6,
  0xb1,
  0xe6,
  203,
  0,
  113,
  2,
  203,
  0,
  113,
  1,
  0xa8,
  0xca,
  0x1f,
  0x90,
  ...Buffer.from("GET / HTTP/1.1"),
]);

const source: PacketSource = {
  bytes: () => frame,
  describe: () => [
    {
      label: "Ethernet II",
      range: [0, 14],
      fields: [
        { label: "destination", value: "02:00:00:00:00:01", range: [0, 6] },
        { label: "source", value: "02:00:00:00:00:02", range: [6, 12] },
      ],
    },
    { label: "Internet Protocol", range: [14, 34], fields: [{ label: "ttl", value: "64", range: [22, 23] }] },
  ],
};

const ability = canRunTui(process.env, process.stdout);
if (!ability.ok) {
  process.stderr.write(`no TUI: ${ability.reason}\n`);
  process.exit(3);
}

const tui = openTui({
  title: `${mode} docker-bridge, port 80`,
  source,
  live: mode !== "saved",
  onExport: (path, packets) => Promise.resolve(`wrote ${packets.length} packets to ${path}`),
});
const push = (list: readonly TraceEvent[]): void => list.forEach((event) => tui.push(event));

if (process.env.PID_FILE !== undefined) writeFileSync(process.env.PID_FILE, `${process.pid}`);
if (mode === "saved") push(events);
else if (mode === "crash") {
  process.on("SIGUSR2", () => {
    throw new Error("a bug, on purpose");
  });
} else if (mode === "live") {
  push(events.slice(0, 3));
  tui.output("stdout", "hello from ");
  process.on("SIGUSR2", () => {
    tui.output("stdout", "curl\n");
    push(events.slice(3));
    tui.finish("curl ended with status 0");
  });
} else {
  const [first] = events;
  const template = exchangeOne[0];
  if (first === undefined || template === undefined) throw new Error("the fixture has changed");
  tui.push(first);
  for (let id = 1; id <= Number(number); id += 1) tui.push({ ...template, id, time: id * 1_000_000 });
}

const end = await tui.closed;
process.stdout.write(tui.summary());
process.stdout.write(`ended by ${end}\n`);
process.exitCode = end === "quit" ? 0 : end === "interrupt" ? 130 : 143;
