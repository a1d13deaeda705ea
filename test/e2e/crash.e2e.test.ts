/**
 * kill -9 at bad moments: of a lab's init, of the command that works on it, of both. Afterwards one `gc` (and `down`,
 * where the lab lives) leaves nothing, and nothing else was touched: neither the machine nor a lab beside it.
 */
import { spawn } from "node:child_process";
import {
  existsSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { isAlive, type LabRecord } from "../../src/lab/state.js";
import { cli, Cli as Place, isRoot, program, until } from "./cli.js";
import { machineListing, remains, unnatural } from "./machine.js";
import { seededRandom } from "./random.js";
import { has, skip } from "../tools.js";

const soak = process.env.YAPC_NET_SOAK === "1";
/** How often the command, its init or both are killed at a random moment. */
const killPoints = soak ? 200 : 20;
const seed = Number(process.env.YAPC_NET_SEED ?? 20261);

const beside = new Place();
const neighbour = beside.lab("beside");
let before = "";

test.before(async () => {
  await beside.ok("up", "veth-pair", "--name", neighbour);
  before = await machineListing();
});
test.after.always(() => beside.end());

function initOf(place: Place, lab: string): number | undefined {
  try {
    return Number(readFileSync(path.join(place.stateRoot, lab, "init.pid"), "utf8").split(" ")[0]) || undefined;
  } catch {
    return undefined;
  }
}

function recordOf(place: Place, lab: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(path.join(place.stateRoot, lab, "lab.json"), "utf8")) as LabRecord;
  } catch {
    return undefined; // not yet, or no longer
  }
}

function kill(pid: number | undefined, signal: "SIGKILL" | "SIGCONT" = "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended by itself
  }
}

/** Nothing lives any more, but for what has a name: the kernel ends a lab when its init dies. */
const ended = (place: Place, lab: string) => until(() => unnatural(remains(place.stateRoot, lab)).length === 0, 60);

test.serial("init is killed: the kernel frees everything, gc takes the rest", async (t) => {
  const place = cli(t);
  const lab = place.lab("init");
  await place.ok("up", "docker-bridge", "--name", lab);
  kill(initOf(place, lab));
  t.true(await ended(place, lab), remains(place.stateRoot, lab).join("\n"));
  t.is((await place.json<{ name: string; state: string }[]>("ls")).find(({ name }) => name === lab)?.state, "broken");
  const inspect = await place.run("inspect", lab);
  t.is(inspect.code, 2);
  t.regex(inspect.stderr, /^error: lab '.*' has ended: its yapc-init is gone.*\n.*yapc-net down/);

  const would = await place.ok("gc", "--dry-run");
  t.true(would.includes(`would remove of lab '${lab}'`));
  t.true(existsSync(path.join(place.stateRoot, lab)));
  t.true((await place.ok("gc")).includes(`removed of lab '${lab}'`));
  t.deepEqual(remains(place.stateRoot, lab), []);
});

test.serial("init is killed while a download is in flight over a link that was set down", async (t) => {
  //   sender eth0 10.9.0.1 ═══ eth0 10.9.0.2 receiver
  const place = cli(t);
  const lab = place.lab("flight");
  const file = path.join(place.folder, "flight.json");
  writeFileSync(
    file,
    JSON.stringify({
      nodes: {
        sender: { interfaces: { eth0: "10.9.0.1/24" } },
        receiver: { interfaces: { eth0: "10.9.0.2/24" } },
      },
      links: [["sender:eth0", "receiver:eth0"]],
    }),
  );
  await place.ok("up", file, "--name", lab);
  // An end of a link in each node tells when its namespace is gone: a pair dies with either of its ends.
  const watch = isRoot ? await watchNamespaces(t, lab, ["sender", "receiver"]) : undefined;
  const large = path.join(place.folder, "large");
  writeFileSync(large, "");
  truncateSync(large, 2 ** 34);
  const serve = ["busybox", "httpd", "-f", "-p", "9000", "-h", place.folder];
  const send = place.start(["exec", `${lab}/sender`, "--", ...serve]);
  const listens = async () => (await place.run("exec", `${lab}/sender`, "--", "ss", "-lnt")).stdout.includes(":9000");
  t.true(await until(listens, 5), send.output());
  const download = ["curl", "-s", "-o", "/dev/null", "--limit-rate", "50M", "http://10.9.0.1:9000/large"];
  const receive = place.start(["exec", `${lab}/receiver`, "--", ...download]);
  const flowing = async () => {
    const text = await place.ok("exec", `${lab}/receiver`, "--", "cat", "/sys/class/net/eth0/statistics/rx_bytes");
    return Number(text) > 1_000_000;
  };
  t.true(await until(flowing, 5));
  await place.ok("exec", `${lab}/receiver`, "--", "ip", "link", "set", "eth0", "down");
  kill(initOf(place, lab));
  t.not((await send.ended).code, 0);
  t.not((await receive.ended).code, 0);
  t.true(await ended(place, lab), remains(place.stateRoot, lab).join("\n"));
  if (watch !== undefined) t.true(await until(async () => (await watch()).length === 0, 60), (await watch()).join(" "));
  await place.ok("gc");
  t.deepEqual(remains(place.stateRoot, lab), []);
});

/** Links into nodes from a namespace of the test's own. @returns lists those that are still there */
async function watchNamespaces(t: { teardown(act: () => void): void }, lab: string, nodes: readonly string[]) {
  const holder = spawn("unshare", ["-n", "sleep", "300"], { stdio: "ignore" });
  t.teardown(() => void holder.kill("SIGKILL"));
  const ip = (...args: string[]) => program("nsenter", "-t", String(holder.pid), "-n", "ip", ...args);
  const own = readlinkSync("/proc/self/ns/net");
  await until(() => readlinkSync(`/proc/${holder.pid}/ns/net`) !== own);
  for (const [index, node] of nodes.entries()) {
    const made = await ip(
      "link",
      "add",
      `watch${index}`,
      "type",
      "veth",
      "peer",
      "name",
      "watched",
      "netns",
      `${lab}-${node}`,
    );
    if (made.code !== 0) throw new Error(made.stderr);
  }
  return async () => [...(await ip("-br", "link")).stdout.matchAll(/^watch\d/gm)].map(([name]) => name);
}

test.serial("a reused PID, and a state folder from before a power loss", async (t) => {
  const place = cli(t);
  const changes: Partial<LabRecord>[] = [
    // The PID is that of a process of somebody else: this test.
    { pid: process.pid, startTime: "1" },
    { bootId: "00000000-0000-0000-0000-000000000000" },
  ];
  for (const change of changes) {
    const lab = place.lab("stale");
    await place.ok("up", "veth-pair", "--name", lab);
    const init = initOf(place, lab);
    const file = path.join(place.stateRoot, lab, "lab.json");
    const record = JSON.parse(readFileSync(file, "utf8")) as LabRecord;
    kill(init);
    t.true(await ended(place, lab));
    writeFileSync(file, JSON.stringify({ ...record, ...change }));
    // The names in /run/netns lead into whatever process has that PID now.
    if (isRoot && change.pid !== undefined) renumberNames(lab, change.pid);
    t.is((await place.json<{ name: string; state: string }[]>("ls")).find(({ name }) => name === lab)?.state, "broken");
    t.is((await place.run("exec", `${lab}/host`, "--", "true")).code, 2);
    t.regex(await place.ok("down", lab), /remains of lab '.*' are removed; .*: 0/);
    t.deepEqual(remains(place.stateRoot, lab), []);
  }
});

function renumberNames(lab: string, pid: number): void {
  for (const node of ["host", "test"]) {
    const name = `/run/netns/${lab}-${node}`;
    const target = readlinkSync(name).replace(/\d+/, String(pid));
    unlinkSync(name);
    symlinkSync(target, name);
  }
}

test.serial("a half-written state folder is no reason to stop", async (t) => {
  const place = cli(t);
  const lab = place.lab("half");
  await place.ok("up", "veth-pair", "--name", lab);
  const init = initOf(place, lab);
  kill(init);
  t.true(await ended(place, lab));
  writeFileSync(path.join(place.stateRoot, lab, "lab.json"), '{"version":1,"na');
  t.is((await place.run("ls")).code, 0);
  await place.ok("up", "veth-pair", "--name", lab);
  t.is((await place.run("exec", `${lab}/host`, "--", "ping", "-c", "1", "-W", "2", "10.1.0.1")).code, 0);
  t.regex(await place.ok("down", lab), /: 0$/m);
  t.deepEqual(remains(place.stateRoot, lab), []);
});

test.serial(
  "the state folder is lost: under a lab that runs, after it was killed, and before the next of its name",
  async (t) => {
    const place = cli(t);
    const lab = place.lab("lost");
    const folder = path.join(place.stateRoot, lab);
    const lose = async () => {
      await place.ok("up", "docker-bridge", "--name", lab);
      const init = initOf(place, lab);
      rmSync(folder, { recursive: true });
      return init;
    };
    let init = await lose();
    t.true(remains(place.stateRoot, lab).some((each) => each.startsWith(`process ${init} `)));
    t.true((await place.ok("gc", "--dry-run")).includes(`would remove of lab '${lab}': process ${init} (its init)`));
    t.true((await place.ok("gc")).includes(`removed of lab '${lab}': process ${init} (its init)`));
    t.deepEqual(remains(place.stateRoot, lab), []);

    init = await lose();
    t.regex(await place.ok("down", lab), /lab '.*' has ended; .*: 0/);
    t.deepEqual(remains(place.stateRoot, lab), []);

    kill(await lose());
    t.true(await ended(place, lab), remains(place.stateRoot, lab).join("\n"));
    await place.ok("gc");
    t.deepEqual(remains(place.stateRoot, lab), []);

    init = await lose();
    await place.ok("up", "docker-bridge", "--name", lab);
    const collected = await place.json<{ lab: string; inits: number[]; folder?: string }[]>("gc");
    t.deepEqual(collected.find((each) => each.lab === lab)?.inits, [init]);
    t.is((await place.run("exec", `${lab}/client`, "--", "ping", "-c", "1", "-W", "2", "203.0.113.1")).code, 0);
    await place.ok("down", lab);
    t.deepEqual(remains(place.stateRoot, lab), []);
  },
);

test.serial("gc leaves alone what is not a lab's", async (t) => {
  if (!isRoot) {
    skip(t, "only root has /run/netns");
    return;
  }
  const place = cli(t);
  const lab = place.lab("names");
  await place.ok("up", "veth-pair", "--name", lab);
  const foreign = `/run/netns/${lab}-foreign`;
  symlinkSync("/proc/1/ns/net", foreign);
  t.teardown(() => unlinkSync(foreign));
  kill(initOf(place, lab));
  t.true(await ended(place, lab));
  await place.ok("gc");
  t.deepEqual(remains(place.stateRoot, lab), [foreign]);
});

test.serial("the lock of a command that was killed before it made anything", async (t) => {
  const place = cli(t);
  const lab = place.lab("lock");
  await place.ok("ls"); // makes the state folder
  writeFileSync(path.join(place.stateRoot, `${lab}.lock`), "yapc-net up (PID 1)");
  t.is(remains(place.stateRoot, lab).length, 1);
  await place.ok("gc");
  t.deepEqual(remains(place.stateRoot, lab), []);
});

test.serial("trace says so when the lab ends under it", async (t) => {
  const place = cli(t);
  const lab = place.lab("gone");
  await place.ok("up", "veth-pair", "--name", lab);
  const trace = place.start(["trace", "--lab", lab, "--json", "--save", path.join(place.folder, "gone")]);
  const listening = () => existsSync(path.join(place.folder, "gone.trace", "captures", "1-host_veth1.pcap"));
  t.true(await until(listening), trace.output());
  await delay(300); // tcpdump has opened its socket; a kill before that is another test's
  kill(initOf(place, lab));
  const { code, stdout } = await trace.ended;
  t.is(code, 4);
  t.regex(stdout.trim().split("\n").at(-1) ?? "", /^\{"error":\{"code":"INIT_GONE","message":"the lab has ended/);
  await place.ok("gc");
});

const phases = ["up", "apply", "down"] as const;
const victims = ["command", "init", "both"] as const;
const labs = ["docker-bridge", "double-nat", "router-chain", "hairpin-nat", "yapc-bridge"] as const;
/** The steps that a command takes outside of itself: messages to the kernel and to init, and what it does to files. */
const calls = ["sendto", "sendto", "sendto", "sendmsg", "mkdir", "rename", "unlink", "symlink"] as const;

/**
 * Runs a command that is stopped before the call `call` number `step`, whereupon the victims are killed.
 * @returns its PID where it stands stopped; how often it made the call where that was less, and it came to its end
 */
async function killAt(place: Place, command: readonly string[], call: string, step: number, kills: () => void) {
  const trace = path.join(place.folder, "strace");
  writeFileSync(trace, "");
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=STOP:when=${step}`];
  const running = place.start(command, { under: ["strace", "-o", trace, ...inject] });
  const over = () => running.child.exitCode !== null || running.child.signalCode !== null;
  const stopped = () => readFileSync(trace, "latin1").includes("--- stopped by SIGSTOP ---");
  if (!(await until(() => over() || stopped()))) throw new Error(`${command.join(" ")} neither ended nor stopped`);
  const { ended } = running;
  if (over()) return { made: readFileSync(trace, "latin1").split(`${call}(`).length - 1, ended };
  kills();
  return { pid: childOf(running.pid), ended };
}

function childOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ")[0]) || undefined;
  } catch {
    return undefined;
  }
}

test.serial(`${killPoints} kills at random steps leave nothing`, async (t) => {
  if (!has(t, "strace")) return;
  t.timeout(killPoints * 60_000);
  t.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] ?? list[0]!;
  const place = cli(t);
  // How often a command makes a call, as far as is known from one that came to its end.
  const known = new Map<string, number>();
  let beyond = 0;
  for (let point = 0; point < killPoints; point++) {
    const [phase, victim, topology, other] = [phases[point % 3]!, pick(victims), pick(labs), pick(labs)];
    const wish = pick(calls);
    const call = known.get(`${phase} ${wish}`) === 0 ? "sendto" : wish;
    const kind = `${phase} ${call}`;
    const step = 1 + Math.floor(random() * (known.get(kind) ?? (call === "sendto" ? 40 : 3)));
    const lab = place.lab("kill");
    const story = `point ${point}: ${victim} killed at ${call} ${step} during ${phase} of ${topology}`;
    if (phase !== "up") await place.ok("up", topology, "--name", lab);
    const command =
      phase === "up"
        ? ["up", topology, "--name", lab]
        : phase === "apply"
          ? ["up", other, "--name", lab]
          : ["down", lab];
    const init = () => (victim === "command" ? undefined : initOf(place, lab));
    const { pid, made, ended: end } = await killAt(place, command, call, step, () => kill(init()));
    if (made === undefined) kill(pid, victim === "init" ? "SIGCONT" : "SIGKILL");
    else {
      // It made fewer of these calls: what it left is killed as it is.
      kill(init());
      known.set(kind, made);
      beyond += 1;
    }
    const outcome = await end;
    if (victim === "init" && outcome.code !== 0)
      t.regex(outcome.stderr, /^(warning: .*\n)*error: /, `${story}: ${outcome.stderr}`);
    t.notRegex(outcome.stderr, /a bug in yapc-net/, `${story}: ${outcome.stderr}`);

    const record = recordOf(place, lab);
    const running = record !== undefined && isAlive(record);
    if (running && phase === "apply" && victim === "command") {
      // Half of an apply is no dead end: the next one finishes it.
      await place.ok("up", other, "--name", lab);
      const { operations } = await place.json<{ operations: { text: string }[] }>("up", other, "--name", lab);
      t.deepEqual(operations, [], story);
    }
    if (running) await place.run("down", lab);
    await place.ok("gc");
    t.true(await ended(place, lab), `${story}: ${remains(place.stateRoot, lab).join("\n")}`);
    t.deepEqual(remains(place.stateRoot, lab), [], story);
  }
  t.log(`${killPoints - beyond} in the middle of a command, ${beyond} after its end`);
});

test.serial("the machine and the lab beside are as they were", async (t) => {
  t.is(await machineListing(), before);
  const { operations } = await beside.json<{ operations: unknown[] }>("up", "veth-pair", "--name", neighbour);
  t.deepEqual(operations, []);
  t.is((await beside.run("exec", `${neighbour}/host`, "--", "ping", "-c", "1", "-W", "2", "10.1.0.1")).code, 0);
});
