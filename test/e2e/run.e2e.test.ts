/** `run` and what works on its containers, beyond yapc's transcript: each flag by what is seen from inside or outside. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { cli, type Cli, executable, isRoot, program, until } from "./cli.js";
import { has, skip } from "../tools.js";

async function output(place: Cli, ...args: string[]): Promise<string> {
  return await place.ok("run", ...args);
}

/** A detached container, ended with the test. @returns its lab */
async function detached(t: ExecutionContext, place: Cli, ...args: string[]): Promise<string> {
  const lab = (await place.ok("run", "--detach", ...args)).trim();
  t.teardown(() => place.run("down", lab));
  return lab;
}

test.serial("where the command begins: with or without --, words as they were typed", async (t) => {
  const place = cli(t);
  t.is(await output(place, "echo", "a", "a", "-n", "--cpu", "b  c", ""), "a a -n --cpu b  c \n");
  t.is(
    await output(place, "-e", "A=1 2", "--workdir=/usr/lib", "sh", "-c", 'echo "$A"; pwd; echo $HOME', "--"),
    "1 2\n/usr/lib\n/root\n",
  );
  t.is((await place.run("run", "--", "/etc/passwd")).code, 126);
  t.is((await place.run("run", "--", "sh", "-c", "no-such-program")).code, 127);
});

test.serial(
  "binds are seen inside, files and folders, also where the root has nothing; read-only ones are",
  async (t) => {
    const place = cli(t);
    mkdirSync(path.join(place.folder, "site/below"), { recursive: true });
    writeFileSync(path.join(place.folder, "site/index.html"), "hello\n");
    const line =
      "cat /site/index.html /etc/marker /tmp/deep/er/index.html; echo x > /tmp/deep/er/new; for f in /site/x /site/below/x /etc/marker; do (: > $f) 2>&1 | grep -c Read-only; done";
    const binds = ["site:/site:ro", "site/index.html:/etc/marker:ro", "site:/tmp/deep/er"].flatMap((each) => [
      "--bind",
      each,
    ]);
    t.is(await output(place, ...binds, "--", "sh", "-c", line), "hello\nhello\nhello\n1\n1\n1\n");
    t.is(readFileSync(path.join(place.folder, "site/new"), "utf8"), "x\n");
    for (const [bind, says] of [
      ["no-such:/x", /there is no .*no-such to bind/],
      ["site:/proc/x", /nothing can be bound at \/proc\/x/],
      ["site:/etc/passwd", /cannot bind the folder .*site at \/etc\/passwd, which is a file/],
    ] as const) {
      const { code, stderr } = await place.run("run", "--bind", bind, "--", "true");
      t.is(code, 2, stderr);
      t.regex(stderr, says);
    }
  },
);

test.serial("a read-only root, --keep, and a tar archive with gzip as docker export gives it", async (t) => {
  const place = cli(t);
  const line =
    "for f in /x /usr/x /tmp/x /etc/hosts; do (: > $f) 2>&1 | grep -c Read-only; done; touch /dev/shm/x && echo shm";
  t.is(await output(place, "--read-only", "--", "sh", "-c", line), "1\n1\n1\n1\nshm\n");

  const kept = await place.run("run", "--keep", "--", "sh", "-c", "echo mine > /srv/kept");
  const folder = /^kept: (\/.*\/upper)$/m.exec(kept.stderr)?.[1] ?? "";
  t.is(readFileSync(path.join(folder, "srv/kept"), "utf8"), "mine\n");
  t.deepEqual(readdirSync(path.dirname(folder)), ["upper"]);
  rmSync(path.dirname(folder), { recursive: true });

  if (!has(t, "busybox")) return;
  const made = await program(
    "sh",
    "-c",
    `cd ${place.folder} && mkdir -p root/bin && cp "$(command -v busybox)" root/bin/sh && tar -czf root.tgz -C root .`,
  );
  t.is(made.code, 0, made.stderr);
  t.is(await output(place, "--root", "root.tgz", "--", "sh", "-c", "echo /bin/*"), "/bin/sh\n");
  const empty = await place.run("run", "--root", "root", "--", "bash");
  t.is(empty.code, 127, "a root without that shell");
  t.regex(empty.stderr, /^error: cannot run bash in yapc: no such file or directory \(ENOENT\)\nhint: .*PATH/);
});

test.serial("capabilities are added and dropped, and a filter is the default, none, or a profile's", async (t) => {
  const place = cli(t);
  const bounding = async (...flags: string[]) =>
    /CapBnd:\s+(\w+)/.exec(await output(place, ...flags, "--", "cat", "/proc/self/status"))?.[1];
  t.is(await bounding("--cap-add", "net_raw"), "00000000a80425fb");
  t.is(await bounding("--cap-drop", "all", "--cap-add", "kill,chown"), "0000000000000021");
  const mode = async (...flags: string[]) =>
    await output(place, ...flags, "--", "grep", "^Seccomp:", "/proc/self/status");
  t.is(await mode(), "Seccomp:\t2\n");
  t.is(await mode("--seccomp", "none"), "Seccomp:\t0\n");
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
  };
  writeFileSync(path.join(place.folder, "profile.json"), JSON.stringify(profile));
  const refused = await place.run("run", "--seccomp", "profile.json", "--", "mkdir", "/x");
  t.regex(refused.stderr, /No space left on device/, "errno 28, as the profile says");
  writeFileSync(path.join(place.folder, "bad.json"), "{}");
  const bad = await place.run("run", "--seccomp", "bad.json", "--", "true");
  t.is(bad.code, 2);
  t.regex(bad.stderr, /cannot use the seccomp profile .*bad\.json: defaultAction/);
});

test.serial("a terminal: its own pty, as large as the one outside, with what stdin has; or none", async (t) => {
  const place = cli(t);
  const piped = place.start(["run", "--tty", "--", "sh", "-c", "tty; stty size; cat"], { input: "typed\n" });
  t.regex((await piped.ended).stdout.replaceAll("\r", ""), /^24 80$/m);
  t.regex((await piped.ended).stdout.replaceAll("\r", ""), /typed\n[^]*typed\n/, "echoed, and read");
  if (!has(t, "script")) return;
  // script(1) is the terminal outside.
  const inner = `stty cols 91 rows 33; ${process.execPath} ${executable} run -- sh -c 'test -t 0 && echo "<$(stty size) tty>"'`;
  const interactive = place.start(["-c", inner, "-q", "/dev/null"], { program: "script" });
  const { stdout } = await interactive.ended;
  // What script sends at the end of its own input may be echoed before and after, never inside one short write.
  t.is(/<.*>/.exec(stdout)?.[0], "<33 91 tty>", stdout);
});

test.serial(
  "detached it goes on in a lab of its own, on which ls, logs, exec, stop, start, inspect and down work",
  async (t) => {
    const place = cli(t);
    const lab = await detached(
      t,
      place,
      "--name",
      "box",
      "--",
      "sh",
      "-c",
      "echo one; echo two >&2; sleep 0.2; echo three; exec sleep 1000",
    );
    const node = `${lab}/yapc`;
    t.regex(await place.ok("ls"), new RegExp(`^${lab} +running +1 +1 `, "m"));
    const lines = async (...flags: string[]) => (await place.ok("logs", node, ...flags)).trim().split("\n");
    t.true(await until(async () => (await lines()).includes("three")));
    t.deepEqual(await lines(), ["one", "three"], "stderr goes to stderr");
    t.deepEqual(await lines("--tail", "1"), ["three"]);
    t.deepEqual(await lines("--since", "2000-01-01T00:00:00Z"), ["one", "three"]);
    t.deepEqual(await lines("--since", "2100-01-01T00:00:00Z"), [""]);
    t.regex((await lines("--timestamps"))[0] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one$/);

    const followed = place.start(["logs", node, "--follow"]);
    t.true(await until(() => followed.output().includes("three")));
    t.is(await place.ok("exec", node, "--", "hostname"), "box\n");
    t.is(
      await place.ok("exec", node, "-e", "A=b", "-w", "/usr/lib", "--", "sh", "-c", "echo $A; pwd"),
      "b\n/usr/lib\n",
    );
    t.is((await place.run("exec", node, "--", "no-such-program")).code, 127);
    const another = await place.run(
      "exec",
      node,
      "--user",
      "nobody",
      "--",
      "sh",
      "-c",
      "id -u; echo $HOME; grep CapEff /proc/self/status",
    );
    if (another.code === 0) t.is(another.stdout, "65534\n/nonexistent\nCapEff:\t0000000000000000\n");
    else t.regex(another.stderr, /cannot run as 65534:65534: it has only (root|the users below)/);
    t.regex(
      (await place.run("exec", node, "--user", "no-such-user", "--", "true")).stderr,
      /has no user "no-such-user"/,
    );
    t.regex((await place.run("exec", node, "--tty", "--", "tty")).stdout, /^\/dev\/pts\/\d/);

    t.regex(await place.ok("stop", node), /yapc: stopped, ended by SIGTERM/);
    t.true(await until(() => followed.output().includes("yapc ended: ended by SIGTERM")), followed.output());
    followed.child.kill("SIGINT");
    await followed.ended;
    t.regex(await place.ok("inspect", lab), /^ {2}sh -c .*: ended: ended by SIGTERM$/m);
    t.regex(await place.ok("start", node), /yapc: started, pid \d+/);
    t.regex(await place.ok("inspect", lab), /: running, pid \d+$/m);
    await place.ok("down", lab);
    t.false(existsSync(path.join(place.stateRoot, lab)));
    const wrong = await place.run("run", "--detach", "--keep", "--", "true");
    t.is(wrong.code, 2);
    t.regex(wrong.stderr, /do not go together/);
    t.is((await place.run("run", "--detach", "--", "no-such-program")).code, 127);
  },
);

test.serial("networks: none, the machine's, and that of a node of a lab, with its names", async (t) => {
  const place = cli(t);
  t.regex(
    await output(place, "--net", "none", "--name", "box", "--", "sh", "-c", "ip -o link; getent hosts box"),
    /^1: lo: <LOOPBACK,UP.*\n127\.0\.1\.1 +box\n$/,
  );
  const host = await place.run("run", "--net", "host", "--", "readlink", "/proc/self/ns/net");
  if (isRoot) t.is(host.stdout, (await program("readlink", "/proc/self/ns/net")).stdout);
  else {
    t.is(host.code, 125);
    t.regex(host.stderr, /cannot share the machine's network: only root's may/);
  }
  const lab = await detached(t, place, "--net", "new", "--", "sleep", "1000");
  const shared = await output(
    place,
    "--net",
    `${lab}/yapc`,
    "--",
    "sh",
    "-c",
    "ls /sys/class/net; readlink /proc/self/ns/net",
  );
  t.is(shared, `eth0\nlo\n${await place.ok("exec", `${lab}/yapc`, "--", "readlink", "/proc/self/ns/net")}`);
  const bare = await place.run("run", "--net", `${lab}/host`, "--", "ls", "/sys/class/net");
  if (isRoot) t.regex(bare.stdout, /^lo\nvethyapc/);
  else t.regex(bare.stderr, /cannot share the network of 'host', a node without one/);
  t.regex((await place.run("run", "--net", `${lab}/nobody`, "--", "true")).stderr, /has no node 'nobody'/);
});

test.serial(
  "limits: CPUs by number, disks, swap off; one that cannot be enforced is a warning, or with --strict exit code 3",
  async (t) => {
    const place = cli(t);
    const { code, stderr, stdout } = await place.run(
      "run",
      "--cpuset",
      "0",
      "--",
      "grep",
      "Cpus_allowed_list",
      "/proc/self/status",
    );
    t.is(code, 0, stderr);
    if (stderr.includes(" has no effect here")) {
      const strict = await place.run("run", "--strict", "--memory", "10M", "--", "true");
      t.is(strict.code, 3);
      t.regex(strict.stderr, /^error: the memory limit of 'yapc' has no effect here: .*\nhint: .*Delegate=yes/);
      skip(t, "no cgroup of this machine may be used by this user");
      return;
    }
    t.is(stdout, "Cpus_allowed_list:\t0\n");
    const refused = await place.run("run", "--cpuset", "9999", "--", "true");
    t.is(refused.code, 125);
    t.regex(
      refused.stderr,
      /^error: cannot limit the cpuset of 'yapc': write 9999 to \/\S*cpuset\.cpus: .* \((ERANGE|EINVAL)\)\nhint: .*lscpu/,
    );
  },
);

test.serial(
  "too many processes, too little memory, no user namespaces, no right: one line that says what to do, and nothing is left",
  async (t) => {
    const place = cli(t);
    const labs = () =>
      existsSync(place.stateRoot) ? readdirSync(place.stateRoot).filter((name) => name.startsWith("yapc")) : [];
    const before = labs();
    const line = (stderr: string) => stderr.replace(/^warning: .*\n/gm, "");
    const few = await place.run("run", "--pids", "1", "--", "true");
    if (!few.stderr.includes(" has no effect here")) {
      t.is(few.code, 125);
      t.regex(
        line(few.stderr),
        /^error: cannot start .* in yapc: .*\(EAGAIN\)\nhint: +too many processes: raise the pids limit/,
      );
      const little = await place.run("run", "--memory", "64K", "--", "true");
      t.not(little.code, 0);
      t.regex(line(little.stderr), /ENOMEM\)\nhint: +the memory limit is too small|^killed: memory limit 64K reached/);
    }
    // A user namespace in which no other may be made, and a process without rights in it.
    const lock = (name: string, value: string) => [
      "unshare",
      "--user",
      "--map-current-user",
      "--keep-caps",
      "sh",
      "-c",
      `echo ${value} > /proc/sys/user/${name} && exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@"`,
      "sh",
    ];
    const none = await place.start(["run", "--net", "none", "--", "true"], { under: lock("max_user_namespaces", "0") })
      .ended;
    t.is(none.code, 125, none.stderr);
    t.regex(
      line(none.stderr),
      /^error: cannot make a user namespace.*: no space left on device \(ENOSPC\)\nhint: .*sysctl user/,
    );
    if (!isRoot) {
      const mounts = await place.start(["run", "--net", "none", "--", "true"], {
        under: lock("max_mnt_namespaces", "0"),
      }).ended;
      t.is(mounts.code, 125);
      t.regex(line(mounts.stderr), /^error: cannot make .*namespace.*\(ENOSPC\)\nhint: .*too many namespaces/);
      const closed = path.join(place.folder, "closed");
      mkdirSync(closed, { mode: 0 });
      const refused = await place.run("run", "--root", closed, "--", "true");
      t.is(refused.code, 2);
      t.regex(
        refused.stderr,
        /^error: cannot read .*closed\/etc\/passwd: permission denied.*\nhint: .*readable for you/,
      );
      chmodSync(closed, 0o700);
    }
    t.deepEqual(labs(), before, "nothing is left");
  },
);
