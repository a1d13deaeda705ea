/**
 * The netlink client beside the kernel's own time (a C program that sends the same bytes), `ip -batch` and `ip -j route`,
 * each pair in one run. Root, or an ordinary user that may make user namespaces.
 *
 *   node dist/bench/netlink.js
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { frame } from "../src/kernel/framing.js";
import { type Request, addresses, links, routes } from "../src/kernel/index.js";
import { NamespaceHost, type TestNamespace } from "../test/kernel/namespaces.js";

const scratch = mkdtempSync(path.join(os.tmpdir(), "bench-netlink-"));
const milliseconds = (from: bigint) => Number(process.hrtime.bigint() - from) / 1e6;
/** The least of some rounds, ours and theirs in turn: whatever else runs on the machine only adds. */
const least = (values: readonly number[]) => Math.min(...values);

function timed(act: () => void): number {
  const from = process.hrtime.bigint();
  act();
  return milliseconds(from);
}

function row(what: string, ours: number, theirs: number, peer: string, unit: string): void {
  const ratio = theirs / ours;
  console.log(
    `${what.padEnd(44)} ours ${ours.toFixed(2).padStart(9)} ${unit}   ${peer} ${theirs.toFixed(2).padStart(9)} ${unit}   ${ratio.toFixed(2)} × as fast`,
  );
}

/** Sends messages read from a file, each `times` times, and takes the answers: what the kernel itself needs. */
const program = `
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static char out[1 << 22], in[32768];
int main(int argc, char **argv) {
  int file = open(argv[1], O_RDONLY), times = atoi(argv[2]), one = 1;
  long size = read(file, out, sizeof out);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < times; i++)
    for (long at = 0; at < size; at += NLMSG_ALIGN(((struct nlmsghdr *)(out + at))->nlmsg_len)) {
      send(fd, out + at, ((struct nlmsghdr *)(out + at))->nlmsg_len, 0);
      while (recv(fd, in, sizeof in, MSG_DONTWAIT | MSG_TRUNC) > 0);
    }
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%f\\n", (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
}`;

function compileProgram(): string | undefined {
  const output = path.join(scratch, "kernel-time");
  const { status } = spawnSync("cc", ["-O2", "-w", "-x", "c", "-o", output, "-"], { input: program });
  return status === 0 ? output : undefined;
}

/** Milliseconds that the kernel needs for the same messages, sent by the C program. */
function kernelTime(ns: TestNamespace, binary: string, requests: readonly Request<unknown>[], times: number): number {
  const file = path.join(scratch, "messages");
  writeFileSync(file, Buffer.concat(requests.map(({ type, flags, body }) => frame(type, flags, 1, body))));
  return Number(ns.execute([binary, file, String(times)]));
}

function perRequest(host: NamespaceHost): void {
  const binary = compileProgram();
  if (binary === undefined) {
    console.log("per request: skipped, there is no C compiler for the kernel's own time");
    return;
  }
  const ns = host.create();
  using client = ns.route();
  client.execute(links.add({ kind: "bridge", name: "br0", index: 10, up: true }));

  const get = links.get(1);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < 7; round++) {
    ours.push(
      timed(() => {
        for (let i = 0; i < 5000; i++) client.execute(get);
      }) / 5,
    );
    theirs.push(kernelTime(ns, binary, [get], 5000) / 5);
  }
  row("read a link, one by one", least(ours), least(theirs), "C", "µs");

  const some = Array.from({ length: 2000 }, (_, i) => ({
    index: 10,
    address: `10.0.${i >> 8}.${i & 255}`,
    prefixLength: 32,
  }));
  const added: number[] = [];
  const pipelined: number[] = [];
  const inC: number[] = [];
  for (let round = 0; round < 5; round++) {
    added.push(
      timed(() => {
        for (const address of some) client.execute(addresses.add(address));
      }) / 2,
    );
    client.executeAll(some.map((address) => addresses.remove(address)));
    pipelined.push(timed(() => client.executeAll(some.map((address) => addresses.add(address)))) / 2);
    client.executeAll(some.map((address) => addresses.remove(address)));
    inC.push(
      kernelTime(
        ns,
        binary,
        some.map((address) => addresses.add(address)),
        1,
      ) / 2,
    );
    client.executeAll(some.map((address) => addresses.remove(address)));
  }
  row("add an address, one by one", least(added), least(inC), "C", "µs");
  row("add an address, pipelined", least(pipelined), least(inC), "C", "µs");

  const pairs = Array.from({ length: 200 }, (_, i) =>
    links.add({ kind: "veth", name: `a${i}`, group: 7, peer: { name: `b${i}`, group: 7 } }),
  );
  const make: number[] = [];
  const makeInC: number[] = [];
  for (let round = 0; round < 3; round++) {
    make.push(timed(() => client.executeAll(pairs)) * 5);
    client.execute(links.removeGroup(7));
    makeInC.push(kernelTime(ns, binary, pairs, 1) * 5);
    client.execute(links.removeGroup(7));
  }
  row("make a veth pair, pipelined", least(make), least(makeInC), "C", "µs");
}

/** 1,000 veth pairs, one end in each of 1,000 namespaces. */
async function pairsIntoNamespaces(host: NamespaceHost, count: number): Promise<void> {
  const rounds = 5;
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const mine of [true, false]) {
      const here = host.create();
      const nodes = Array.from({ length: count }, () => host.create());
      if (mine) {
        using client = here.route();
        ours.push(
          timed(() =>
            client.executeAll(
              nodes.map(({ fd }, i) =>
                links.add({
                  kind: "veth",
                  name: `v${i}`,
                  mtu: 1400,
                  up: true,
                  peer: { name: "eth0", mtu: 1400, netnsFd: fd },
                }),
              ),
            ),
          ),
        );
      } else {
        const file = path.join(scratch, "batch");
        const line = ({ fd }: TestNamespace, i: number) =>
          `link add v${i} mtu 1400 up type veth peer name eth0 mtu 1400 netns /proc/${process.pid}/fd/${fd}`;
        writeFileSync(file, nodes.map(line).join("\n"));
        theirs.push(timed(() => here.run(`ip -batch ${file}`)));
      }
      for (const node of nodes) node.drop();
      here.drop();
      // The kernel takes dropped namespaces apart later, under the same lock that making links needs.
      await new Promise((resolve) => setTimeout(resolve, 2 * count));
    }
  }
  row(`${count} veth pairs into ${count} namespaces`, least(ours), least(theirs), "ip -batch", "ms");
}

function routeDump(host: NamespaceHost, count: number): void {
  const ns = host.create();
  using client = ns.route();
  client.executeAll([
    links.add({ kind: "bridge", name: "br0", index: 10, up: true }),
    addresses.add({ index: 10, address: "10.0.0.1", prefixLength: 16 }),
  ]);
  client.executeAll(
    Array.from({ length: count }, (_, i) =>
      routes.add({ destination: `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`, gateway: "10.0.0.2" }),
    ),
  );
  const ours: number[] = [];
  const theirs: number[] = [];
  const python: number[] = [];
  const script = path.join(scratch, "dump.py");
  writeFileSync(
    script,
    "import time\nfrom pyroute2 import IPRoute\nwith IPRoute() as ip:\n  a=time.perf_counter(); n=len(list(ip.get_routes(family=2,table=254))); print((time.perf_counter()-a)*1e3)\n",
  );
  for (let round = 0; round < 7; round++) {
    ours.push(timed(() => client.execute(routes.list({ family: 4, table: 254 }))));
    theirs.push(timed(() => ns.run("ip -j route show table main > /dev/null")));
  }
  row(`dump of ${count} routes`, least(ours), least(theirs), "ip -j route", "ms");
  try {
    for (let round = 0; round < 3; round++) python.push(Number(ns.execute(["python3", script])));
    row(`dump of ${count} routes`, least(ours), least(python), "pyroute2", "ms");
  } catch {
    console.log(`dump of ${count} routes: pyroute2 is not installed here`);
  }
}

const host = new NamespaceHost();
try {
  console.log(
    `Linux ${os.release()}, ${os.cpus().length} CPUs, ${execFileSync("ip", ["-V"], { encoding: "utf8" }).trim()}, Node ${process.version}`,
  );
  perRequest(host);
  routeDump(host, 10_000);
  await pairsIntoNamespaces(host, 1000);
} finally {
  host[Symbol.dispose]();
  rmSync(scratch, { recursive: true });
}
