/**
 * The netlink client beside the kernel's own time (a C program that sends the same bytes), `ip -batch` and `ip -j route`,
 * each pair in one run. Root, or an ordinary user that may make user namespaces.
 *
 *   node dist/bench/netlink.js [requests] [dump] [pairs]
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Input } from "../src/kernel/codec/index.js";
import { NLMSG_HEADER, eachMessage, frame } from "../src/kernel/framing.js";
import { NETLINK_ROUTE, type NetlinkSocket, type Request, addresses, links, routes } from "../src/kernel/index.js";
import { constants, recv, send } from "../src/kernel/syscalls.js";
import { RECEIVE_CAPACITY } from "../src/kernel/transport.js";
import { NamespaceHost, type TestNamespace } from "../test/kernel/namespaces.js";

const scratch = mkdtempSync(path.join(os.tmpdir(), "bench-netlink-"));

/** Milliseconds: on the clock, and of a processor, user and kernel together. On a busy machine the second is the one to go by. */
interface Cost {
  readonly clock: number;
  readonly processor: number;
}

function timed(act: () => void): Cost {
  const from = process.hrtime.bigint();
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return { clock: Number(process.hrtime.bigint() - from) / 1e6, processor: (user + system) / 1e3 };
}

/** The least of some rounds, ours and theirs in turn: whatever else runs on the machine only adds. */
function least(rounds: readonly Cost[]): Cost {
  return {
    clock: Math.min(...rounds.map(({ clock }) => clock)),
    processor: Math.min(...rounds.map(({ processor }) => processor)),
  };
}

/** @param times how often it was done: the row is about one; its unit is then the microsecond */
function row(
  what: string,
  ours: readonly Cost[],
  peer: string,
  theirs: readonly Cost[],
  times?: number,
  we = "ours",
): void {
  const scale = times === undefined ? 1 : 1000 / times;
  const unit = times === undefined ? "ms" : "µs";
  const [mine, yours] = [least(ours), least(theirs)];
  const column = (kind: keyof Cost) => {
    const numbers = [mine[kind], yours[kind]].map((value) => (value * scale).toFixed(1).padStart(7));
    return `${kind} ${numbers.join(" : ")} ${unit}  ${(yours[kind] / mine[kind]).toFixed(2)} ×`;
  };
  console.log(`${what.padEnd(40)} ${`${we} : ${peer}`.padEnd(19)} ${column("clock")}   ${column("processor")}`);
}

/**
 * `messages FILE TIMES` sends the messages in a file, each by itself, and takes the answers: what the kernel itself needs.
 * `command …` runs a command. Both print what it cost: microseconds on the clock, and of a processor.
 */
const program = String.raw`
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static char out[1 << 22], in[32768];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }
static double used(int who) {
  struct rusage u; getrusage(who, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}
int main(int argc, char **argv) {
  int who = strcmp(argv[1], "messages") ? RUSAGE_CHILDREN : RUSAGE_SELF;
  double clock, processor;
  if (who == RUSAGE_CHILDREN) {
    clock = now(), processor = used(who);
    if (!fork()) { dup2(open("/dev/null", O_WRONLY), 1); execvp(argv[2], argv + 2); _exit(127); }
    int status; wait(&status);
    if (status) return 1;
  } else {
    int file = open(argv[2], O_RDONLY), times = atoi(argv[3]), one = 1;
    long size = read(file, out, sizeof out);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
    clock = now(), processor = used(who);
    for (int i = 0; i < times; i++)
      for (long at = 0; at < size; at += NLMSG_ALIGN(((struct nlmsghdr *)(out + at))->nlmsg_len)) {
        send(fd, out + at, ((struct nlmsghdr *)(out + at))->nlmsg_len, 0);
        recv(fd, in, sizeof in, MSG_DONTWAIT | MSG_TRUNC);
      }
  }
  printf("%f %f\n", now() - clock, used(who) - processor);
}`;

/** The path of the compiled program. */
function compileProgram(): string {
  const output = path.join(scratch, "cost");
  execFileSync("cc", ["-O2", "-w", "-x", "c", "-o", output, "-"], { input: program });
  return output;
}

function costOf(ns: TestNamespace, argv: readonly string[]): Cost {
  const [clock = 0, processor = 0] = ns.execute(argv).trim().split(" ").map(Number);
  return { clock: clock / 1000, processor: processor / 1000 };
}

function messagesOf(requests: readonly Request<unknown>[]): Uint8Array[] {
  return requests.map(({ type, flags, body }) => frame(type, flags, 1, body));
}

/** What the kernel needs for the same messages, sent by the C program. */
function kernelCost(ns: TestNamespace, binary: string, requests: readonly Request<unknown>[], times = 1): Cost {
  const file = path.join(scratch, "messages");
  writeFileSync(file, Buffer.concat(messagesOf(requests)));
  return costOf(ns, [binary, "messages", file, String(times)]);
}

/**
 * What the same messages need from JavaScript when nothing is made or read: send(2) and recv(2) through koffi. No client
 * in JavaScript can be faster than that.
 */
function callsCost({ fd }: NetlinkSocket, requests: readonly Request<unknown>[], times = 1): Cost {
  // Parts of one buffer: a small array by itself lies where koffi has to move it away from first.
  const whole = Buffer.concat(messagesOf(requests));
  const messages: Uint8Array[] = [];
  eachMessage(new Input(whole), ({ start, end }) => messages.push(whole.subarray(start - NLMSG_HEADER, end)));
  const answer = new Uint8Array(RECEIVE_CAPACITY);
  const { MSG_DONTWAIT, MSG_TRUNC } = constants;
  return timed(() => {
    for (let i = 0; i < times; i++) {
      for (const message of messages) {
        send(fd, message, MSG_DONTWAIT);
        recv(fd, answer, MSG_DONTWAIT | MSG_TRUNC);
      }
    }
  });
}

function perRequest(host: NamespaceHost, binary: string): void {
  const ns = host.create();
  using client = ns.route();
  using bare = ns.events(NETLINK_ROUTE);
  client.execute(links.add({ kind: "bridge", name: "br0", index: 10, up: true }));
  const rounds = <T>(count: number, act: () => T) => Array.from({ length: count }, act);
  const calls = "send and recv of it, nothing else";

  for (const [what, request] of [
    ["read a link", links.get(1)],
    ["set the queue length of a link", links.set(10, { txQueueLength: 500 })],
  ] as const) {
    const ours: Cost[] = [];
    const least: Cost[] = [];
    const theirs: Cost[] = [];
    rounds(20, () => {
      ours.push(timed(() => rounds(3000, () => client.execute<unknown>(request))));
      least.push(callsCost(bare, [request], 3000));
      theirs.push(kernelCost(ns, binary, [request], 3000));
    });
    row(what, ours, "C", theirs, 3000);
    row(`  ${calls}`, least, "C", theirs, 3000, "koffi");
  }

  const count = 1000;
  const some = Array.from({ length: count }, (_, i) => ({
    index: 10,
    address: `10.0.${i >> 8}.${i & 255}`,
    prefixLength: 32,
  }));
  const add = () => some.map((address) => addresses.add(address));
  const clear = () => client.executeAll(some.map((address) => addresses.remove(address)));
  const alone: Cost[] = [];
  const bareCalls: Cost[] = [];
  const together: Cost[] = [];
  const inC: Cost[] = [];
  rounds(10, () => {
    alone.push(timed(() => some.forEach((address) => client.execute(addresses.add(address)))));
    clear();
    bareCalls.push(callsCost(bare, add()));
    clear();
    together.push(timed(() => client.executeAll(add())));
    clear();
    inC.push(kernelCost(ns, binary, add()));
    clear();
  });
  row("add an address, one by one", alone, "C", inC, count);
  row(`  ${calls}`, bareCalls, "C", inC, count, "koffi");
  row("add an address, pipelined", together, "C", inC, count);
}

/** Veth pairs, one end in each of many namespaces. */
async function pairsIntoNamespaces(host: NamespaceHost, binary: string, count: number): Promise<void> {
  const ours: Cost[] = [];
  const theirs: Cost[] = [];
  for (let round = 0; round < 4; round++) {
    for (const mine of [true, false]) {
      const here = host.create();
      const nodes = Array.from({ length: count }, () => host.create());
      if (mine) {
        using client = here.route();
        const pair = ({ fd }: TestNamespace, i: number) =>
          links.add({
            kind: "veth",
            name: `v${i}`,
            mtu: 1400,
            up: true,
            peer: { name: "eth0", mtu: 1400, netnsFd: fd },
          });
        ours.push(timed(() => client.executeAll(nodes.map(pair))));
      } else {
        const file = path.join(scratch, "batch");
        const line = ({ fd }: TestNamespace, i: number) =>
          `link add v${i} mtu 1400 up type veth peer name eth0 mtu 1400 netns /proc/${process.pid}/fd/${fd}`;
        writeFileSync(file, nodes.map(line).join("\n"));
        theirs.push(costOf(here, [binary, "command", "ip", "-batch", file]));
      }
      for (const node of nodes) node.drop();
      here.drop();
      // The kernel takes dropped namespaces apart later, under the same lock that making links needs.
      await new Promise((resolve) => setTimeout(resolve, 2 * count));
    }
  }
  row(`${count} veth pairs into ${count} namespaces`, ours, "ip -batch", theirs);
}

function routeDump(host: NamespaceHost, binary: string, count: number): void {
  const ns = host.create();
  using client = ns.route();
  client.executeAll([
    links.add({ kind: "bridge", name: "br0", index: 10, up: true }),
    addresses.add({ index: 10, address: "10.0.0.1", prefixLength: 16 }),
  ]);
  const destination = (i: number) => `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`;
  client.executeAll(
    Array.from({ length: count }, (_, i) => routes.add({ destination: destination(i), gateway: "10.0.0.2" })),
  );
  const script = path.join(scratch, "dump.py");
  writeFileSync(
    script,
    `import time
from pyroute2 import IPRoute
with IPRoute() as ip:
  clock, processor = time.perf_counter(), time.process_time()
  list(ip.get_routes(family=2, table=254))
  print((time.perf_counter() - clock) * 1e6, (time.process_time() - processor) * 1e6)
`,
  );
  const ours: Cost[] = [];
  const ip: Cost[] = [];
  for (let round = 0; round < 20; round++) {
    ours.push(timed(() => client.execute(routes.list({ family: 4, table: 254 }))));
    ip.push(costOf(ns, [binary, "command", "ip", "-j", "route", "show", "table", "main"]));
  }
  row(`dump of ${count} routes`, ours, "ip -j route", ip);
  // Debian's package belongs to Debian's Python, which need not be the first in PATH.
  const python = ["python3", "/usr/bin/python3"].find(
    (each) => spawnSync(each, ["-c", "import pyroute2"]).status === 0,
  );
  if (python !== undefined) {
    row(
      `dump of ${count} routes`,
      ours,
      "pyroute2",
      Array.from({ length: 5 }, () => costOf(ns, [python, script])),
    );
  } else console.log(`dump of ${count} routes: pyroute2 is not installed here`);
}

if (spawnSync("cc", ["--version"]).status !== 0) {
  console.error("bench/netlink needs a C compiler, for the program that it is measured beside");
  process.exit(3);
}
const host = new NamespaceHost();
try {
  const tool = execFileSync("ip", ["-V"], { encoding: "utf8" }).trim();
  console.log(
    `Linux ${os.release()}, ${os.cpus().length} CPUs, load ${os.loadavg()[0]!.toFixed(1)}, ${tool}, Node ${process.version}`,
  );
  const binary = compileProgram();
  const wanted = process.argv.slice(2);
  const has = (part: string) => wanted.length === 0 || wanted.includes(part);
  if (has("requests")) perRequest(host, binary);
  if (has("dump")) routeDump(host, binary, 10_000);
  if (has("pairs")) await pairsIntoNamespaces(host, binary, 1000);
} finally {
  host[Symbol.dispose]();
  rmSync(scratch, { recursive: true });
}
