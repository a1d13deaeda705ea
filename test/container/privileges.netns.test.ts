/**
 * What a container is kept from, second half: rights, users, signals, names, limits. A test is named by the number of its
 * rule in docs/security.md, and by the CVE that taught it.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { capabilityMask } from "../../src/container/capabilities.js";
import { findIdRanges, type IdRange } from "../../src/init/id-ranges.js";
import { capabilityNames } from "../../src/model/capability.js";
import { defaultCapabilities, environment, inside, lab, runBox, startBox, type TestLab } from "../init/lab.js";
import { busyboxRoot } from "./roots.js";

const uid = process.getuid?.() ?? 0;
const asRoot = uid === 0;
const lastCapability = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
const hex = (mask: bigint) => mask.toString(16).padStart(16, "0");
const none = hex(0n);

/** What root has here, which may be less than all: nothing can be given that is not there. In a user namespace there is everything. */
function ceiling(): bigint {
  const own = /^CapBnd:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return asRoot ? BigInt(`0x${own}`) : -1n;
}

/** The same look at the command of a container and at one that joins it. */
async function both(t: ExecutionContext, place: TestLab, line: string, capabilities: readonly string[]) {
  const own = await runBox(t, place, line, { capabilities });
  await startBox(t, place, "box", { command: ["sleep", "1000"], capabilities });
  const joined = await inside(place.init, "box", line);
  await place.init.stopContainer("box", 0);
  return [own.text, joined.text];
}

test("10: nothing is inheritable or ambient, so that no exec brings it back (CVE-2022-24769, CVE-2022-27650)", async (t) => {
  const place = await lab(t);
  for (const text of await both(t, place, "grep -E '^Cap(Inh|Amb)' /proc/self/status", defaultCapabilities))
    t.is(text, `CapInh:\t${none}\nCapAmb:\t${none}\n`);
});

test("11: the bounding set is exactly what was asked for, up to the last capability that this kernel knows", async (t) => {
  const place = await lab(t);
  const known = capabilityNames.slice(0, lastCapability + 1);
  const line = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status";
  for (const capabilities of [[], defaultCapabilities, known]) {
    const set = hex(capabilityMask(capabilities, lastCapability) & ceiling());
    for (const text of await both(t, place, line, capabilities))
      t.is(text, `CapPrm:\t${set}\nCapEff:\t${set}\nCapBnd:\t${set}\n`);
  }
  await t.throwsAsync(runBox(t, place, "true", { capabilities: ["net_admn"] }), {
    message: "there is no capability net_admn",
  });
});

test("12: bounding set, ids, capabilities, no new privileges, filter: whoever is not root ends with nothing", async (t) => {
  const place = await lab(t);
  const line = "grep -E '^(Uid|Gid|Groups|Cap(Prm|Eff)|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '";
  const status = (uid: number, set: string) =>
    `Uid: ${`${uid} `.repeat(4).trim()}\nGid: ${`${uid} `.repeat(4).trim()}\nGroups:  \nCapPrm: ${set}\nCapEff: ${set}\nNoNewPrivs: 1\nSeccomp: 2\n`;
  const found = await runBox(t, place, line);
  const set = hex(capabilityMask(defaultCapabilities, lastCapability));
  // Without a range of ids the groups of the user stay, unmapped: they cannot be dropped.
  t.is(found.text.replace(/^Groups:.*$/m, place.init.ids.groups > 1 ? "$&" : "Groups:  "), status(0, set));
  if (place.init.ids.users > 1) t.is((await runBox(t, place, line, { user: "12345" })).text, status(12345, none));
  else
    await t.throwsAsync(runBox(t, place, line, { user: "12345" }), {
      message: "the container cannot run as 12345:12345: it has only root",
    });
});

test("13: the user comes from the container's own files, whatever these are (CVE-2026-30892)", async (t) => {
  const place = await lab(t);
  // A shell and id(1) would look into the file by themselves.
  const start = async (user: string, passwd: (path: string) => void) => {
    const root = busyboxRoot(t, (folder) => {
      mkdirSync(join(folder, "etc"));
      passwd(join(folder, "etc/passwd"));
    });
    return root === undefined
      ? undefined
      : (await runBox(t, place, "", { root, user, command: ["stat", "-c", "%u", "/proc/self/status"] })).text;
  };
  const root = "root:x:0:0::/:/bin/sh\n";
  const missing = { message: /^the container has no user/ };
  if ((await start("root", (path) => writeFileSync(path, root))) === undefined) return;
  t.is(await start("root", (path) => spawnSync("mkfifo", [path])), "0\n"); // a FIFO would never end
  t.is(await start("0", (path) => spawnSync("truncate", ["-s", "1T", path])), "0\n");
  t.is(await start("root", (path) => mkdirSync(path)), "0\n");
  t.is(await start("0", (path) => spawnSync("ln", ["-s", "/etc/shadow", path])), "0\n");
  await t.throwsAsync(
    start("daemon", (path) => writeFileSync(path, root)),
    missing,
  ); // the machine has one
  await t.throwsAsync(
    start("0x0", (path) => writeFileSync(path, root)),
    missing,
  );
  await t.throwsAsync(
    start("", (path) => writeFileSync(path, `:x:0:0::/:\n${root}`)),
    missing,
  );
});

test("14: a session of its own without the machine's terminal, into which nothing can be typed (CVE-2017-5226)", async (t) => {
  const place = await lab(t);
  const run = await runBox(t, place, "cut -d' ' -f5,6,7 /proc/self/stat; (: < /dev/tty) 2>&1");
  t.regex(run.text, /^2 2 0\n.*(No such device or address|cannot open)/);
});

test("15: abstract sockets of the machine are not there (CVE-2020-15257)", async (t) => {
  const name = `yapc-net-abstract-${process.pid}`;
  const server = createServer().listen(`\0${name}`);
  t.teardown(() => server.close());
  t.regex(readFileSync("/proc/net/unix", "latin1"), new RegExp(`@${name}`));
  const place = await lab(t);
  const run = await runBox(t, place, `grep -c @${name} /proc/net/unix; readlink /proc/self/ns/net`);
  t.is(run.text, `0\nnet:[${(await place.init.nodes())[0]?.netns}]\n`);
});

test("16: system calls that a container has no business with are refused; new namespaces among them", async (t) => {
  const place = await lab(t);
  const line =
    "grep '^Seccomp:' /proc/self/status; unshare -U true 2>&1; unshare -n true 2>&1; mount -t tmpfs none /mnt 2>&1 | head -1; (true) && echo forks";
  const run = await runBox(t, place, line, { capabilities: [...defaultCapabilities, "net_admin"] });
  t.regex(run.text, /^Seccomp:\t2\n(.*(not permitted|permission denied).*\n){3}forks\n$/);
  const open = await runBox(t, place, "grep '^Seccomp:' /proc/self/status", { seccomp: false });
  t.is(open.text, "Seccomp:\t0\n");
});

test("17: without root the user's own id is mapped, and what newuidmap gives him; alone, its groups cannot be dropped", async (t) => {
  const place = await lab(t);
  const run = await runBox(t, place, "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups");
  const numbers = run.text.trim().split(/\s+/);
  if (asRoot) t.deepEqual(numbers, ["0", "0", "4294967295", "0", "0", "4294967295", "allow"]);
  else {
    const ranges = findIdRanges();
    const map = (own: number | undefined, range?: IdRange) => [
      ...["0", String(own), "1"],
      ...(range === undefined ? [] : ["1", String(range.first), String(range.count)]),
    ];
    t.deepEqual(numbers, [
      ...map(uid, ranges?.users),
      ...map(process.getgid?.(), ranges?.groups),
      ranges === undefined ? "deny" : "allow",
    ]);
  }
});

test("18: names of nodes become files and options, and are letters, digits, _ . - only", async (t) => {
  const { init } = await lab(t);
  for (const name of [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "-rf",
    ".hidden",
    "a b",
    "a:b",
    "a\nb",
    "ä",
    "a$(id)",
    "x".repeat(129),
  ])
    await t.throwsAsync(init.createNodes([{ name, container: true }]), { code: "EINVAL" }, JSON.stringify(name));
  t.deepEqual(await init.nodes(), []);
  await init.createNodes([{ name: "a.b-c_1", container: false }]);
});

test("20: init's socket and state are its owner's; a process is its number and its start time", async (t) => {
  const { init, folder } = await lab(t);
  const socket = join(folder, "init.sock");
  t.is(statSync(socket).mode & 0o777, 0o600);
  t.is(statSync(socket).uid, uid);
  const [pid, startTime] = readFileSync(join(folder, "init.pid"), "utf8").trim().split(" ");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  t.deepEqual([Number(pid), startTime], [init.pid, stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]]);
  if (asRoot) {
    // Even where the folder could be entered, nobody else may speak.
    spawnSync("chmod", ["755", folder]);
    t.is(spawnSync("test", ["-w", socket], { uid: 65534, gid: 65534 }).status, 1);
    t.is(spawnSync("test", ["-r", join(folder, "init.pid")], { uid: 65534, gid: 65534 }).status, 1);
  }
});

test("22: sysctls are net.* only, in the node only", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "box", container: true }]);
  for (const name of [
    "kernel.hostname",
    "vm.swappiness",
    "net",
    "net.",
    "net...kernel.hostname",
    "net.//.//kernel.hostname",
    "net/../kernel/hostname",
    "fs.file-max",
    "",
  ]) {
    await t.throwsAsync(init.writeSysctls("box", [[name, "1"]]), undefined, name);
    const read = await init.readSysctls("box", [name]).catch(() => []);
    t.deepEqual(read.filter(Boolean), [], name);
  }
  await startBox(t, { init, folder: (await lab(t)).folder }, "box", { command: ["sleep", "1000"] });
  const write = await inside(
    init,
    "box",
    "echo 1 2>&1 > /proc/sys/net/ipv4/ip_forward; echo x 2>&1 > /proc/sys/kernel/hostname",
  );
  t.regex(write.text, /(Read-only|nonexistent).*\n.*(Read-only|nonexistent)/);
});

test("24: the environment is exactly the one asked for", async (t) => {
  const place = await lab(t);
  process.env.YAPC_SECRET = "secret";
  t.teardown(() => delete process.env.YAPC_SECRET);
  const run = await runBox(t, place, "tr '\\0' '\\n' < /proc/2/environ", { environment: [...environment, ["A", "1"]] });
  t.is(run.text, `${[...environment, ["A", "1"]].map(([name, value]) => `${name}=${value}`).join("\n")}\n`);
});

test("25: limits hold before the first instruction; no core files; tmpfs is bounded", async (t) => {
  const place = await lab(t);
  const line = "ulimit -c; df -k /dev /dev/shm | awk 'NR>1 {print $2}'";
  t.is((await runBox(t, place, line)).text, "0\n65536\n65536\n");
  await place.init.createNodes([{ name: "limited", container: true }]);
  // PID 1 and the command: its first fork is one too many.
  const { process: child, unenforced } = await startBox(t, place, "limited", {
    command: ["sh", "-c", "(true) 2>&1"],
    limits: { pids: 2 },
  });
  const { code } = await child.exit;
  if (unenforced.length > 0) {
    t.log(`SKIP ${unenforced[0]?.reason}`);
    t.false(asRoot);
    return;
  }
  t.not(code, 0);
  t.regex(readFileSync(join(place.folder, "limited.log"), "utf8"), /[Cc]annot fork/);
});
