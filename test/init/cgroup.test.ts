/** Cgroups on folders that look like the machine's: what is written where, on version 1, version 2, and both at once. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ioFiles } from "../../src/init/cgroup-files.js";
import { makeCgroup } from "../../src/init/cgroup.js";
import { hierarchiesOf } from "../../src/init/hierarchy.js";

function machine(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "yapc-cgroup-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const mount = (root: string, below: string, type: string, options: string) =>
  `30 24 0:26 / ${join(root, below)} rw,nosuid - ${type} ${type} ${options}\n`;

const limits = { cpu: 0.5, memory: 104857600, pids: 64 };

test("version 2: controllers are handed down from the base, and swap is no way around the memory limit", (t) => {
  const root = machine(t, {
    "cgroup.controllers": "cpuset cpu io memory pids\n",
    "cgroup.procs": "",
    "yapc-net-lab/web/cgroup.procs": "",
    "yapc-net-lab/web/memory.events": "oom_kill 0\n",
    "yapc-net-lab/web/memory.swap.max": "max\n",
  });
  const hierarchies = hierarchiesOf(mount(root, "", "cgroup2", "rw"), "0::/\n");
  t.like(hierarchies[0], { version: 2, has: ["cpu", "memory", "pids", "cpuset", "io"], base: root });
  using cgroup = makeCgroup(hierarchies, "lab", "web", limits);
  const written = (file: string) => readFileSync(join(root, "yapc-net-lab/web", file), "utf8");
  t.is(written("cpu.max"), "50000 100000");
  t.is(written("memory.max"), "104857600");
  t.is(written("memory.swap.max"), "0");
  t.is(written("pids.max"), "64");
  t.is(readFileSync(join(root, "yapc-net-lab/cgroup.subtree_control"), "utf8"), "+pids"); // the last of three writes
  t.is(cgroup.memberships.length, 1);
  t.not(cgroup.oomCounter, undefined);
  t.deepEqual(cgroup.unenforced, []);
  using without = makeCgroup(hierarchies, "lab", "web", {});
  t.is(without.folders[0], join(root, "yapc-net-lab/web"));
  t.deepEqual(["cpu.max", "memory.max", "memory.swap.max", "pids.max"].map(written), [
    "max 100000",
    "max",
    "max",
    "max",
  ]);
});

test("both versions: limits go where their controller is, and a limit without one is named", (t) => {
  const root = machine(t, {
    "cpu,cpuacct/tasks": "",
    "cpu,cpuacct/yapc-net-lab/web/tasks": "",
    "memory/yapc-net-lab/web/tasks": "",
    "memory/yapc-net-lab/web/memory.oom_control": "oom_kill 0\n",
    "memory/yapc-net-lab/web/memory.memsw.limit_in_bytes": "-1\n",
    "cpuset/cpuset.cpus": "0-3\n",
    "cpuset/cpuset.mems": "0\n",
    "cpuset/yapc-net-lab/web/tasks": "",
    "blkio/yapc-net-lab/web/tasks": "",
    "unified/cgroup.controllers": "hugetlb\n",
    "unified/cgroup.procs": "",
  });
  const text =
    mount(root, "cpu,cpuacct", "cgroup", "rw,cpu,cpuacct") +
    mount(root, "memory", "cgroup", "rw,memory") +
    mount(root, "cpuset", "cgroup", "rw,cpuset") +
    mount(root, "blkio", "cgroup", "rw,blkio") +
    mount(root, "systemd", "cgroup", "rw,xattr,name=systemd") +
    mount(root, "unified", "cgroup2", "rw");
  const hierarchies = hierarchiesOf(text, "4:memory:/\n0::/\n");
  t.deepEqual(
    hierarchies.map(({ name, has }) => [name, ...has]),
    [
      ["cpu,cpuacct", "cpu"],
      ["memory", "memory"],
      ["cpuset", "cpuset"],
      ["blkio", "io"],
    ],
  );
  using cgroup = makeCgroup(hierarchies, "lab", "web", limits);
  t.is(readFileSync(join(root, "cpu,cpuacct/yapc-net-lab/web/cpu.cfs_quota_us"), "utf8"), "50000");
  t.is(readFileSync(join(root, "memory/yapc-net-lab/web/memory.limit_in_bytes"), "utf8"), "104857600");
  const swap = readFileSync(join(root, "memory/yapc-net-lab/web/memory.memsw.limit_in_bytes"), "utf8");
  t.is(swap, "104857600", "memory and swap together: no swap");
  t.deepEqual(cgroup.unenforced, [{ limit: "pids", reason: "no cgroup of this machine may be used for it" }]);
  t.deepEqual(cgroup.shown, [
    { version: 1, controllers: "cpu,cpuacct" },
    { version: 1, controllers: "memory" },
  ]);
});

test("a group for CPUs and disks is made where that is asked for; in version 1 it has CPUs and memory nodes first", (t) => {
  const root = machine(t, {
    "cpuset/cpuset.cpus": "0-3\n",
    "cpuset/cpuset.mems": "0\n",
    "cpuset/yapc-net-lab/web/tasks": "",
  });
  const hierarchies = hierarchiesOf(mount(root, "cpuset", "cgroup", "rw,cpuset"), "");
  using without = makeCgroup(hierarchies, "lab", "web", {});
  t.deepEqual(without.folders, []);
  using cgroup = makeCgroup(hierarchies, "lab", "web", { cpuset: "1-2", io: 1000 });
  const written = (file: string) => readFileSync(join(root, "cpuset/yapc-net-lab/web", file), "utf8");
  t.deepEqual([written("cpuset.cpus"), written("cpuset.mems")], ["1-2", "0\n"]);
  t.deepEqual(cgroup.unenforced, [{ limit: "io", reason: "no cgroup of this machine may be used for it" }]);
  t.deepEqual(ioFiles(2, 1000, ["8:0", "254:0"]), [
    { file: "io.max", value: "8:0 rbps=1000 wbps=1000" },
    { file: "io.max", value: "254:0 rbps=1000 wbps=1000" },
  ]);
  t.deepEqual(ioFiles(1, 1000, ["8:0"]), [
    { file: "blkio.throttle.read_bps_device", value: "8:0 1000" },
    { file: "blkio.throttle.write_bps_device", value: "8:0 1000" },
  ]);
});

test("a group that cannot be made leaves its limits unenforced, with the reason", (t) => {
  const root = machine(t, { "pids/tasks": "", "pids/yapc-net-lab": "a file is in the way" });
  const hierarchies = hierarchiesOf(mount(root, "pids", "cgroup", "rw,pids"), "");
  using cgroup = makeCgroup(hierarchies, "lab", "web", { pids: 5 });
  t.is(cgroup.unenforced[0]?.limit, "pids");
  t.regex(cgroup.unenforced[0]?.reason ?? "", /ENOTDIR|EEXIST/);
  t.deepEqual(cgroup.folders, []);
  t.false(existsSync(join(root, "pids/yapc-net-lab/web")));
});
