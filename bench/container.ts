/**
 * Containers beside their peers, in turn in one run: call to exec, a whole run of `/bin/true`, a hundred in one lab, and
 * what the helper weighs.
 *
 *   node dist/bench/container.js [rounds]      default: 30
 *
 * `runc` and `docker` as root only; each that is missing is named. Docker runs in namespaces of its own.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import type { InitLine } from "../src/init/api.js";
import { startInit } from "../src/init/client.js";
import { ContainerRunner } from "../src/lab/containers.js";
import { bootId, LabFolder } from "../src/lab/state.js";
import { sweep } from "../src/lab/sweep.js";
import { down } from "../src/session/down.js";
import { up } from "../src/session/up.js";
import { readTopology } from "../src/topology/read.js";
import type { ResolvedTopology } from "../src/topology/resolved.js";
import { DockerHost, engine, missing } from "../test/session/docker-host.js";
import { least, median, print, timed, times, withTmpfsRun } from "./measure.js";

const rounds = Number(process.argv[2] ?? 30);
const root = process.getuid?.() === 0;
const project = path.resolve(import.meta.dirname, "../..");
const name = `bench-${process.pid}`;
const quiet = { onWarning: () => undefined };

function resolved(text: string): ResolvedTopology {
  const read = readTopology(text, { path: "bench.json" });
  if (!read.ok) throw new Error(read.problems.map(({ message }) => message).join("\n"));
  return read.topology;
}

const lab = (count: number, container: object) => JSON.stringify({ name, nodes: { [`c[1-${count}]`]: { container } } });

/** Whoever runs `gc` meanwhile sees a lab that lives. */
function writeRecord(folder: LabFolder, { pid, startTime, rootless }: InitLine, topology: ResolvedTopology): void {
  const created = new Date().toISOString();
  folder.write({
    version: 1,
    ...{ name: folder.name, created, pid, startTime, bootId: bootId(), rootless, committed: false, topology },
  });
}

/** A folder with a static busybox, for those that need a root of their own. */
function busyboxRoot(at: string): string {
  mkdirSync(path.join(at, "bin"), { recursive: true });
  for (const folder of ["proc", "dev", "sys", "tmp"]) mkdirSync(path.join(at, folder), { recursive: true });
  copyFileSync("/bin/busybox", path.join(at, "bin/busybox"));
  symlinkSync("busybox", path.join(at, "bin/true"));
  return at;
}

/** One way to run `/bin/true` confined, from the call until it has ended. */
interface Peer {
  readonly what: string;
  readonly run: () => unknown;
}

function program(what: string, file: string, args: readonly string[]): Peer[] {
  const run = () => {
    const { status, stderr } = spawnSync(file, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${what}: ${stderr}`);
  };
  try {
    run();
    return [{ what, run }];
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : "";
    console.log(`  no comparison with ${what}: it is not here, or may not be used (${reason ?? ""})`);
    return [];
  }
}

function runc(scratch: string): Peer[] {
  const bundle = path.join(scratch, "bundle");
  busyboxRoot(path.join(bundle, "rootfs"));
  if (spawnSync("runc", ["spec", "--bundle", bundle]).status !== 0)
    return program("runc run", "runc", ["--version"]).slice(1);
  const file = path.join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as { process: { terminal: boolean; args: string[] } };
  config.process.terminal = false;
  config.process.args = ["/bin/true"];
  writeFileSync(file, JSON.stringify(config));
  return program("runc run", "runc", ["--root", path.join(scratch, "runc"), "run", "--bundle", bundle, `${name}-runc`]);
}

async function docker(): Promise<{ readonly peers: Peer[]; readonly stop: () => Promise<void> }> {
  const reason = await missing();
  if (reason !== undefined) {
    console.log(`  no comparison with docker run: ${reason}`);
    return { peers: [], stop: () => Promise.resolve() };
  }
  const host = await DockerHost.start();
  const [file = "", ...under] = host.under;
  const args = [...under, "docker", "-H", engine, "run", "--rm", "--network", "none", "bb", "/bin/true"];
  return { peers: program("docker run", file, args), stop: () => host.stop() };
}

/** A lab of its own, whose nodes are there already. */
async function withLab(topology: ResolvedTopology, act: (runner: ContainerRunner, line: InitLine) => Promise<void>) {
  const folder = new LabFolder(`${name}-one`);
  folder.make();
  using line = await startInit({ stateFolder: folder.path });
  writeRecord(folder, line, topology);
  try {
    await line.createNodes(topology.nodes.map((node) => ({ name: node.name, container: true })));
    await act(new ContainerRunner(line, folder, topology, { strict: false, ...quiet }), line);
    await line.shutdown();
  } finally {
    await sweep(folder);
  }
}

/** Each in turn; whatever else runs on the machine only adds, so that the least of each counts. */
async function inTurn(scratch: string): Promise<void> {
  const overMachine = resolved(lab(1, { command: ["busybox", "true"] }));
  const overFolder = resolved(lab(1, { command: ["/bin/true"], root: busyboxRoot(path.join(scratch, "root")) }));
  const bubble = ["--unshare-all", "--bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "busybox", "true"];
  const unshare = root
    ? ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--mount-proc", "busybox", "true"]
    : [
        "--map-root-user",
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--cgroup",
        "--fork",
        "--mount-proc",
        "busybox",
        "true",
      ];
  const engineHost = await docker();
  try {
    const peers = [
      ...program("bwrap --unshare-all", "bwrap", bubble),
      ...program("unshare, all namespaces", "unshare", unshare),
      ...(root ? runc(scratch) : []),
      ...engineHost.peers,
    ];
    const measured = new Map<string, number[]>();
    const add = (what: string, time: number) => measured.set(what, [...(measured.get(what) ?? []), time]);
    const [toExec, whole, exec, overRoot] = [
      "over /: call to exec",
      "over /: the whole run",
      "exec in one that runs, to its end",
      "over a folder: the whole run",
    ];
    for (const [index, topology] of [overMachine, overFolder].entries()) {
      await withLab(topology, async (runner, line) => {
        const { name: node, container } = topology.nodes[0]!;
        if (container === undefined) throw new Error("no container");
        for (let round = 0; round < rounds; round++) {
          let exit: Promise<unknown> = Promise.resolve();
          const started = await timed(async () => (exit = (await runner.start(node, container)).exit));
          const ended = await timed(() => exit);
          if (index === 0) {
            add(toExec, started);
            add(whole, started + ended);
            for (const { what, run } of peers) add(what, await timed(() => Promise.resolve(run())));
          } else add(overRoot, started + ended);
        }
        if (index > 0) return;
        const { pid } = await runner.start(node, { ...container, command: ["busybox", "sleep", "1000"] });
        console.log(`  resident: PID 1 of a lab ${resident(line.pid)}, PID 1 of a container ${resident(pid)}`);
        const nothing = openNull();
        for (let round = 0; round < rounds; round++) {
          const request = {
            node,
            place: "container",
            argv: ["busybox", "true"],
            environment: container.environment,
          } as const;
          add(exec, await timed(async () => (await line.spawn({ ...request, stdio: nothing, tied: true })).exit));
        }
      });
    }
    const ours = least(measured.get(whole) ?? []);
    console.log(`\na container of /bin/true, least of ${rounds}, and as a ratio to ours, the whole run over /`);
    for (const [what, list] of measured)
      print(what, least(list), `median ${median(list).toFixed(1)} ms`, times(least(list), ours));
    const bwrap = measured.get(peers[0]?.what ?? "");
    if (bwrap !== undefined)
      console.log(
        `  call to exec is ${times(least(bwrap), least(measured.get(toExec) ?? []))} as fast as ${peers[0]?.what ?? ""}`,
      );
  } finally {
    await engineHost.stop();
  }
}

function openNull(): readonly [number, number, number] {
  const fd = openSync("/dev/null", "r+");
  return [fd, fd, fd];
}

async function hundred(scratch: string): Promise<void> {
  const file = path.join(scratch, "containers.json");
  writeFileSync(file, lab(100, { command: ["busybox", "sleep", "1000"] }));
  const ups: number[] = [];
  let memory = "";
  for (let round = 0; round < 5; round++) {
    const signal = new AbortController().signal;
    const options = { file, dryRun: false, strict: false, assignments: [], signal, real: false, ...quiet };
    ups.push(await timed(() => up(options)));
    memory = resident(new LabFolder(name).read()?.pid ?? 0);
    await down({ lab: name, ...quiet });
  }
  console.log("\na hundred containers in one lab, least of 5");
  print("whole up", least(ups), `${(least(ups) / 100).toFixed(1)} ms a container; the target is 1500 ms`);
  console.log(`  PID 1 of the lab then has ${memory} resident`);
}

function resident(pid: number): string {
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  return `${(kilobytes / 1024).toFixed(2)} MB`;
}

function weight(): void {
  const helper = path.join(project, "helper/build/yapc-init");
  console.log(`\nthe helper: ${(statSync(helper).size / 1024).toFixed(0)} KiB, one static file`);
  if (existsSync("/usr/sbin/runc")) console.log(`  runc: ${(statSync("/usr/sbin/runc").size / 1024).toFixed(0)} KiB`);
}

withTmpfsRun(root);
const scratch = mkdtempSync(path.join(os.tmpdir(), "bench-container-"));
try {
  console.log(
    `Linux ${os.release()}, ${os.cpus().length} CPUs, Node ${process.version}, ${root ? "root" : "ordinary user"}`,
  );
  weight();
  await inTurn(scratch);
  await hundred(scratch);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
