/**
 * What a trace costs the traffic it watches: docker-bridge, five hops, traffic from client through NAT to web, untapped,
 * under plain tcpdumps that write to /dev/null, called as the taps of each mode are, and under `yapc-net trace` in each tap
 * mode, without a line a packet as the plain tools have none, and once with one. Everything in turn, several rounds, best of
 * each: other work on the machine only ever makes it worse.
 *
 * usage: node dist/bench/tap-cost.js [tcp|udp|half|all] [seconds of each run] [rounds]   (root; iperf3, tcpdump)
 *   tcp   one connection, saturated      udp   64 bytes, saturated      half   half of the untapped most, of each kind
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import path from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { anyInterface, tcpdumpArguments } from "../src/capture/tcpdump.js";
import { ringOf } from "../src/session/tap-set.js";

const part = process.argv[2] ?? "all";
const seconds = Number(process.argv[3] ?? 3);
const rounds = Number(process.argv[4] ?? 3);
/** That of `trace`. */
const snapshotLength = 262;
const program = path.resolve(import.meta.dirname, "../../bin/yapc-net.js");
const lab = `tap-cost-${process.pid}`;
const port = "5201";
const hops = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];
const nodes = ["client", "host", "web"].map((node) => `${node}:${anyInterface}`);

function yapcNet(...args: readonly string[]): string {
  return execFileSync(process.execPath, [program, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Lies in /run/netns: `ip netns exec` and plain tcpdumps get there without us. */
const inNode = (node: string): string[] => ["ip", "netns", "exec", `${lab}-${node}`];

interface Sent {
  /** Bits a second that arrived. */
  readonly rate: number;
  /** Packets sent and lost, of datagrams. */
  readonly packets: number;
  readonly lost: number;
}

/** One run of iperf3 from client to the published port. Meanwhile the output of a trace is read. */
async function send(...how: readonly string[]): Promise<Sent> {
  const [file = "", ...rest] = [
    ...inNode("client"),
    "iperf3",
    "-J",
    "-c",
    "203.0.113.1",
    "-p",
    port,
    "-t",
    String(seconds),
    ...how,
  ];
  const { stdout } = await promisify(execFile)(file, rest, { encoding: "utf8", maxBuffer: 1 << 26 });
  // Its documented form (iperf3 -J); what is read of it stands here.
  const { end, error } = JSON.parse(stdout) as {
    error?: string;
    end: {
      sum?: { bits_per_second: number; packets: number; lost_packets: number; lost_percent: number };
      sum_received?: { bits_per_second: number };
    };
  };
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const rate = how.includes("-u")
    ? (end.sum?.bits_per_second ?? 0) * (1 - (end.sum?.lost_percent ?? 0) / 100)
    : (end.sum_received?.bits_per_second ?? 0);
  return { rate, packets: end.sum?.packets ?? 0, lost: end.sum?.lost_packets ?? 0 };
}

interface Watched {
  /** Ends it. @returns records that its taps lost */
  stop(): Promise<number>;
}

type Watcher = (filter: readonly string[]) => Promise<Watched>;

const untapped: Watcher = () => Promise.resolve({ stop: () => Promise.resolve(0) });

/** The plain tool, called as a tap is, but for its output. */
const plain =
  (places: readonly string[], block: boolean): Watcher =>
  async (filter) => {
    const children = await Promise.all(
      places.map(async (place) => {
        const [node = "", device = ""] = place.split(":");
        const own = hops.filter((hop) => hop === place || (device === anyInterface && hop.startsWith(`${node}:`)));
        const ring = ringOf(own.length / hops.length, block);
        // Standard output is /dev/null: given as a file's name, root's tcpdump makes that file its user's.
        const tcpdump = tcpdumpArguments({ interface: device, filter: filter.join(" "), snapshotLength, ring, block });
        const [file = "", ...rest] = [...inNode(node), ...tcpdump];
        const child = spawn(file, rest, { stdio: ["ignore", "ignore", "pipe"] });
        const words = new Words(child.stderr);
        await words.say("listening on");
        return { child, words };
      }),
    );
    return {
      async stop() {
        const dropped = children.map(async ({ child, words }) => {
          const ended = new Promise((resolve) => child.once("close", resolve));
          child.kill("SIGINT");
          await ended;
          return Number(/(\d+) packets? dropped by kernel/.exec(words.text)?.[1]);
        });
        return (await Promise.all(dropped)).reduce((sum, each) => sum + each, 0);
      },
    };
  };

/** @param format `summary` tells no packet, as the plain tools do not; `jsonl` a line of each, which is read and let go */
const traced =
  (mode: string, format: "summary" | "jsonl"): Watcher =>
  async (filter) => {
    const args = ["trace", "--lab", lab, "--tap", mode, "--filter", filter.join(" "), "-o", format];
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let last: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => (last = [...last.slice(-1), chunk]));
    for (let left = 200; left > 0 && taps() < (mode === "namespace" ? 3 : 5); left--)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 500));
    return {
      async stop() {
        const ended = new Promise((resolve) => child.once("close", resolve));
        child.kill("SIGINT");
        await ended;
        const lines = format === "jsonl" ? /"type":"hop","hop":"([^"]*)".*?"dropped":(\d+)/g : lossRow;
        // A tap on a whole node tells what it lost at each of its hops: it counts once.
        const byNode = new Map<string, number>();
        for (const [, hop = "", dropped] of Buffer.concat(last).toString().matchAll(lines)) {
          const place = mode === "interface" ? hop : (hop.split(":")[0] ?? "");
          byNode.set(place, Math.max(byNode.get(place) ?? 0, Number(dropped)));
        }
        if (byNode.size === 0) throw new Error("the trace told nothing of its hops");
        return [...byNode.values()].reduce((sum, each) => sum + each, 0);
      },
    };
  };

/** A row of the hops: name, seen, missing, lost by tap. */
const lossRow = /^(\S+:\S+) +\d+ +\d+ +(\d+)/gm;

function taps(): number {
  return Number(
    spawnSync("sh", ["-c", `ps -eo args | grep -c '^tcpdump .*port ${port}'`], { encoding: "utf8" }).stdout,
  );
}

/** What a program says on its standard error. */
class Words {
  text = "";
  #onText: () => void = () => undefined;

  constructor(stream: Readable) {
    stream.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
      this.#onText();
    });
    stream.once("close", () => this.#onText());
  }

  /** Settles when it has said this. */
  say(words: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onText = () => {
        if (this.text.includes(words)) resolve();
      };
      setTimeout(() => reject(new Error(`not said: '${words}', but: ${this.text}`)), 10_000).unref();
      this.#onText();
    });
  }
}

const watchers: Readonly<Record<string, Watcher>> = {
  "no tap": untapped,
  "5 tcpdumps, immediate": plain(hops, false),
  "5 tcpdumps, blocks": plain(hops, true),
  "3 tcpdumps on any, blocks": plain(nodes, true),
  "trace --tap interface": traced("interface", "summary"),
  "trace --tap namespace": traced("namespace", "summary"),
  "trace --tap auto": traced("auto", "summary"),
  "trace --tap auto, jsonl": traced("auto", "jsonl"),
};

interface Best {
  rate: number;
  lost: number;
  dropped: number;
}

/** Best round of each watcher. */
async function measure(
  name: string,
  better: (a: Best, b: Best) => boolean,
  ...how: readonly string[]
): Promise<Map<string, Best>> {
  const filter = how.includes("-u") ? ["udp", "and", "port", port] : ["tcp", "and", "port", port];
  const best = new Map<string, Best>();
  for (let round = 0; round < rounds; round++)
    for (const [watcher, start] of Object.entries(watchers)) {
      const watched = await start(filter);
      const { rate, lost } = await send(...how);
      const found = { rate, lost, dropped: await watched.stop() };
      const before = best.get(watcher);
      if (before === undefined || better(found, before)) best.set(watcher, found);
    }
  const most = best.get("no tap")?.rate ?? 1;
  console.log(`\n${name}`);
  for (const [watcher, { rate, lost, dropped }] of best)
    console.log(
      `  ${watcher.padEnd(25)} ${(rate / 1e6).toFixed(0).padStart(6)} Mbit/s  ${(rate / most).toFixed(2)} of untapped, ` +
        `${lost} datagrams lost, ${dropped} records lost by taps`,
    );
  return best;
}

const faster = (a: Best, b: Best): boolean => a.rate > b.rate;
const cleaner = (a: Best, b: Best): boolean => {
  const [one, other] = [a.lost + a.dropped, b.lost + b.dropped];
  return one < other || (one === other && a.rate > b.rate);
};

yapcNet("up", "docker-bridge", "--name", lab);
const server = spawn("ip", ["netns", "exec", `${lab}-web`, "iperf3", "-s", "-p", port], { stdio: "ignore" });
try {
  // The lab publishes 8080 and 8081 only: straight to web, over the machine as its router.
  execFileSync("ip", [
    "netns",
    "exec",
    `${lab}-host`,
    "nft",
    "add table ip tapcost; add chain ip tapcost pre { type nat hook prerouting priority -101; }; add rule ip tapcost pre ip daddr 203.0.113.1 meta l4proto { tcp, udp } th dport 5201 dnat to 10.0.0.10",
  ]);
  if (part === "tcp" || part === "all") await measure("TCP, one connection, saturated", faster);
  const small = ["-u", "-l", "64", "-b"] as const;
  if (part === "udp" || part === "all") await measure("UDP, 64 bytes, saturated", faster, ...small, "0");
  if (part === "half" || part === "all") {
    const kinds = [
      ["TCP, one connection", ["-b"]],
      ["UDP, 1,400 bytes", ["-u", "-l", "1400", "-b"]],
      ["UDP, 64 bytes", small],
    ] as const;
    for (const [kind, how] of kinds) {
      const most = Math.max((await send(...how, "0")).rate, (await send(...how, "0")).rate);
      const half = Math.floor(most / 2);
      const name = `${kind}, half of the untapped most (${(half / 1e6).toFixed(1)} Mbit/s)`;
      await measure(name, cleaner, ...how, String(half));
    }
  }
} finally {
  server.kill();
  yapcNet("down", lab);
}
