/**
 * A lab's init against the kernel, with the rights that the test has: as root a rootful lab, else one in a user
 * namespace. What it made is read back with iproute2, procfs and coreutils.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { InitLine, SpawnRequest } from "../../src/init/api.js";
import { connectInit, startInit } from "../../src/init/client.js";
import { close, constants, inode, poll, read, recv, send, write } from "../../src/kernel/syscalls.js";
import { processStartTime } from "../../src/lab/state.js";
import { environment, lab, shell, until } from "./lab.js";
import { skip, testWith } from "../tools.js";

/** A process that does nothing until it is ended. */
async function sleeper(init: InitLine, node: string, more: Partial<SpawnRequest> = {}) {
  const nothing = openSync("/dev/null", "r+");
  try {
    return await init.spawn({
      node,
      place: "namespace",
      argv: ["sleep", "1000"],
      environment,
      stdio: [nothing, nothing, nothing],
      tied: false,
      ...more,
    });
  } finally {
    closeSync(nothing);
  }
}

/** A zombie is none: PID 1 of a container may never reap it. */
const alive = (pid: number) => processStartTime(pid) !== undefined;

/** Names of the links that a routing socket sees: works from outside, and after init is gone. */
function linkNames(socket: number): string[] {
  const dump = new DataView(new ArrayBuffer(32));
  dump.setUint32(0, 32, true); // nlmsghdr: length, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
  dump.setUint16(4, 18, true);
  dump.setUint16(6, 0x301, true);
  send(socket, new Uint8Array(dump.buffer));
  const names: string[] = [];
  const buffer = new Uint8Array(1 << 16);
  for (;;) {
    const length = recv(socket, buffer) ?? 0;
    const view = new DataView(buffer.buffer);
    for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
      if (view.getUint16(at + 4, true) === 3) return names; // NLMSG_DONE
      const first = at + 32; // nlmsghdr, ifinfomsg; IFLA_IFNAME comes first
      names.push(Buffer.from(buffer.subarray(first + 4, first + view.getUint16(first, true) - 1)).toString());
    }
  }
}

test("init has a PID and a start time that name it, and a socket that is its owner's", async (t) => {
  const { init, folder } = await lab(t);
  const stat = readFileSync(`/proc/${init.pid}/stat`, "utf8");
  t.is(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19], init.startTime);
  t.is(readFileSync(join(folder, "init.pid"), "utf8"), `${init.pid} ${init.startTime}\n`);
  t.is(init.rootless, process.getuid?.() !== 0);
  t.is(statSync(join(folder, "init.sock")).mode & 0o777, 0o600);
  t.regex(readFileSync(`/proc/${init.pid}/status`, "utf8"), /^NSpid:\t\d+\t1$/m);
  t.regex(readFileSync(`/proc/${init.pid}/limits`, "utf8"), /Max open files +(\d+) +\1 /);
});

test("a node is a network namespace of its own, with nothing but lo", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([
    { name: "web", container: false },
    { name: "box", container: true },
  ]);
  const found = await init.nodes();
  t.deepEqual(found.map(({ name, container }) => [name, container]).sort(), [
    ["box", true],
    ["web", false],
  ]);
  for (const { name, netns } of found) {
    const namespace = init.openNamespace(name);
    t.is(inode(namespace).toString(), netns);
    close(namespace);
    t.is((await shell(init, name, "readlink /proc/self/ns/net")).text, `net:[${netns}]\n`);
    t.regex((await shell(init, name, "ip -br link")).text, /^lo +DOWN\b[^\n]*\n$/);
    const socket = init.openNetlink(name, 0);
    t.deepEqual(linkNames(socket), ["lo"]);
    close(socket);
  }
  t.not(found[0]?.netns, found[1]?.netns);
  t.is(
    init.rootless,
    (await shell(init, "box", "ls -l /proc/self/ns/user; id -u")).text.endsWith(`\n${process.getuid?.()}\n`) &&
      init.rootless,
  );
});

test("nodes are made all or none, and their names are checked", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const again = await t.throwsAsync(init.createNodes(["b", "a"].map((name) => ({ name, container: false }))));
  t.is(again.message, "cannot create the node a: file exists (EEXIST)");
  for (const name of ["", "../x", "a/b", ".hidden", "-n", "x".repeat(200)]) {
    await t.throwsAsync(init.createNodes([{ name, container: false }]), { code: "EINVAL" });
  }
  t.deepEqual(
    (await init.nodes()).map(({ name }) => name),
    ["a"],
  );
  t.throws(() => init.openNamespace("b"), {
    message: "cannot find the node b in b: no such file or directory (ENOENT)",
  });
  await init.removeNode("a");
  t.deepEqual(await init.nodes(), []);
});

test("sysctls are written and read in the node, and no others", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([
    { name: "a", container: false },
    { name: "b", container: true },
  ]);
  const before = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8");
  for (const node of ["a", "b"]) {
    await init.writeSysctls(node, [
      ["net.ipv4.ip_forward", "1"],
      ["net.ipv4.conf.lo.rp_filter", "2"],
    ]);
    const text = await shell(init, node, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lo/rp_filter");
    t.is(text.text, "1\n2\n");
    const values = await init.readSysctls(node, [
      "net.ipv4.ip_forward",
      "net.ipv4.no_such",
      "net.ipv4.tcp_orphan_retries",
    ]);
    t.deepEqual(values, ["1", undefined, "1"]);
  }
  t.is(readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"), before);
  await t.throwsAsync(init.writeSysctls("a", [["kernel.hostname", "x"]]), { code: "EINVAL" });
  await t.throwsAsync(init.writeSysctls("a", [["net.//.kernel.hostname", "x"]]), { code: "EINVAL" });
  await t.throwsAsync(init.writeSysctls("a", [["net.ipv4.no_such", "1"]]), {
    message: "cannot open the sysctl net.ipv4.no_such in a: no such file or directory (ENOENT)",
  });
  await init.writeSysctls("a", [
    ["net.ipv4.no_such", "1", true],
    ["net.ipv4.ip_default_ttl", "33", true],
  ]);
  t.deepEqual(await init.readSysctls("a", ["net.ipv4.ip_default_ttl"]), ["33"]);
  const bridged = await t.throwsAsync(init.writeSysctls("a", [["net.bridge.no_such", "1"]]));
  t.like(bridged, {
    kind: "machine",
    hint: "the kernel needs br_netfilter (CONFIG_BRIDGE_NETFILTER): modprobe br_netfilter",
  });
  t.regex(await init.readProcNet("a", "dev"), /^ +lo:/m);
  await t.throwsAsync(init.readProcNet("a", "../status"));
});

test("a command gets its files, folder and environment, and nothing of init's", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const run = await shell(init, "a", 'pwd; echo "$GREETING"; ls -1 /proc/self/fd; exit 7', {
    workingDirectory: "/usr",
    environment: [...environment, ["GREETING", "a  b"]],
  });
  t.is(run.text, "/usr\na  b\n0\n1\n2\n3\n"); // 3 is ls's own
  t.is(run.code, 7);
  const status = (await shell(init, "a", "cat /proc/self/status /proc/self/stat")).text;
  t.regex(status, /^SigBlk:\t0+$/m);
  t.regex(status, /^SigIgn:\t0+$/m);
  const missing = await t.throwsAsync(shell(init, "a", "", { argv: ["no-such-program"] }));
  t.is(missing.message, "cannot run no-such-program in a: no such file or directory (ENOENT)");
  await t.throwsAsync(shell(init, "a", "", { workingDirectory: "/no/such" }), { code: "ENOENT" });
  await t.throwsAsync(shell(init, "zz", ""), { code: "ENOENT" });
});

test("a process can be signalled; its end is reported, also to another client", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const process = await sleeper(init, "a");
  t.regex(readFileSync(`/proc/${process.pid}/status`, "utf8"), /^Name:\tsleep$/m);
  process.signal("SIGTERM");
  t.deepEqual(await process.exit, { signal: "SIGTERM" });
  t.false(alive(process.pid));
  using second = await connectInit({ stateFolder: folder });
  t.is((await shell(second, "a", "exit 5")).code, 5);
});

test("a pty is the process's terminal: size, echo, interrupt", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const process = await init.spawn({
    node: "a",
    place: "namespace",
    argv: ["sh", "-c", "trap 'stty size; exit 9' INT; tty -s && echo ready; while :; do sleep 0.1; done"],
    environment,
    stdio: "pty",
    tied: true,
  });
  const pty = process.pty!;
  t.teardown(() => close(pty));
  let text = "";
  const expectText = (wanted: string) =>
    until(() => {
      if (poll(pty, constants.POLLIN, 0) === 0) return text.includes(wanted);
      const buffer = new Uint8Array(4096);
      try {
        text += Buffer.from(buffer.subarray(0, read(pty, buffer) ?? 0)).toString();
      } catch {
        // EIO: nobody holds the other end any more
      }
      return text.includes(wanted);
    });
  t.true(await expectText("ready"));
  process.resize(132, 43);
  write(pty, Buffer.from("\u0003"));
  t.true(await expectText("43 132"), text);
  t.deepEqual(await process.exit, { code: 9 });
});

test("exec's own view: sysfs, hosts and resolv.conf are the node's", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  for (const kind of ["hosts", "resolv"]) {
    mkdirSync(join(folder, kind));
    writeFileSync(join(folder, kind, "a"), `# ${kind} of a\n`);
  }
  await shell(init, "a", "ip link add probe0 type veth peer name probe1");
  const own = await shell(init, "a", "ls /sys/class/net; cat /etc/hosts /etc/resolv.conf", { ownView: true });
  t.is(own.text, "lo\nprobe0\nprobe1\n# hosts of a\n# resolv of a\n");
  t.is((await shell(init, "a", "cat /etc/hosts")).text, readFileSync("/etc/hosts", "utf8"));
});

test("tied processes end with their client, the others stay", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  await init.commit();
  const second = await connectInit({ stateFolder: folder });
  const tied = await sleeper(second, "a", { tied: true });
  const free = await sleeper(second, "a");
  second[Symbol.dispose]();
  t.true(await until(() => !alive(tied.pid)));
  t.true(alive(free.pid));
  await t.throwsAsync(tied.exit, { code: "INIT_GONE" });
});

test("before commit a lab ends with its first client, after it does not", async (t) => {
  const first = await lab(t);
  const { pid } = first.init;
  first.init[Symbol.dispose]();
  t.true(await until(() => !alive(pid)));
  await t.throwsAsync(connectInit({ stateFolder: first.folder }), { code: "NO_LAB" });
  t.throws(() => first.init.openNamespace("a"), { code: "INIT_GONE" });

  const second = await lab(t);
  await second.init.commit();
  second.init[Symbol.dispose]();
  using line = await connectInit({ stateFolder: second.folder });
  t.is(line.pid, second.init.pid);
});

test("shutdown ends every process, also one that left its session; gone settles for all clients", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  await shell(init, "a", "setsid -f sleep 1000 >/dev/null 2>&1");
  const { text } = await shell(init, "a", "pgrep -x sleep || ps -e -o pid,comm | grep sleep");
  t.regex(text, /\d/);
  const stubborn = await init.spawn({
    node: "a",
    place: "namespace",
    argv: ["sh", "-c", "trap '' TERM; sleep 1000"],
    environment,
    stdio: "pty",
    tied: false,
  });
  close(stubborn.pty!);
  const second = await connectInit({ stateFolder: folder });
  await init.shutdown();
  await second.gone;
  t.false(alive(stubborn.pid));
  await init.shutdown(); // nothing is left to do
  t.true(await until(() => !alive(init.pid))); // a zombie until the machine's PID 1 takes notice
});

/*
 *   b ---- a ---- c      b is held by the test, by a socket only. When init dies, a and c must go, and with a the
 *      ab     ac         other end of its link in b: also where a sends to c over a link that is down.
 */
test("kill -9 of init leaves no process and no link, also with a download in flight over a downed link", async (t) => {
  const { init } = await lab(t);
  await init.createNodes(["a", "b", "c"].map((name) => ({ name, container: name === "a" })));
  await init.commit();
  const holders = new Map<string, number>();
  for (const node of ["b", "c"]) holders.set(node, await pidInside(init, node));
  for (const [node, pid] of holders) {
    const made = await shell(init, "a", `ip link add a${node} type veth peer name ${node}a netns ${pid} 2>&1`);
    t.is(made.text, "");
  }
  const sides = [
    ["a", "10.9.0.1/24", "ac"],
    ["c", "10.9.0.2/24", "ca"],
  ] as const;
  for (const [node, address, link] of sides) {
    t.is((await shell(init, node, `ip addr add ${address} dev ${link} && ip link set ${link} up 2>&1`)).text, "");
  }
  const watcher = init.openNetlink("b", 0);
  t.teardown(() => close(watcher));
  t.deepEqual(linkNames(watcher), ["lo", "ba"]);

  const server = await background(init, "a", "busybox nc -l -p 8080 < /dev/zero");
  t.true(await until(async () => / 0A 0{8}:/.test(await init.readProcNet("a", "tcp6"))), "the server listens");
  const client = await background(init, "c", "sleep 1000 | busybox nc 10.9.0.1 8080 > /dev/null");
  const sending = async () => / 01 [0-9A-F]{8}:/.test(await init.readProcNet("a", "tcp6"));
  t.true(await until(sending), "the download is in flight");
  t.is((await shell(init, "c", "ip link set ca down 2>&1")).text, "");
  const queued = async () => / 01 (?!0{8}:)[0-9A-F]{8}:/.test(await init.readProcNet("a", "tcp6"));
  t.true(await until(queued), "there is unsent data");

  // Waiting for `gone` alone does not keep a process alive.
  const alarm = setTimeout(() => undefined, 60_000);
  process.kill(init.pid, "SIGKILL");
  await init.gone;
  clearTimeout(alarm);
  for (const { pid } of [server, client]) t.true(await until(() => !alive(pid)));
  t.true(await until(() => !linkNames(watcher).includes("ba")), "the namespace of a is freed");
});

/** PID, as processes of the lab see it, of a sleeper in a node. */
async function pidInside(init: InitLine, node: string): Promise<number> {
  const { text } = await shell(init, node, "sleep 1000 >/dev/null 2>&1 & echo $!", { tied: false });
  return Number(text);
}

async function background(init: InitLine, node: string, line: string) {
  return sleeper(init, node, { argv: ["sh", "-c", line] });
}

test("a namespace from elsewhere can be a node", async (t) => {
  const { init } = await lab(t);
  const own = openSync("/proc/self/ns/net", "r");
  t.teardown(() => closeSync(own));
  if (init.rootless) {
    // The machine's namespace belongs to the machine's root: the lab may hold it, not enter it.
    await init.adoptNode("machine", own);
    t.throws(() => init.openNetlink("machine", 0), { code: "EPERM" });
    return;
  }
  await init.adoptNode("machine", own);
  t.is(
    (await shell(init, "machine", "readlink /proc/self/ns/net")).text,
    execFileSync("readlink", ["/proc/self/ns/net"]).toString(),
  );
  const file = openSync("/dev/null", "r");
  await t.throwsAsync(init.adoptNode("other", file), { code: "EINVAL" });
  closeSync(file);
});

test("a thousand nodes in one request", async (t) => {
  const { init } = await lab(t);
  const names = Array.from({ length: 1000 }, (_, index) => `n${index}`);
  await init.createNodes(names.map((name, index) => ({ name, container: index % 10 === 0 })));
  const found = await init.nodes();
  t.is(new Set(found.map(({ netns }) => netns)).size, 1000);
  // More than one message can carry: they come in the order that was asked for.
  const inodes = new Map(found.map(({ name, netns }) => [name, netns]));
  const namespaces = await init.openNamespaces(names);
  t.deepEqual(
    namespaces.map((each) => inode(each).toString()),
    names.map((name) => inodes.get(name)),
  );
  for (const each of namespaces) close(each);
  // All of them or none: those that were opened before the one that is not there are closed.
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  await t.throwsAsync(init.openNetlinks([...names, "nobody"], 0), { code: "ENOENT" });
  t.is(open(), before);
  // Init looks below /proc/sys of one node after the other: each has values of its own.
  await Promise.all(
    names.map((name, index) => init.writeSysctls(name, [["net.ipv4.ip_default_ttl", `${(index % 200) + 1}`]])),
  );
  const values = await Promise.all(names.map((name) => init.readSysctls(name, ["net.ipv4.ip_default_ttl"])));
  t.deepEqual(
    values.map(([value]) => value),
    names.map((_, index) => `${(index % 200) + 1}`),
  );
});

/*
 *   first lab: node a, with a connection to itself      second lab holds a's namespace as its node "guest"
 */
test("connections in an adopted namespace are left alone when the lab ends", async (t) => {
  const [first, second] = [await lab(t), await lab(t)];
  if (first.init.rootless) {
    skip(t, "an ordinary user's lab cannot enter the namespace of another");
    return;
  }
  await first.init.createNodes([{ name: "a", container: false }]);
  const namespace = first.init.openNamespace("a");
  await second.init.adoptNode("guest", namespace);
  close(namespace);
  await shell(first.init, "a", "ip link set lo up");
  await background(first.init, "a", "sleep 1000 | busybox nc -l -p 8080");
  const established = async () => / 01 [0-9A-F]{8}:/.test(await first.init.readProcNet("a", "tcp"));
  t.true(await until(async () => / 0A 0{8}:/.test(await first.init.readProcNet("a", "tcp6"))));
  await background(first.init, "a", "sleep 1000 | busybox nc 127.0.0.1 8080");
  t.true(await until(established));
  await second.init.shutdown();
  t.true(await established());
  await first.init.removeNode("a");
});

testWith("tcpdump")("tcpdump captures in a container node, with the rights of the lab", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: true }]);
  t.is((await shell(init, "a", "ip link set lo up")).text, "");
  const run = await shell(
    init,
    "a",
    "tcpdump -i lo -c 1 -n -l icmp 2>&1 & while kill -0 $! 2>/dev/null; do ping -c 1 -W 1 127.0.0.1 >/dev/null; sleep 0.1; done",
  );
  t.regex(run.text, /127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo/);
});

/*
 *   a container that somebody else made: user and network namespace of its own, by unshare(1)
 */
test("an init can live in the user namespace of a foreign container, and enter its network", async (t) => {
  const foreign = spawn("unshare", ["--user", "--map-root-user", "--net", "sleep", "1000"], { stdio: "ignore" });
  t.teardown(() => foreign.kill());
  const namespace = (kind: string) => `/proc/${foreign.pid!}/ns/${kind}`;
  const isApart = () => readlinkSync(namespace("net")) !== readlinkSync("/proc/self/ns/net");
  t.true(await until(() => existsSync(namespace("net")) && isApart()));
  const [user, net] = [openSync(namespace("user"), "r"), openSync(namespace("net"), "r")];
  const folder = mkdtempSync(join(tmpdir(), "yapc-init-test-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const init = await startInit({ stateFolder: folder, userNamespace: user });
  closeSync(user);
  await init.adoptNode("guest", net);
  closeSync(net);
  const socket = init.openNetlink("guest", 0);
  t.deepEqual(linkNames(socket), ["lo"]);
  close(socket);
  t.is((await shell(init, "guest", "readlink /proc/self/ns/net")).text, `${readlinkSync(namespace("net"))}\n`);
  await init.shutdown();
  t.true(alive(foreign.pid!));
});
