import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { groupFolders, limitsInForce } from "../../src/session/cgroup-limits.js";

const versionOne = `35 34 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
36 34 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
37 34 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
38 34 0:31 / /proc rw - proc proc rw`;

test("the groups of a process are folders of the hierarchies, wherever those are mounted", (t) => {
  const groups = "4:memory:/yapc-net-a/web\n3:cpuacct,cpu:/yapc-net-a/web\n1:name=systemd:/init\n0::/yapc-net-a/web\n";
  t.deepEqual(groupFolders(versionOne, groups), [
    "/sys/fs/cgroup/memory/yapc-net-a/web",
    "/sys/fs/cgroup/cpu,cpuacct/yapc-net-a/web",
    "/sys/fs/cgroup/unified/yapc-net-a/web",
  ]);
  const inContainer = "40 34 0:31 /docker/1f /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate";
  t.deepEqual(groupFolders(inContainer, "0::/docker/1f/yapc-net-a/web\n"), ["/sys/fs/cgroup/yapc-net-a/web"]);
  t.deepEqual(groupFolders("", "0::/a\n"), []);
});

test("a limit is shown where a group has a file for it: controllers of version 2 may not be handed down", (t) => {
  const base = mkdtempSync(path.join(os.tmpdir(), "yapc-net-groups-"));
  t.teardown(() => rmSync(base, { recursive: true }));
  const group = (name: string, ...files: string[]): string => {
    const folder = path.join(base, name);
    mkdirSync(folder);
    for (const file of files) writeFileSync(path.join(folder, file), "");
    return folder;
  };
  const asked = { cpu: 0.5, memory: 1e8, pids: 64 };
  t.deepEqual(limitsInForce(asked, [group("two", "cgroup.procs", "memory.max", "pids.max")]), {
    memory: 1e8,
    pids: 64,
  });
  t.deepEqual(limitsInForce(asked, [group("cpu", "cpu.cfs_quota_us"), group("pids", "pids.max")]), {
    cpu: 0.5,
    pids: 64,
  });
  t.deepEqual(limitsInForce({ memory: 1e8 }, [path.join(base, "two")]), { memory: 1e8 });
  t.deepEqual(limitsInForce(asked, []), {});
});
