/**
 * Labs beside their peers, each pair in one run: N namespaces on one bridge with addresses and routes (`ip -batch`,
 * Mininet where it is installed), memory, and the start of the program.
 *
 *   node dist/bench/lab.js [nodes...]      default: 10 100 1000 and the rest; 0 is the rest alone
 *
 * As root; an ordinary user has no `ip -batch` and no Mininet to compare with.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { InitLine } from "../src/init/api.js";
import { startInit } from "../src/init/client.js";
import { apply } from "../src/lab/apply.js";
import { ContainerRunner } from "../src/lab/containers.js";
import { bootId, LabFolder } from "../src/lab/state.js";
import { sweep } from "../src/lab/sweep.js";
import { NodeSockets } from "../src/observe/sockets.js";
import type { Operation } from "../src/plan/operation.js";
import { plan } from "../src/plan/plan.js";
import { down } from "../src/session/down.js";
import { up } from "../src/session/up.js";
import { readTopology } from "../src/topology/read.js";
import type { ResolvedTopology } from "../src/topology/resolved.js";
import { least, print, timed, times, withTmpfsRun } from "./measure.js";

const sizes = process.argv.slice(2).map(Number);
const rounds = 5;
const root = process.getuid?.() === 0;
const project = path.resolve(import.meta.dirname, "../..");
const executable = path.join(project, "bin/yapc-net.js");
const name = `bench-${process.pid}`;

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

/** Whoever runs `gc` meanwhile sees a lab that lives. */
function writeRecord(folder: LabFolder, { pid, startTime, rootless }: InitLine, topology: ResolvedTopology): void {
  const created = new Date().toISOString();
  const { name: lab } = folder;
  folder.write({
    version: 1,
    name: lab,
    created,
    pid,
    startTime,
    bootId: bootId(),
    rootless,
    committed: false,
    topology,
  });
}

/** What rtnetlink is asked for: what `ip -batch` can do. */
const linksOnly = (operation: Operation): boolean =>
  operation.kind !== "sysctl.write" && operation.kind !== "hosts.write";

/** What `up` does once Node runs, cut into its phases. @returns milliseconds */
async function phases(topology: ResolvedTopology, part: (operation: Operation) => boolean) {
  const folder = new LabFolder(`${name}-phases`);
  folder.make();
  const rootless = !root;
  let line: Awaited<ReturnType<typeof startInit>> | undefined;
  const init = await timed(async () => (line = await startInit({ stateFolder: folder.path })));
  if (line === undefined) throw new Error("no init");
  writeRecord(folder, line, topology);
  const sockets = new NodeSockets(line);
  try {
    let operations: ReturnType<typeof plan>["operations"] = [];
    const planning = await timed(() => {
      operations = plan(topology, undefined, rootless ? { groupSpan: line!.ids.groupSpan } : {}).operations;
      return Promise.resolve();
    });
    operations = operations.filter(part);
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

/**
 * The same with `ip`: one batch that makes namespaces and links, then one batch in each namespace.
 * @param sysctls `name = value` of each host, written by one sysctl(8) in it; empty: none
 */
function ipBatch(count: number, sysctls: readonly string[]): { up: number; down: number } {
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
  writeFileSync(path.join(scratch, "sysctls"), sysctls.map((line) => `${line}\n`).join(""));
  const write = sysctls.length === 0 ? "" : "ip netns exec h$i sysctl -qp sysctls;";
  const script = `
    set -e
    mount --make-rprivate / && mkdir -p /run/netns && mount -t tmpfs none /run/netns
    cd ${scratch}
    a=$(date +%s%N)
    ip -batch names
    ip -n sw -batch links
    i=1; while [ $i -le ${count} ]; do ${write} ip -n h$i -batch h$i; i=$((i+1)); done
    b=$(date +%s%N)
    ip -all netns delete
    c=$(date +%s%N)
    echo $((b-a)) $((c-b))`;
  const text = execFileSync("unshare", ["-nm", "sh", "-c", script], { encoding: "utf8" });
  const [made, gone] = text.trim().split(" ").map(Number);
  return { up: (made ?? 0) / 1e6, down: (gone ?? 0) / 1e6 };
}

/** The kernel frees namespaces behind everyone's back, under the lock that the next to be measured needs. */
const cleanup = (count: number): Promise<void> => delay(Math.max(200, 8 * count));

type Phases = Awaited<ReturnType<typeof phases>>;

async function bridge(count: number): Promise<void> {
  const file = path.join(scratch, `farm-${count}.json`);
  writeFileSync(file, farm(count));
  const topology = resolved(farm(count));
  const host = topology.nodes.find(({ name: node }) => node === "h1");
  const sysctls = (host?.sysctls ?? []).filter(({ name: sysctl }) =>
    existsSync(`/proc/sys/${sysctl.replaceAll(".", "/")}`),
  );
  const lines = sysctls.map((entry) => `${entry.name} = ${entry.value}`);
  const signal = new AbortController().signal;
  const whole: Phases[] = [];
  const links: Phases[] = [];
  const theirs: number[] = [];
  const theirLinks: number[] = [];
  const theirEnd: number[] = [];
  const ups: number[] = [];
  const downs: number[] = [];
  const turns = count >= 1000 ? 2 : rounds;
  for (let round = 0; round < turns; round++) {
    const options = { file, dryRun: false, strict: false, assignments: [], signal, real: false, ...quiet };
    whole.push(await phases(topology, () => true));
    await cleanup(count);
    links.push(await phases(topology, linksOnly));
    await cleanup(count);
    // Half a minute for 1,000: once must do.
    if (root && (round === 0 || count < 1000)) {
      theirs.push(ipBatch(count, lines).up);
      await cleanup(count);
      const { up: made, down: gone } = ipBatch(count, []);
      theirLinks.push(made);
      theirEnd.push(gone);
      await cleanup(count);
    }
    ups.push(await timed(() => up(options)));
    downs.push(await timed(() => down({ lab: name, ...quiet })));
    await cleanup(count);
  }
  const of = (key: keyof Phases) => least(whole.map((each) => each[key]));
  const kernel = least(links.map((each) => each.kernel));
  console.log(`\n${count} namespaces on one bridge, least of ${turns}`);
  print("start of init", of("init"));
  print("plan", of("planning"));
  print("apply: namespaces, links, addresses, routes", kernel, `${(kernel / count).toFixed(2)} ms a node`);
  if (root) print("ip -batch, the same", least(theirLinks), `apply is ${times(least(theirLinks), kernel)} as fast`);
  print(`apply with ${lines.length} sysctls a node, and its names`, of("kernel"));
  if (root)
    print(
      "ip -batch, and sysctl -p in each node",
      least(theirs),
      `apply is ${times(least(theirs), of("kernel"))} as fast`,
    );
  print("end", of("end"));
  if (root) print("ip -all netns delete (does not wait)", least(theirEnd));
  print("up, whole, without the start of node", least(ups));
  print("down, whole, without the start of node", least(downs), `${times(least(downs), least(ups))} the time of up`);
  console.log(`  init's memory ${Math.max(...whole.map((each) => each.memory)).toFixed(1)} MB`);
  const walls: number[] = [];
  const memories: number[] = [];
  for (let round = 0; round < Math.min(turns, 3); round++) {
    const { memory, wall } = program(["up", file]);
    memories.push(memory);
    walls.push(wall);
    spawnSync(process.execPath, [executable, "down", name]);
    await cleanup(count);
  }
  print("yapc-net up, whole, with the start of node", least(walls));
  console.log(`  memory of \`up\` at its largest ${Math.max(...memories).toFixed(0)} MB`);
  upOf.set(count, { work: least(ups), wall: least(walls) });
}

/** Least time of `up` by nodes: whether it is linear shows side by side. */
const upOf = new Map<number, { readonly work: number; readonly wall: number }>();

function printLinearity(): void {
  const [hundred, thousand] = [upOf.get(100), upOf.get(1000)];
  if (hundred !== undefined && thousand !== undefined)
    console.log(
      `\nyapc-net up of 1,000 nodes takes ${times(thousand.wall, hundred.wall)} the time of 100, without the start of node ${times(thousand.work, hundred.work)}`,
    );
}

/** A run of the program: its largest resident memory, in MB, and its wall time. */
function program(args: readonly string[]): { memory: number; wall: number } {
  const report = path.join(scratch, "memory");
  const witness = path.join(scratch, "witness.mjs");
  writeFileSync(
    witness,
    `import fs from "node:fs"; process.on("exit", () => fs.writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS)));`,
  );
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const from = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ["--import", witness, executable, ...args], {
    encoding: "utf8",
    env: { ...env, NODE_ENV: "production" },
  });
  const wall = performance.now() - from;
  if (status !== 0) throw new Error(stderr);
  return { memory: Number(readFileSync(report, "utf8")) / 1024, wall };
}

/** Wall time of `up` and `down`, each a program of its own, beside Mininet's for N hosts on a Linux bridge. */
async function mininet(count: number): Promise<void> {
  if (spawnSync("mn", ["--version"]).status !== 0 || spawnSync("brctl", ["--version"]).status !== 0) {
    console.log("\nMininet, or brctl (bridge-utils) that its Linux bridge needs, is not installed here: no comparison");
    return;
  }
  const file = path.join(scratch, "mininet.json");
  writeFileSync(file, farm(count));
  const topo = ["--topo", `single,${count}`, "--switch", "lxbr", "--controller", "none", "--test", "none"];
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const run = (program: string, args: string[]): number => {
    const from = performance.now();
    const { status, stderr } = spawnSync(program, args, { env: { ...env, NODE_ENV: "production" }, encoding: "utf8" });
    if (status !== 0) throw new Error(`${program}: ${stderr}`);
    return performance.now() - from;
  };
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(run(process.execPath, [executable, "up", file]) + run(process.execPath, [executable, "down", name]));
    await cleanup(count);
    // Its switch would stand in the machine's own network.
    theirs.push(run("unshare", ["-nm", "mn", ...topo]));
    await cleanup(count);
  }
  console.log(
    `\n${count} hosts on a bridge, made and ended, wall time with the start of the programs, least of ${rounds}`,
  );
  print("yapc-net up, then down", least(ours));
  print(
    "mn --switch lxbr --controller none --test none",
    least(theirs),
    `ours is ${times(least(theirs), least(ours))} as fast`,
  );
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

withTmpfsRun(root);
const scratch = mkdtempSync(path.join(os.tmpdir(), "bench-lab-"));
try {
  console.log(
    `Linux ${os.release()}, ${os.cpus().length} CPUs, Node ${process.version}, ${root ? "root" : "ordinary user"}`,
  );
  for (const count of sizes.length > 0 ? sizes.filter(Boolean) : [10, 100, 1000]) await bridge(count);
  printLinearity();
  if (sizes.length === 0 || sizes.includes(0)) {
    if (root) await mininet(100);
    starts();
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
