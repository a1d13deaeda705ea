/** Keys of a topology's container that `run` has flags for: a lab that is started with them, as it looks from inside. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { cli } from "./cli.js";
import { skip } from "../tools.js";

const noSpace = 28;

test.serial(
  "a lab's container with binds, a read-only root, a seccomp profile, and limits of CPUs and disks",
  async (t) => {
    const place = cli(t);
    const lab = place.lab("keys");
    const write = (name: string, text: string) => writeFileSync(path.join(place.folder, name), text);
    for (const name of ["site", "own"]) mkdirSync(path.join(place.folder, name));
    write("site/index.html", "hello\n");
    const refused = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: noSpace };
    write("profile.json", JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [refused] }));
    const container = {
      command: ["sleep", "1000"],
      binds: { "/srv/site": { source: "site", readOnly: true }, "/srv/own": "own" },
      readOnly: true,
      seccomp: "profile.json",
      limits: { cpuset: "0", io: "10M" },
    };
    // Beside it one without any of them, so that nothing of this is so anyway.
    const plain = { command: ["sleep", "1000"] };
    write("lab.json", JSON.stringify({ name: lab, nodes: { box: { container }, plain: { container: plain } } }));
    const { code, stderr } = await place.run("up", path.join(place.folder, "lab.json"));
    t.is(code, 0, stderr);
    const inside = (node: string, line: string) => place.ok("exec", `${lab}/${node}`, "--", "sh", "-c", line);

    const files = `cat /srv/site/index.html; for f in /x /usr/x /srv/site/x; do (: > $f) 2>&1 | grep -c Read-only; done
    echo mine > /srv/own/new && echo written`;
    t.is(await inside("box", files), "hello\n1\n1\n1\nwritten\n");
    t.is(readFileSync(path.join(place.folder, "own/new"), "utf8"), "mine\n");
    const folder = "mkdir /dev/shm/made 2>&1 | grep -o 'No space left on device'; ls /dev/shm";
    t.is(await inside("box", folder), "No space left on device\n", "errno 28, as the profile says");
    t.is(await inside("plain", `: > /x && ${folder}`), "made\n");

    const unenforced = /limits (.*) of 'box' have no effect here|the (\w+) limit of 'box' has no effect here/.exec(
      stderr,
    );
    const without = unenforced?.[1] ?? unenforced?.[2] ?? "";
    if (without !== "") skip(t, `no cgroup of this machine may be used by this user for ${without}`);
    if (!without.includes("cpuset")) {
      t.is(await inside("box", "grep Cpus_allowed_list /proc/self/status"), "Cpus_allowed_list:\t0\n");
    }
    if (/\bio\b/.test(without)) return;
    const rates = await inside(
      "box",
      "cd /sys/fs/cgroup && cat io.max blkio/blkio.throttle.write_bps_device 2>/dev/null || :",
    );
    const disks = readdirSync("/sys/block").filter((name) => !/^(loop|ram|zram)/.test(name));
    for (const disk of disks) {
      const number = readFileSync(`/sys/block/${disk}/dev`, "latin1").trim();
      t.regex(rates, new RegExp(`^${number} (.*wbps=)?10485760\\b`, "m"), disk);
    }
  },
);
