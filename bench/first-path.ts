/**
 * How soon a packet's path is on the screen: from the stamp of its last sighting until the line is read from the pipe (text),
 * or the row with all its hops stands on the terminal (TUI). docker-bridge, at the rates of a person: pings, requests.
 *
 * usage: node dist/bench/first-path.js [packets or requests of each run]        (root; curl, ping, script(1), tcpdump)
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { PacketEvent, TraceEvent } from "../src/model/trace.js";
import { median } from "./measure.js";
import { Screen } from "./screen.js";

const count = Number(process.argv[2] ?? 20);
const program = path.resolve(import.meta.dirname, "../../bin/yapc-net.js");
const lab = `first-path-${process.pid}`;
const folder = mkdtempSync(path.join(tmpdir(), "yapc-net-first-path-"));
const size = { rows: 60, columns: 150 } as const;
/** Milliseconds between two requests. */
const pause = 300;

/** Milliseconds since 1970, with fractions. */
const now = (): number => performance.timeOrigin + performance.now();

/** When each packet, by its number, was on the screen with so many hops. */
type Shown = Map<number, readonly { readonly hops: number; readonly at: number }[]>;

interface Viewer {
  readonly child: ChildProcess;
  readonly shown: Shown;
  /** Ends the trace. */
  readonly end: () => void;
}

type View = (flags: readonly string[]) => Viewer;

const text: View = (flags) => {
  const child = spawn(process.execPath, [program, "trace", ...flags, "-o", "text"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const shown: Shown = new Map();
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const at = now();
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const id = /^ *(\d+) +[\d.]+ +[→←]/.exec(line)?.[1];
      if (id !== undefined) shown.set(Number(id), [{ hops: Infinity, at }]);
    }
  });
  return { child, shown, end: () => void child.kill("SIGINT") };
};

/** script(1) gives it a terminal. */
const tui: View = (flags) => {
  const pid = path.join(folder, "pid");
  const command = [process.execPath, program, "trace", ...flags, "--tui"].map((word) => `'${word}'`).join(" ");
  const inside = `stty rows ${size.rows} cols ${size.columns}; echo $$ >${pid}; TERM=xterm-256color exec ${command}`;
  const child = spawn("script", ["-qfc", inside, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const shown: Shown = new Map();
  const screen = new Screen(size.rows, size.columns);
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const at = now();
    screen.write(chunk);
    for (const line of screen.lines()) {
      const [, id, dots = ""] = /^[▶ ][* ] *(\d+) +[\d.]+ +[→←].*? ([●·]+) /.exec(line) ?? [];
      const hops = dots.replaceAll("·", "").length;
      const before = shown.get(Number(id)) ?? [];
      if (id !== undefined && !before.some((one) => one.hops >= hops)) shown.set(Number(id), [...before, { hops, at }]);
    }
  });
  return { child, shown, end: () => void process.kill(Number(readFileSync(pid, "utf8")), "SIGINT") };
};

const inClient = (...command: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn("ip", ["netns", "exec", `${lab}-client`, ...command], { stdio: "ignore" });
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command.join(" ")}: ${code}`))));
  });

async function requests(): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    await inClient("curl", "-s", "http://203.0.113.1:8080/");
    await delay(pause);
  }
}

const traffic = [
  ["pings, 5 a second", ["--proto", "icmp"], () => inClient("ping", "-c", String(count), "-i", "0.2", "203.0.113.1")],
  ["requests, 3 a second", ["--port", "80"], requests],
] as const;

/** Milliseconds from the last sighting of each packet until it was shown with all of its hops. */
function lags(events: readonly TraceEvent[], shown: Shown, which: (packet: PacketEvent) => boolean): number[] {
  const [started] = events;
  const epoch = started?.type === "trace" ? BigInt(started.epoch) : 0n;
  return events.flatMap((event) => {
    if (event.type !== "packet" || !which(event)) return [];
    const hops = new Set(event.sightings.map(({ hop }) => hop)).size;
    const found = shown.get(event.id)?.find((one) => one.hops >= hops);
    const last = Math.max(...event.sightings.map(({ time }) => time));
    return found === undefined ? [] : [found.at - (Number(epoch / 1_000n) / 1e3 + last / 1e6)];
  });
}

function line(what: string, all: readonly number[], packets: number): void {
  const sorted = all.toSorted((a, b) => a - b);
  const p99 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? NaN;
  const figures = [median(all), p99, sorted.at(-1) ?? NaN].map((each) => each.toFixed(0).padStart(4)).join(" ");
  console.log(`  ${what.padEnd(44)} ${figures} ms   ${all.length} of ${packets} packets`);
}

async function measure(view: View, name: string): Promise<void> {
  for (const [what, flags, act] of traffic) {
    const file = path.join(folder, "trace.jsonl");
    const { child, shown, end } = view(["--lab", lab, ...flags, "-o", `jsonl=${file}`]);
    const ended = new Promise((resolve) => child.once("close", resolve));
    // Taps that listen show a first packet; those of the run come after it.
    while (shown.size === 0) {
      await inClient("ping", "-c", "1", "203.0.113.1");
      if (flags[0] === "--port") await inClient("curl", "-s", "http://203.0.113.1:8080/");
      await delay(200);
    }
    await delay(500);
    const first = Math.max(...shown.keys());
    await act();
    await delay(1000);
    const seen = new Map(shown);
    end();
    await ended;
    const events = readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((each) => JSON.parse(each) as TraceEvent); // as `trace` writes them
    const packets = events.filter((event): event is PacketEvent => event.type === "packet" && event.id > first);
    line(
      `${name}: ${what}`,
      lags(events, seen, ({ id }) => id > first),
      packets.length,
    );
    if (flags[0] !== "--port") continue;
    const lasts = new Set(packets.map(({ exchange }) => packets.findLast((one) => one.exchange === exchange)?.id ?? 0));
    line(
      "  last packet of each",
      lags(events, seen, ({ id }) => lasts.has(id)),
      lasts.size,
    );
    const syns = packets.filter(({ summary }) => summary === "SYN");
    line(
      "  SYNs",
      lags(events, seen, ({ id, summary }) => id > first && summary === "SYN"),
      syns.length,
    );
  }
}

execFileSync(process.execPath, [program, "up", "docker-bridge", "--name", lab], { stdio: "ignore" });
try {
  console.log(`  ${"from the last hop to the screen".padEnd(44)} half  p99 most`);
  await measure(text, "text");
  await measure(tui, "TUI");
} finally {
  execFileSync(process.execPath, [program, "down", lab], { stdio: "ignore" });
  rmSync(folder, { recursive: true });
}
