/**
 * What a container is kept from, first half: files, descriptors, mounts, devices. A test is named by the number of its
 * rule in docs/security.md, and by the CVE that taught it.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "ava";
import { close, constants, fcntl, open } from "../../src/kernel/syscalls.js";
import { environment, inside, lab, runBox, shell, startBox } from "../init/lab.js";
import { defaultCapabilities } from "../init/lab.js";
import { busyboxRoot, outsideFolder } from "./roots.js";

const asRoot = process.getuid?.() === 0;

/** With the right to mount: a container that can put traps in its own way. */
const administrator = [...defaultCapabilities, "sys_admin"];

test("1: the helper runs from a sealed file that nobody can write, in a container neither (CVE-2019-5736)", async (t) => {
  const place = await lab(t);
  const exe = `/proc/${place.init.pid}/exe`;
  t.throws(() => openSync(exe, "r+"), { message: /ETXTBSY|EPERM|EACCES/ });
  const fd = open(exe, constants.O_RDONLY);
  const seals = fcntl(fd, constants.F_GET_SEALS);
  close(fd);
  t.is(seals & 15, 15); // SEAL, SHRINK, GROW, WRITE
  const run = await runBox(t, place, "cat /proc/1/exe 2>&1 | head -c 4; (: >> /proc/1/exe) 2>&1; true");
  t.notRegex(run.text, /ELF/);
  t.regex(run.text, /denied|not permitted/);
});

test("1: an entry point `#!/proc/self/exe` runs the helper, which refuses, and cannot be written then (CVE-2019-5736)", async (t) => {
  const root = busyboxRoot(t, (folder) => {
    writeFileSync(join(folder, "trap"), "#!/proc/self/exe\n", { mode: 0o755 });
    // As the exploit does: while the first one runs, from beside it.
    writeFileSync(join(folder, "write"), "(: >> /proc/1/exe) 2>&1; (: > /proc/1/exe) 2>&1; true", { mode: 0o755 });
  });
  if (root === undefined) return;
  const place = await lab(t);
  const trapped = await runBox(t, place, "", { root, command: ["/trap"] });
  t.is(trapped.code, 2);
  t.regex(trapped.text, /yapc-init is started by yapc-net/);
  const written = await runBox(t, place, "", { root, command: ["sh", "/write"] });
  t.is(written.text.match(/denied|not permitted|busy/gi)?.length, 2);
});

test("2: no descriptor of init's gets in, and the working directory stays inside (CVE-2024-21626)", async (t) => {
  const place = await lab(t);
  t.is((await runBox(t, place, "cd /; ls /proc/self/fd")).text, "0\n1\n2\n3\n"); // 3 is ls's own
  for (const workingDirectory of ["/proc/self/fd/7", "/proc/self/fd/3", "/proc/1/cwd"]) {
    await t.throwsAsync(runBox(t, place, "pwd", { workingDirectory }), {
      message: /^cannot (enter|work in procfs|stay outside)/,
    });
  }
  // Who joins it holds descriptors of init's for longer: none of them is a way.
  await startBox(t, place, "box", {
    command: ["sh", "-c", "for fd in $(seq 0 40); do ln -s /proc/self/fd/$fd /srv/$fd; done; exec sleep 1000"],
  });
  t.is((await inside(place.init, "box", "ls /proc/self/fd")).text, "0\n1\n2\n3\n");
  for (let fd = 0; fd <= 40; fd += 2) {
    await t.throwsAsync(inside(place.init, "box", "ls", { workingDirectory: `/srv/${fd}` }), {
      message: /^cannot (enter|work in procfs|stay outside)/,
    });
  }
  // A folder of the machine that is given on purpose is not where a command can be, either.
  const outside = open("/usr", constants.O_RDONLY);
  t.teardown(() => close(outside));
  const stdio = [outside, outside, outside] as const;
  await t.throwsAsync(
    place.init.spawn({
      ...{ node: "box", place: "container", argv: ["ls"], environment, stdio, tied: true },
      workingDirectory: "/proc/self/fd/0",
    }),
    { message: /^cannot stay outside the container, in \/proc\/self\/fd\/0/ },
  );
});

test("3: nothing inside can look into PID 1, nor into what joins (CVE-2016-9962)", async (t) => {
  const place = await lab(t);
  const run = await runBox(
    t,
    place,
    "cat /proc/1/fd/3 2>&1; cat /proc/1/maps 2>&1; readlink /proc/1/cwd; cat /proc/1/status | grep -E 'Cap(Prm|Bnd)'; cat /proc/1/cmdline | tr '\\0' ' '",
  );
  t.is(run.text.match(/denied/g)?.length, 2);
  t.regex(run.text, /CapPrm:\t0{14}20\nCapBnd:\t0{14}20\n/); // CAP_KILL
  t.notRegex(run.text, /yapc-init-test/); // nor does it say where the lab's state is
});

test("4: what masks a file is the machine's /dev/null, and stays as it is (CVE-2025-31133)", async (t) => {
  const outside = outsideFolder(t);
  const root = busyboxRoot(t, (folder) => {
    symlinkSync(outside, join(folder, "dev"));
    writeFileSync(join(outside, "null"), "a trap");
  });
  if (root === undefined) return;
  const place = await lab(t);
  // `chmod 666` changes nothing of a /dev/null, where it is let through.
  const line =
    "stat -c '%F %t:%T' /dev/null /proc/keys; cat /proc/keys; for f in keys interrupts; do chmod 666 /proc/$f 2>&1; touch /proc/$f 2>&1; done; true";
  const run = await runBox(t, place, line, { root });
  const [own, mask, ...refused] = run.text.trim().split("\n");
  t.is(own, "character special file 1:3");
  t.is(mask, own);
  t.is(refused.length, 4);
  for (const text of refused) t.regex(text, asRoot ? /Read-only file system/ : /Read-only|not permitted/);
  t.deepEqual(readdirSync(outside), ["null"]);
});

test("5: a terminal is of the container's own devpts, or there is none; nothing lies at /dev/console (CVE-2025-52565)", async (t) => {
  const place = await lab(t);
  const terminal = { argv: ["tty"], environment, stdio: "pty", tied: true } as const;
  await place.init.createNodes([{ name: "box", container: true }]);
  const start = (command: string) =>
    startBox(t, place, "box", { command: ["sh", "-c", command], capabilities: administrator });
  await start("sleep 1000");
  t.is((await inside(place.init, "box", "ls /dev/console 2>&1 >/dev/null | wc -l")).text, "1\n");
  // A ptmx that is one, in a file system that is no devpts, beside a devpts of the container's choice.
  const forged =
    "mount -t tmpfs none /dev/pts && mknod /dev/pts/ptmx c 5 2 && mkdir /dev/pts/pts && mount -t devpts none /dev/pts/pts";
  for (const trap of [
    "echo trap > /dev/pts/ptmx",
    "ln -s /dev/null /dev/pts/ptmx",
    "mknod /dev/pts/ptmx c 1 3",
    "true",
    ...(asRoot ? [forged] : []),
  ]) {
    await place.init.stopContainer("box", 0);
    await start("sleep 1000");
    t.is(
      (await inside(place.init, "box", `umount -l /dev/pts && { ${trap}; } 2>&1`)).text.replace(
        /.*not permitted\n/,
        "",
      ),
      "",
    );
    await t.throwsAsync(place.init.spawn({ node: "box", place: "container", ...terminal }), {
      message: /^cannot open a terminal \/dev\/pts\/ptmx in box/,
    });
  }
});

test("6: nothing goes through a /proc that the container forged: others join it, sysctls are written (CVE-2025-52881, -2019-16884, -2019-19921)", async (t) => {
  const place = await lab(t);
  await place.init.createNodes([{ name: "box", container: true }]);
  await startBox(t, place, "box", { command: ["sleep", "1000"], capabilities: administrator });
  const forge = `mount -t tmpfs none /proc && mkdir -p /proc/self/ns /proc/self/fd /proc/self/attr /proc/sys/net/ipv4 &&
    for f in self/setgroups self/uid_map self/attr/exec sys/net/ipv4/ip_default_ttl; do echo forged > /proc/$f; done && ls /proc`;
  t.is((await inside(place.init, "box", forge)).text, "self\nsys\n");
  await place.init.writeSysctls("box", [["net.ipv4.ip_default_ttl", "77"]]);
  t.deepEqual(await place.init.readSysctls("box", ["net.ipv4.ip_default_ttl"]), ["77"]);
  t.is((await shell(place.init, "box", "cat /proc/sys/net/ipv4/ip_default_ttl")).text, "77\n");
  const joined = await inside(place.init, "box", "cat /proc/self/* /proc/sys/net/ipv4/* 2>/dev/null; id -u");
  t.is(joined.text, "forged\nforged\nforged\n0\n");
});

test("7: targets are resolved inside: what is mounted and written follows no link of the root (CVE-2021-30465)", async (t) => {
  const outside = outsideFolder(t);
  const root = busyboxRoot(t, (folder) => symlinkSync(outside, join(folder, "etc")));
  if (root === undefined) return;
  const place = await lab(t);
  const run = await runBox(t, place, "ls -ld /etc | head -c 1; cat /etc/hosts", { root, files: [["/srv/x", "x"]] });
  t.regex(run.text, /^l127\.0\.0\.1\tlocalhost/); // the link leads to a folder inside
  t.deepEqual(readdirSync(outside), []);
});

test("7: what a container leaves in its upper folder does not lead the next start out of it (CVE-2024-45310)", async (t) => {
  const outside = outsideFolder(t);
  const place = await lab(t);
  await runBox(
    t,
    place,
    `rm -f /etc/hosts; ln -s ${outside}/hosts /etc/hosts; mkdir -p /srv/a; rm -rf /srv/a; ln -s ${outside} /srv/a`,
  );
  t.is((await runBox(t, place, "cat /etc/hosts")).text.split("\n").length, 2);
  await t.throwsAsync(runBox(t, place, "true", { files: [["/srv/a/file", "x"]] }), {
    code: "ENOTDIR",
  });
  t.deepEqual(readdirSync(outside), []);
});

test("8: /dev, /proc and /sys are folders of our own, whatever the root has there (CVE-2026-41579, CVE-2026-47766)", async (t) => {
  const outside = outsideFolder(t);
  const shapes: [string, (path: string) => void][] = [
    ["links", (path) => symlinkSync(outside, path)],
    ["links that lead up", (path) => symlinkSync(`../../../../../..${outside}`, path)],
    ["links to themselves", (path) => symlinkSync(path.slice(path.lastIndexOf("/") + 1), path)],
    ["files", (path) => writeFileSync(path, "")],
  ];
  for (const [what, make] of shapes) {
    const root = busyboxRoot(t, (folder) => {
      for (const name of ["dev", "proc", "sys"]) make(join(folder, name));
    });
    if (root === undefined) return;
    const place = await lab(t);
    const run = await runBox(t, place, "stat -f -c %T /dev /proc /sys; ls /dev/null /proc/self/comm", { root });
    t.is(run.text, "tmpfs\nproc\nsysfs\n/dev/null\n/proc/self/comm\n", what);
    t.deepEqual(readdirSync(outside), [], what);
  }
});

test("9: cgroups are seen from their leaf and cannot be written (CVE-2023-25809, CVE-2022-0492)", async (t) => {
  const place = await lab(t);
  const line =
    "cut -d: -f3 /proc/self/cgroup | sort -u; find /sys/fs/cgroup -name release_agent -o -name cgroup.procs -writable; (mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/memory/x) 2>&1";
  const run = await runBox(t, place, line, { limits: { pids: 50 } });
  t.regex(run.text, /^\/\n(mkdir: [^\n]*\n)+$/);
});

test("19: a state folder whose name has the separators of overlay options", async (t) => {
  const place = await lab(t, "yapc a:b,c\\d-");
  t.is((await runBox(t, place, "cat /etc/hostname; touch /usr/mark")).text, "box\n");
  t.true(existsSync(join(place.folder, "containers/box/machine/upper/usr/mark")));
});

test("21: no mount of the container has a peer outside, and the machine's tree is gone", async (t) => {
  const place = await lab(t);
  const line =
    "cut -d' ' -f7- /proc/self/mountinfo | grep -cE 'shared:|master:|propagate_from:'; cut -d' ' -f5 /proc/self/mountinfo | sort | head -1; cut -d' ' -f5 /proc/self/mountinfo | grep -c '^/$'";
  t.is((await runBox(t, place, line)).text, "0\n/\n1\n");
});

test("23: sysfs shows the interfaces of the container's own network namespace only", async (t) => {
  const place = await lab(t);
  await place.init.createNodes([{ name: "box", container: true }]);
  // What the lab's own namespace has not.
  t.is((await shell(place.init, "box", "ip link add own0 type veth peer name own1 2>&1")).text, "");
  const run = await runBox(t, place, "ls /sys/class/net; ls -d /sys/devices/virtual/net/*");
  t.is(
    run.text,
    "lo\nown0\nown1\n" + "lo own0 own1".replace(/\w+/g, "/sys/devices/virtual/net/$&").replaceAll(" ", "\n") + "\n",
  );
});

test("29: no device opens but those of /dev, wherever it is made or found", async (t) => {
  if (!asRoot) {
    t.log("SKIP mknod needs root: in a user namespace no file system opens devices");
    t.pass();
    return;
  }
  const root = busyboxRoot(t, (folder) => execFileSync("mknod", [join(folder, "found"), "c", "1", "5"]));
  if (root === undefined) return;
  const place = await lab(t);
  const line = `for at in /made /dev/made /dev/shm/made /bin/made; do mknod $at c 1 5 && head -c 1 $at 2>&1; done; head -c 1 /found 2>&1
    mknod /bin/disk b 8 0; head -c 1 /bin/disk 2>&1; mknod /dev/disk b 8 0; head -c 1 /dev/disk 2>&1
    for at in null zero full random urandom; do : < /dev/$at || echo $at does not open; done; head -c 4 /dev/zero | wc -c`;
  const run = await runBox(t, place, line, { root });
  t.is(run.text.match(/Permission denied/g)?.length, 7);
  t.regex(run.text, /\n4\n$/);
  t.notRegex(run.text, /does not open/);
  // Over `/` each layer is a mount of its own.
  const over = await runBox(
    t,
    place,
    "for at in /made /usr/made /tmp/made; do mknod $at c 1 5; head -c 1 $at 2>&1; done",
  );
  t.is(over.text.match(/Permission denied/g)?.length, 3);
  // What is left of them on the machine lies below a folder that only root may enter.
  t.is(statSync(join(place.folder, "containers/box")).mode & 0o777, 0o700);
});

test("30: a file that gives root to who runs it gives nothing inside, and is out of reach outside", async (t) => {
  const place = await lab(t);
  const nobody = place.init.ids.users > 1;
  const line = `cp "$(command -v id)" /srv/suid && chmod 6755 /srv/suid && stat -c %a /srv/suid; ${nobody ? "setpriv --reuid 65534 --clear-groups /srv/suid -u" : "/srv/suid -u"}`;
  t.is((await runBox(t, place, line)).text, `6755\n${nobody ? "65534" : "0"}\n`);
  const upper = join(place.folder, "containers/box/machine/upper/srv/suid");
  t.true(existsSync(upper));
  t.is(statSync(join(place.folder, "containers/box")).mode & 0o077, 0);
});

test("27: the helper is not setuid, and refuses to run by itself", (t) => {
  const helper = ["helper/build/yapc-init", "../helper/build/yapc-init"]
    .map((path) => join(import.meta.dirname, "../../..", path))
    .find((path) => existsSync(path))!;
  t.is(statSync(helper).mode & 0o6000, 0);
  t.is(readFileSync(helper).subarray(1, 4).toString(), "ELF");
  const nothing = openSync("/dev/null", "r");
  t.throws(() => execFileSync(helper, ["/tmp"], { stdio: ["ignore", "ignore", "ignore", nothing] }), {
    message: /Command failed/,
  });
  closeSync(nothing);
});
