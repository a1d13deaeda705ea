/**
 * Labs beside their peers, each pair in one run: N namespaces on one bridge with addresses and routes (`ip -batch`,
 * Mininet where it is installed), containers (`bwrap --unshare-all`), memory, and the start of the program.
 *
 *   node dist/bench/lab.js [nodes...]      default: 10 100 1000; as root, or as an ordinary user (no `ip -batch` then)
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startInit } from "../src/init/client.js";
import { apply } from "../src/lab/apply.js";
import { ContainerRunner } from "../src/lab/containers.js";
import { LabFolder } from "../src/lab/state.js";
import { sweep } from "../src/lab/sweep.js";
import { NodeSockets } from "../src/observe/sockets.js";
import { plan } from "../src/plan/plan.js";
import { down } from "../src/session/down.js";
import { up } from "../src/session/up.js";
import { readTopology } from "../src/topology/read.js";
import type { ResolvedTopology } from "../src/topology/resolved.js";

const sizes = process.argv.slice(2).map(Number);
const rounds = 3;
const root = process.getuid?.() === 0;
const project = path.resolve(import.meta.dirname, "../..");
const executable = path.join(project, "bin/yapc-net.js");
const scratch = mkdtempSync(path.join(os.tmpdir(), "bench-lab-"));
const name = `bench-${process.pid}`;

/** Of each figure the least of all rounds: whatever else runs on the machine only adds. */
const least = (values: readonly number[]): number => Math.min(...values);

async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return performance.now() - from;
}

function print(what: string, milliseconds: number, note = ""): void {
  console.log(`  ${what.padEnd(46)} ${milliseconds.toFixed(1).padStart(9)} ms   ${note}`);
}

const times = (theirs: number, ours: number): string => `${(theirs / ours).toFixed(2)} ×`;

/** N nodes on one bridge: an address and a default route each. */
function farm(count: number): string {
  return JSON.stringify({
    name,
    nodes: { switch: {}, [`h[1-${count}]`]: {} },
    networks: { lan: { bridge: "switch:br0", subnets: ["10.0.0.0/16"], members: [`h[1-${count}]`] } },
  });
}

function resolved(text: string): ResolvedTopology {
  const read = readTopology(text, { path: "bench.json" });
  if (!read.ok) throw new Error(read.problems.map(({ message }) => message).join("\n"));
  return read.topology;
}

const quiet = { onWarning: () => undefined };

/** What `up` does once Node runs, cut into its phases. @returns milliseconds */
async function phases(topology: ResolvedTopology) {
  const folder = new LabFolder(`${name}-phases`);
  folder.make();
  const rootless = !root;
  let line: Awaited<ReturnType<typeof startInit>> | undefined;
  const init = await timed(async () => (line = await startInit({ stateFolder: folder.path })));
  if (line === undefined) throw new Error("no init");
  const sockets = new NodeSockets(line);
  try {
    let operations: ReturnType<typeof plan>["operations"] = [];
    const planning = await timed(() => {
      operations = plan(topology, undefined, rootless ? { groupSpan: line!.ids.groupSpan } : {}).operations;
      return Promise.resolve();
    });
    const containers = new ContainerRunner(line, folder, topology, { strict: false, ...quiet });
    const kernel = await timed(() => apply(operations, { line: line!, sockets, folder, containers, undo: false }));
    const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${line.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
    sockets[Symbol.dispose]();
    const end = await timed(() => line!.shutdown());
    return { init, planning, kernel, end, memory };
  } finally {
    line[Symbol.dispose]();
    await sweep(folder);
  }
}

/** The same with `ip`: one batch that makes namespaces and links, then one batch in each namespace. */
function ipBatch(count: number): { up: number; down: number } {
  const hosts = Array.from({ length: count }, (_, index) => index + 1);
  const address = (host: number) => `10.0.${(host + 1) >> 8}.${(host + 1) & 255}/16`;
  const main = ["netns add sw", ...hosts.map((host) => `netns add h${host}`), "-n sw"];
  writeFileSync(path.join(scratch, "names"), `${main.slice(0, -1).join("\n")}\n`);
  const links = [
    "link add br0 type bridge",
    ...hosts.map((host) => `link add v${host} type veth peer name eth0 netns h${host}`),
    ...hosts.map((host) => `link set v${host} master br0 up`),
    "addr add 10.0.0.1/16 dev br0",
    "link set lo up",
    "link set br0 up",
  ];
  writeFileSync(path.join(scratch, "links"), `${links.join("\n")}\n`);
  for (const host of hosts)
    writeFileSync(
      path.join(scratch, `h${host}`),
      `link set lo up\naddr add ${address(host)} dev eth0\nlink set eth0 up\nroute add default via 10.0.0.1\n`,
    );
  const script = `
    set -e
    mount --make-rprivate / && mkdir -p /run/netns && mount -t tmpfs none /run/netns
    cd ${scratch}
    a=$(date +%s%N)
    ip -batch names
    ip -n sw -batch links
    i=1; while [ $i -le ${count} ]; do ip -n h$i -batch h$i; i=$((i+1)); done
    b=$(date +%s%N)
    ip -all netns delete
    c=$(date +%s%N)
    echo $((b-a)) $((c-b))`;
  const text = execFileSync("unshare", ["-nm", "sh", "-c", script], { encoding: "utf8" });
  const [made, gone] = text.trim().split(" ").map(Number);
  return { up: (made ?? 0) / 1e6, down: (gone ?? 0) / 1e6 };
}

async function bridge(count: number): Promise<void> {
  const file = path.join(scratch, `farm-${count}.json`);
  writeFileSync(file, farm(count));
  const topology = resolved(farm(count));
  const signal = new AbortController().signal;
  const results: Awaited<ReturnType<typeof phases>>[] = [];
  const theirs: ReturnType<typeof ipBatch>[] = [];
  const ups: number[] = [];
  const downs: number[] = [];
  const turns = count >= 1000 ? 1 : rounds;
  for (let round = 0; round < turns; round++) {
    results.push(await phases(topology));
    if (root) theirs.push(ipBatch(count));
    const options = { file, dryRun: false, strict: false, assignments: [], signal, real: false, ...quiet };
    ups.push(await timed(() => up(options)));
    downs.push(await timed(() => down({ lab: name, ...quiet })));
  }
  const of = (key: "init" | "planning" | "kernel" | "end") => least(results.map((each) => each[key]));
  console.log(`\n${count} namespaces on one bridge, least of ${turns}`);
  print("start of init", of("init"));
  print("plan", of("planning"));
  print("apply (namespaces, links, addresses, routes)", of("kernel"), `${(of("kernel") / count).toFixed(2)} ms a node`);
  print("end", of("end"));
  if (theirs.length > 0) {
    const ip = least(theirs.map((each) => each.up));
    print("ip -batch, the same", ip, `apply is ${times(ip, of("kernel"))} as fast`);
    print("ip -all netns delete (does not wait)", least(theirs.map((each) => each.down)));
  }
  print("up, whole, without the start of node", least(ups), "with reading back what was made");
  print("down, whole, without the start of node", least(downs), `${times(least(downs), least(ups))} the time of up`);
  console.log(`  init's memory ${Math.max(...results.map((each) => each.memory)).toFixed(1)} MB`);
  const memory = cliMemory(["up", file]);
  spawnSync(process.execPath, [executable, "down", name]);
  console.log(`  memory of \`up\` at its largest ${memory.toFixed(0)} MB`);
}

/** Largest resident memory of a run of the program, in MB. */
function cliMemory(args: readonly string[]): number {
  const report = path.join(scratch, "memory");
  const witness = path.join(scratch, "witness.mjs");
  writeFileSync(
    witness,
    `import fs from "node:fs"; process.on("exit", () => fs.writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS)));`,
  );
  const { status, stderr } = spawnSync(process.execPath, ["--import", witness, executable, ...args], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return Number(readFileSync(report, "utf8")) / 1024;
}

async function containers(): Promise<void> {
  const text = (count: number) =>
    JSON.stringify({
      name,
      nodes: { [`c[1-${count}]`]: { container: { command: ["busybox", "sleep", "1000"] } } },
    });
  const signal = new AbortController().signal;
  const file = path.join(scratch, "containers.json");
  writeFileSync(file, text(100));
  const ups: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const options = { file, dryRun: false, strict: false, assignments: [], signal, real: false, ...quiet };
    ups.push(await timed(() => up(options)));
    await down({ lab: name, ...quiet });
  }
  console.log(`\ncontainers, least of some rounds`);
  print("100 containers in one lab, whole up", least(ups), `${(least(ups) / 100).toFixed(1)} ms a container`);

  // One container, from the call until its command runs, in turn with the peer.
  const topology = resolved(text(30));
  const folder = new LabFolder(`${name}-one`);
  folder.make();
  using line = await startInit({ stateFolder: folder.path });
  const runner = new ContainerRunner(line, folder, topology, { strict: false, ...quiet });
  await line.createNodes(topology.nodes.map((node) => ({ name: node.name, container: true })));
  const ours: number[] = [];
  const theirs: number[] = [];
  const peer = ["--unshare-all", "--bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "busybox", "true"];
  const hasPeer = spawnSync("bwrap", peer).status === 0;
  for (const node of topology.nodes) {
    const { container } = node;
    if (container === undefined) continue;
    ours.push(await timed(() => runner.start(node.name, container)));
    if (hasPeer) theirs.push(await timed(() => Promise.resolve(spawnSync("bwrap", peer))));
  }
  print("a container, call to exec", least(ours), `median ${median(ours).toFixed(1)} ms`);
  if (hasPeer)
    print(
      "bwrap --unshare-all busybox true, to its end",
      least(theirs),
      `median ${median(theirs).toFixed(1)} ms; ours is ${times(least(theirs), least(ours))} as fast`,
    );
  else console.log("  bwrap is not here, or may not be used: no comparison");
  await line.shutdown();
  await sweep(folder);
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Mininet's own wall time for N hosts on a Linux bridge. */
function mininet(count: number): void {
  if (spawnSync("mn", ["--version"]).status !== 0) {
    console.log("\nMininet is not installed here: no comparison");
    return;
  }
  const from = performance.now();
  const { status } = spawnSync("mn", [
    "--topo",
    `single,${count}`,
    "--switch",
    "lxbr",
    "--controller",
    "none",
    "--test",
    "none",
  ]);
  if (status === 0) print(`mn --topo single,${count} --switch lxbr, up and down`, performance.now() - from);
}

/** Starts of the program beside bare node, in turn; the least of each. */
function starts(): void {
  const empty = path.join(scratch, "empty.mjs");
  writeFileSync(empty, "");
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const cases: [string, string[]][] = [
    ["node, an empty module", [empty]],
    ["yapc-net --version", [executable, "--version"]],
    ["yapc-net ls", [executable, "ls"]],
    ["yapc-net up --help", [executable, "up", "--help"]],
  ];
  const measured = new Map(cases.map(([what]) => [what, [] as number[]]));
  for (let round = 0; round < 15; round++)
    for (const [what, args] of cases) {
      const from = performance.now();
      spawnSync(process.execPath, args, { env: { ...env, NODE_ENV: "production" } });
      measured.get(what)?.push(performance.now() - from);
    }
  console.log(
    `\nstart of the program, least of 15${existsSync(path.join(project, "oclif.manifest.json")) ? "" : " (no manifest: run npm run build)"}`,
  );
  const bare = least(measured.get(cases[0]![0]) ?? []);
  for (const [what, list] of measured)
    print(what, least(list), `${times(least(list), bare)} bare node, + ${(least(list) - bare).toFixed(0)} ms`);
}

try {
  console.log(
    `Linux ${os.release()}, ${os.cpus().length} CPUs, Node ${process.version}, ${root ? "root" : "ordinary user"}`,
  );
  for (const count of sizes.length > 0 ? sizes : [10, 100, 1000]) await bridge(count);
  await containers();
  if (root) mininet(100);
  starts();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
