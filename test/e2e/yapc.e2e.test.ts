/**
 * The transcript of yapc's demo (https://github.com/ailispaw/yapc-barge, DEMO.md) with the new name, step by step.
 * `sudo ip …` on yapc's machine is `yapc-net exec host -- ip …` here: the machine of the lesson is a namespace.
 */
import { spawn } from "node:child_process";
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { cli, type Cli, executable, isRoot, program, type Running, until } from "./cli.js";
import { has, skip } from "../tools.js";

function yapc(place: Cli, environment: Record<string, string>, ...command: string[]): Running {
  return place.start(["run", ...command], { environment });
}

async function output(place: Cli, environment: Record<string, string>, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await yapc(place, environment, "--", ...command).ended;
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

test.serial("namespaces (p.20): processes and host name are its own", async (t) => {
  const place = cli(t);
  const processes = await output(place, {}, "busybox", "ps", "-o", "pid,comm");
  t.deepEqual(
    processes
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/)[0]),
    ["1", "2"],
    "our PID 1 and the command",
  );
  const before = os.hostname();
  t.is(await output(place, {}, "hostname"), `${before}\n`, "without YAPC_NAME the machine's");
  t.is(await output(place, { YAPC_NAME: "yapc" }, "sh", "-c", "hostname; cat /etc/hostname"), "yapc\nyapc\n");
  t.is((await program("hostname")).stdout, `${before}\n`);
});

test.serial("arguments and the exit code arrive as they are", async (t) => {
  const place = cli(t);
  t.is(await output(place, {}, "echo", "a   b", "", "$HOME"), "a   b  $HOME\n");
  t.is((await yapc(place, {}, "--", "sh", "-c", "exit 7").ended).code, 7);
  t.is((await yapc(place, {}, "--", "sh", "-c", "kill -9 $$").ended).code, 137);
  const missing = await yapc(place, {}, "--", "no-such-program").ended;
  t.is(missing.code, 127);
  t.regex(missing.stderr, /cannot run no-such-program .*ENOENT/);
  const piped = place.start(["run", "--", "cat"], { input: "through a pipe\n" });
  t.is((await piped.ended).stdout, "through a pipe\n");
  const shown = await output(place, { YAPC_NAME: "x", SECRET: "y" }, "env");
  t.notRegex(shown, /YAPC_|SECRET/);
});

test.serial("cgroup (p.28): the limits are those of the variables", async (t) => {
  const place = cli(t);
  const limits = { YAPC_CPU_QUOTA: "50000", YAPC_MEMORY_LIMIT: "33554432", YAPC_PIDS_MAX: "12" };
  const running = yapc(place, limits, "--", "sh", "-c", "echo ready; cat /proc/self/cgroup; exec sleep 60");
  t.true(await until(() => running.output().includes("ready")), running.output());
  if (/ of 'yapc' ha(s|ve) no effect here/.test(running.output())) {
    running.child.kill("SIGTERM");
    await running.ended;
    skip(t, "no cgroup of this machine may be used by this user");
    return;
  }
  const group = `yapc-net-yapc${running.pid}/yapc`;
  const read = (...files: string[]) => {
    const file = files.map((each) => path.join("/sys/fs/cgroup", each)).find((each) => existsSync(each));
    return file === undefined ? `none of ${files.join(" ")}` : readFileSync(file, "utf8").trim();
  };
  t.regex(read(`cpu/${group}/cpu.cfs_quota_us`, `${group}/cpu.max`), /^50000( 100000)?$/);
  t.is(read(`memory/${group}/memory.limit_in_bytes`, `${group}/memory.max`), "33554432");
  t.is(read(`pids/${group}/pids.max`, `${group}/pids.max`), "12");
  running.child.kill("SIGTERM");
  t.is((await running.ended).code, 143);
  t.false(["cpu", "memory", "pids", ""].some((each) => existsSync(path.join("/sys/fs/cgroup", each, group))));
});

/** Seconds of CPU that a process and those that it has waited for took (proc_pid_stat(5); 100 ticks a second). */
function cpuOf(pids: readonly string[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);
}

test.serial("cgroup (p.28): half a CPU, by the accounting of the cgroup", async (t) => {
  const place = cli(t);
  // Two that would take two CPUs, as `yes` does.
  const running = yapc(place, { YAPC_CPU_QUOTA: "50000" }, "--", "sh", "-c", "yes >/dev/null & exec yes >/dev/null");
  const group = `yapc-net-yapc${running.pid}/yapc`;
  const folder = () => [`/sys/fs/cgroup/cpu/${group}`, `/sys/fs/cgroup/${group}`].find((each) => existsSync(each));
  if (!(await until(() => folder() !== undefined || running.output() !== ""))) return t.fail(running.output());
  const found = folder();
  if (found === undefined) {
    t.regex(running.output(), /the cpu limit of 'yapc' has no effect here/);
    running.child.kill("SIGTERM");
    await running.ended;
    skip(t, "no cgroup of this machine may be used by this user");
    return;
  }
  const counter = (name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readFileSync(path.join(found, "cpu.stat"), "utf8"))?.[1]);
  t.true(await until(() => counter("nr_periods") >= 20), "twenty periods");
  // Of each period of 100 ms it has 50 at the most, and all of them where it had to wait: so time is counted in periods,
  // and how busy the machine is does not matter.
  const [throttled, pids] = [
    counter("nr_throttled"),
    readFileSync(path.join(found, "cgroup.procs"), "utf8").trim().split("\n"),
  ];
  const used = cpuOf(pids);
  const periods = counter("nr_periods");
  t.true(used <= (periods + 1) * 0.05 * 1.1, `${used} s of CPU in ${periods} periods`);
  t.true(used >= throttled * 0.05 * 0.8, `${used} s of CPU, throttled ${throttled} times`);
  running.child.kill("SIGTERM");
  t.is((await running.ended).code, 143);
});

test.serial("the other seed, experiment one: a program that eats memory is killed, and the reason told", async (t) => {
  const place = cli(t);
  const eats = "head -c 300M /dev/zero | tail -c 300M >/dev/null";
  const { code, stderr } = await yapc(place, {}, "--memory", "30M", "--", "sh", "-c", eats).ended;
  if (stderr.includes(" has no effect here")) {
    skip(t, "no cgroup of this machine may be used by this user");
    return;
  }
  t.is(code, 137, stderr);
  t.regex(stderr, /^killed: memory limit 30M reached$/m);

  const lab = (await place.ok("run", "--detach", "--memory", "30M", "--", "sh", "-c", eats)).trim();
  t.teardown(() => place.run("down", lab));
  const state = async () => {
    const { nodes } = await place.json<{ nodes: { container?: { state: string; reason?: string } }[] }>("inspect", lab);
    return nodes[0]?.container;
  };
  t.true(await until(async () => (await state())?.state === "ended"));
  t.is((await state())?.reason, "killed: memory limit 30M reached");
  t.regex(await place.ok("inspect", lab), /ended: killed: memory limit 30M reached/);
  t.regex((await place.run("logs", `${lab}/yapc`)).stderr, /^yapc ended: killed: memory limit 30M reached$/m);
});

test.serial(
  "the other seed, experiment one: no process of the machine can be seen or killed from inside",
  async (t) => {
    const place = cli(t);
    const victim = spawn("sleep", ["1000"], { stdio: "ignore" });
    t.teardown(() => victim.kill());
    const kill = `kill -9 ${victim.pid} 2>&1; pkill sleep; ps -o comm= -e | grep -c sleep; ls /proc/${victim.pid} 2>&1`;
    const seen = await yapc(place, {}, "--", "sh", "-c", kill).ended;
    t.regex(seen.stdout, /[Nn]o such process/);
    t.regex(seen.stdout, /^0$/m);
    t.regex(seen.stdout, /No such file/);
    t.is(victim.exitCode ?? victim.signalCode, null, "it goes on");
  },
);

test.serial("capabilities (p.39): no ping without net_raw, ping with it", async (t) => {
  const place = cli(t);
  const bounding = async (environment: Record<string, string>) =>
    /CapBnd:\s+(\w+)/.exec(await output(place, environment, "cat", "/proc/self/status"))?.[1];
  t.is(await bounding({}), "00000000a80405fb", "yapc's 13, and nothing newer than they");
  t.is(await bounding({ YAPC_CAPS: "cap_net_raw" }), "0000000000002000");
  t.is(await bounding({ YAPC_CAPS: "cap_net_raw,cap_net_admin" }), "0000000000003000");
  const unknown = await yapc(place, { YAPC_CAPS: "cap_fly" }, "--", "true").ended;
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /there is no capability fly/);

  const ping = ["busybox", "ping", "-c", "1", "127.0.0.1"];
  // In the machine's own network ping_group_range may allow it without any capability.
  const range = readFileSync("/proc/sys/net/ipv4/ping_group_range", "utf8").trim();
  if (!isRoot || /^1\s+0$/.test(range)) {
    const denied = await yapc(place, {}, "--", ...ping).ended;
    t.not(denied.code, 0);
    t.regex(denied.stdout + denied.stderr, /permission denied/i);
  }
  t.regex(await output(place, { YAPC_CAPS: "cap_net_raw" }, ...ping), /64 bytes from 127\.0\.0\.1/);
});

test.serial("capabilities (p.39): the three ways in which a ping is denied or is not", async (t) => {
  const place = cli(t);
  const lab = (
    await place.ok("run", "--net", "new", "--bind", `${place.folder}:/probe:ro`, "--detach", "--", "sleep", "1000")
  ).trim();
  t.teardown(() => place.run("down", lab));
  const node = `${lab}/yapc`;
  const busybox = ["busybox", "ping", "-c", "1", "127.0.0.1"];
  // The namespace has `1 0`, nobody: it is the capability that counts.
  await place.ok("exec", "--outside", node, "--", "ip", "link", "set", "lo", "up");
  const denied = await place.run("exec", node, "--", ...busybox);
  t.not(denied.code, 0);
  t.regex(denied.stdout + denied.stderr, /permission denied/i);
  // A range that covers the group: no capability is needed, for a program that knows of such sockets (iputils does).
  if (!((await program("ping", "-V").catch(() => undefined))?.stdout ?? "").includes("iputils")) {
    skip(t, "no ping of iputils");
    return;
  }
  // A copy has no capabilities of the file.
  await program("sh", "-c", `cp "$(command -v ping)" ${place.folder}/ping`);
  const group = isRoot ? 0 : (process.getgid?.() ?? 0);
  const range = `echo ${group} ${group} > /proc/sys/net/ipv4/ping_group_range`;
  const opened = await place.run("exec", "--outside", node, "--", "sh", "-c", range);
  t.is(opened.code, 0, opened.stderr);
  t.regex(await place.ok("exec", node, "--", "/probe/ping", "-c", "1", "127.0.0.1"), /64 bytes from 127\.0\.0\.1/);

  // A file that asks for the capability cannot even be run where the bounding set lacks it.
  const root = path.join(place.folder, "root");
  const made = await program(
    "sh",
    "-c",
    `mkdir -p ${root}/bin && cp "$(command -v busybox)" ${root}/bin/ping && setcap cap_net_raw+ep ${root}/bin/ping`,
  );
  if (made.code !== 0) {
    skip(t, `the third: ${made.stderr.trim().split("\n")[0] ?? ""}`);
    return;
  }
  const refused = await yapc(place, {}, "--root", root, "--", "ping", "-c", "1", "127.0.0.1").ended;
  t.is(refused.code, 126);
  t.regex(refused.stderr, /cannot run ping in yapc: operation not permitted \(EPERM\)\n.*capability/);
});

test.serial("pivot_root and overlay (p.48): what it writes lies in its own layer", async (t) => {
  const place = cli(t);
  const running = yapc(place, {}, "--", "sh", "-c", "echo mine > /yapc; ls -l /yapc; exec sleep 60");
  t.true(await until(() => running.output().includes("/yapc\n")), running.output());
  t.false(existsSync("/yapc"));
  const node = `yapc${running.pid}/yapc`;
  t.is(
    await place.ok("exec", node, "--", "cat", "/yapc"),
    "mine\n",
    "exec lands in the container, whosever its network is",
  );
  const outside = await place.run("exec", "--outside", node, "--", "cat", "/yapc");
  t.not(outside.code, 0, "and with --outside beside it");
  t.regex(outside.stderr, /^cat: .*\/yapc/);
  const upper = path.join(place.stateRoot, `yapc${running.pid}/containers/yapc/machine/upper/yapc`);
  t.is(readFileSync(upper, "utf8"), "mine\n");
  running.child.kill("SIGTERM");
  await running.ended;
  t.false(existsSync(upper), "gone with the command");
});

test.serial("a root of its own (p.49): YAPC_ROOT", async (t) => {
  const place = cli(t);
  const root = path.join(place.folder, "debian");
  const made = await program(
    "sh",
    "-c",
    `mkdir -p ${root}/bin ${root}/etc && cp "$(command -v busybox)" ${root}/bin/busybox && ln -s busybox ${root}/bin/sh && ln -s busybox ${root}/bin/cat && echo 'PRETTY_NAME="mine"' > ${root}/etc/os-release`,
  );
  t.is(made.code, 0, made.stderr);
  t.is(await output(place, { YAPC_ROOT: "debian" }, "cat", "/etc/os-release"), 'PRETTY_NAME="mine"\n');
  const missing = await yapc(place, { YAPC_ROOT: "no-such-folder" }, "--", "true").ended;
  t.is(missing.code, 2);
  t.regex(missing.stderr, /no-such-folder is neither/);
});

test.serial("another distribution as root (p.49): Debian, and its own program runs", async (t) => {
  const place = cli(t);
  const tree = path.join(os.tmpdir(), "yapc-net-debian");
  if (!isRoot) {
    skip(t, "debootstrap makes a tree as root only");
    return;
  }
  if (!existsSync(path.join(tree, "usr/games/sl"))) {
    if (process.env.YAPC_NET_SOAK === undefined) {
      skip(t, `no Debian in ${tree}: npm run soak makes one with debootstrap, which takes minutes`);
      return;
    }
    const made = await program("debootstrap", "--variant=minbase", "--include=sl", "stable", tree).catch(
      () => undefined,
    );
    if (made?.code !== 0) {
      skip(t, `debootstrap: ${made?.stderr ?? "not on this machine"}`);
      return;
    }
  }
  const inside =
    "grep ^ID= /etc/os-release; dpkg --version | head -1; test -x /usr/games/sl && ldd /usr/games/sl | grep -c curses";
  t.regex(
    await output(place, { YAPC_ROOT: tree }, "sh", "-c", inside),
    /^ID=debian\nDebian .*package management.*\n1\n$/,
  );
});

test.serial("network (p.56 to 60): eth0 inside, vethyapcPID outside, a bridge between", async (t) => {
  const place = cli(t);
  const environment = { YAPC_NET: "1", YAPC_CAPS: "cap_net_raw,cap_net_admin" };
  // The kernel tells of a missing carrier up to a second later (net/core/link_watch.c).
  const look = "for attempt in $(seq 100); do ip -o link | grep -q NO-CARRIER && break; sleep 0.1; done; ip -o link";
  const links = await output(place, environment, "sh", "-c", look);
  t.regex(links, /^1: lo: <LOOPBACK> .* state DOWN/m);
  t.regex(links, /^\d+: eth0@if\d+: <NO-CARRIER,BROADCAST,MULTICAST,UP> /m);
  t.is(links.trim().split("\n").length, 2, "and no interface of the machine");

  const machine = (await program("ip", "-o", "link")).stdout.replaceAll(/qlen.*/g, "");
  // The container's part of the transcript; it waits for the other terminal.
  const inside = `ip link set dev eth0 up; ip a add 10.0.0.10/24 dev eth0; echo waiting
    until ip -o link show eth0 | grep -q LOWER_UP; do sleep 0.1; done
    for attempt in $(seq 60); do busybox ping -c 1 -W 1 10.0.0.1 && exit 0; done; exit 1`;
  const running = yapc(place, environment, "--", "sh", "-c", inside);
  t.true(await until(() => running.output().includes("waiting")), running.output());
  const lab = `yapc${running.pid}`;
  const host = (...command: string[]) => place.ok("exec", `${lab}/host`, "--", ...command);
  t.regex(await host("ip", "link"), new RegExp(`veth${lab}@if\\d+: <BROADCAST,MULTICAST> .* state DOWN`));
  await host("ip", "link", "add", "name", "yapc0", "type", "bridge");
  await host("ip", "link", "set", "dev", "yapc0", "up");
  await host("ip", "a", "add", "10.0.0.1/24", "broadcast", "10.0.0.255", "label", "yapc0", "dev", "yapc0");
  await host("ip", "link", "set", "dev", `veth${lab}`, "up");
  await host("ip", "link", "set", "dev", `veth${lab}`, "master", "yapc0");
  const { code, stdout } = await running.ended;
  t.is(code, 0, stdout);
  t.regex(stdout, /64 bytes from 10\.0\.0\.1: seq=\d/);
  t.is((await program("ip", "-o", "link")).stdout.replaceAll(/qlen.*/g, ""), machine, "the machine is as it was");
});

/*
 *   host:vethyapcPID ---- yapc:eth0      10.1.0.2, 10.1.0.1
 */
test.serial(
  "the other seed, experiment two: a veth pair between host and container, pinged and captured",
  async (t) => {
    const place = cli(t);
    if (!has(t, "tcpdump")) return;
    const lab = (await place.ok("run", "--net", "new", "--detach", "--", "sleep", "1000")).trim();
    t.teardown(() => place.run("down", lab));
    const host = (...command: string[]) => place.ok("exec", `${lab}/host`, "--", ...command);
    const inside = (...command: string[]) => place.ok("exec", "--outside", `${lab}/yapc`, "--", ...command);
    await host("ip", "link", "set", `veth${lab}`.slice(0, 15), "up");
    await host("ip", "addr", "add", "10.1.0.2/24", "dev", `veth${lab}`.slice(0, 15));
    await inside("ip", "addr", "add", "10.1.0.1/24", "dev", "eth0");
    const capture = place.start([
      "exec",
      "--outside",
      `${lab}/yapc`,
      "--",
      "tcpdump",
      "-i",
      "eth0",
      "-n",
      "-l",
      "-c",
      "2",
      "icmp",
    ]);
    t.true(await until(() => capture.output().includes("listening on")), capture.output());
    t.regex(
      await host("busybox", "ping", "-I", "10.1.0.2", "-c", "1", "-W", "20", "10.1.0.1"),
      /64 bytes from 10\.1\.0\.1/,
    );
    const { stdout } = await capture.ended;
    t.regex(
      stdout,
      /IP 10\.1\.0\.2 > 10\.1\.0\.1: ICMP echo request.*\n.*IP 10\.1\.0\.1 > 10\.1\.0\.2: ICMP echo reply/,
    );
  },
);

test.serial(
  "an ordinary user with ids of his own in /etc/subuid: other users inside, and nothing of theirs stays",
  async (t) => {
    const place = cli(t);
    const user = 61235;
    const seen =
      (await program("setpriv", "--reuid", String(user), "--clear-groups", "test", "-r", executable)).code === 0;
    const reason = !isRoot
      ? "needs root, who makes such a user"
      : !existsSync("/usr/bin/newuidmap")
        ? "needs newuidmap (Debian: uidmap)"
        : !seen
          ? "the project lies where an ordinary user cannot read it"
          : undefined;
    if (reason !== undefined) {
      skip(t, reason);
      return;
    }
    // Files of the machine as this one process tree sees them.
    const files = { passwd: `root:x:0:0::/:/bin/sh\nmapped:x:${user}:${user}::/:/bin/sh\n`, subuid: "", subgid: "" };
    files.subuid = files.subgid = "mapped:700000:65536\n";
    const binds = Object.entries(files).map(([name, text]) => {
      writeFileSync(path.join(place.folder, name), text);
      return `mount --bind ${place.folder}/${name} /etc/${name}`;
    });
    chownSync(place.folder, user, user);
    const become = `setpriv --reuid ${user} --regid ${user} --clear-groups "$@"`;
    const under = ["unshare", "--mount", "sh", "-c", [...binds, `exec ${become}`].join(" && "), "sh"];
    const write = "umask 077; mkdir /tmp/theirs; touch /tmp/theirs/file; id -u; id -G; cat /proc/self/uid_map";
    const { code, stdout, stderr } = await place.start(["run", "--user", "33:33", "--", "sh", "-c", write], { under })
      .ended;
    t.is(code, 0, stderr);
    t.deepEqual(stdout.trim().split(/\s+/).map(Number), [33, 33, 0, user, 1, 1, 700000, 65536]);
    t.deepEqual(readdirSync(path.join(place.folder, "yapc-net")), []);
  },
);

test.serial("--explain: each step with its shell line, and nothing is run", async (t) => {
  const place = cli(t);
  const { code, stdout } = await place.run("run", "--explain", "--name", "box", "--", "touch", "/tmp/never");
  t.is(code, 0);
  t.regex(stdout, /\$ unshare .*--mount.*--pid/);
  t.regex(stdout, /\$ hostname box/);
  t.regex(stdout, /pivot_root/);
  t.false(existsSync("/tmp/never"));
  const debug = await yapc(place, { YAPC_DEBUG: "1" }, "--", "echo", "ran").ended;
  t.is(debug.stdout, "ran\n");
  t.regex(debug.stderr, /\$ unshare /);
});

test.serial("wrong settings: one line, exit code 2", async (t) => {
  const place = cli(t);
  for (const [environment, message] of [
    [{ YAPC_CPU_QUOTA: "half" }, /YAPC_CPU_QUOTA=half is not microseconds/],
    [{ YAPC_MEMORY_LIMIT: "much" }, /YAPC_MEMORY_LIMIT=much is no size/],
    [{ YAPC_PIDS_MAX: "-1" }, /YAPC_PIDS_MAX=-1 is not a number of processes/],
  ] as const) {
    const { code, stderr } = await yapc(place, environment, "--", "true").ended;
    t.is(code, 2);
    t.regex(stderr, message);
  }
  t.is((await place.run("run")).code, 2);
  t.is((await place.run("run", "--cpu", "x", "--", "true")).code, 2);
});

test.serial("Ctrl-C and kill -9 end the container", async (t) => {
  const place = cli(t);
  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const running = yapc(place, {}, "--", "sh", "-c", "echo up; exec sleep 300");
    t.true(await until(() => running.output().includes("up")), running.output());
    const name = `yapc${running.pid}`;
    running.child.kill(signal);
    t.is((await running.ended).code, signal === "SIGINT" ? 130 : 137);
    const labs = async () =>
      (await place.json<{ name: string; state: string }[]>("ls")).filter((each) => each.name === name);
    t.true(await until(async () => (await labs()).every(({ state }) => state !== "running")));
    await place.run("gc");
    t.deepEqual(await labs(), []);
  }
});
