/** From a container to its program, as golden text and golden bytes: `explain` is what a reader compares. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { encodeProgram } from "../../src/container/encode.js";
import { explainProgram } from "../../src/container/explain.js";
import { containerFiles, lowerContainer } from "../../src/container/lower.js";
import { findUser } from "../../src/container/user.js";
import { rangeIn } from "../../src/init/id-ranges.js";
import type { ContainerSite, ContainerSpec } from "../../src/model/container.js";

const spec: ContainerSpec = {
  command: ["busybox", "httpd", "-f", "-h", "/srv/a b"],
  environment: [["PATH", "/bin"]],
  workingDirectory: "/srv",
  hostname: "web",
  capabilities: ["chown", "net_bind_service", "net_raw"],
  seccomp: true,
};

const entry = (path: string) => ({ path, mountPoint: false, empty: false });

const site: ContainerSite = {
  upper: "/run/lab/containers/web/upper",
  work: "/run/lab/containers/web/work",
  root: "/run/lab/containers/web/root",
  rootless: false,
  ids: { users: 4294967295, groups: 4294967295 },
  lower: {
    kind: "machine",
    entries: [
      { ...entry("/bin"), link: "usr/bin" },
      entry("/etc"),
      { ...entry("/home"), empty: true },
      entry("/mnt"),
      entry("/proc"),
      { ...entry("/srv"), children: [{ ...entry("/srv/data"), mountPoint: true }, entry("/srv/own")] },
      entry("/tmp"),
      entry("/usr"),
    ],
  },
  user: { uid: 0, gid: 0, groups: [] },
  files: containerFiles(
    { hostname: "web", files: [["/srv/a b/index.html", "it's me\n"]] },
    [["10.0.0.10", ["web"]]],
    "",
  ),
  cgroups: [
    { version: 1, controllers: "memory" },
    { version: 2, controllers: "" },
  ],
  cgroupCount: 2,
  countsOom: true,
  lastCapability: 40,
  architecture: "x64",
};

const rootless: ContainerSite = {
  ...site,
  rootless: true,
  ids: { users: 1, groups: 1 },
  lower: { kind: "folder", path: "/home/me/root,fs" },
  user: { uid: 0, gid: 0, groups: [5] },
  cgroups: [{ version: 2, controllers: "" }],
  cgroupCount: 0,
  countsOom: false,
};

function text(of: ContainerSite): string {
  const program = lowerContainer(spec, of);
  const steps = explainProgram(program).map(({ what, shell }) => `# ${what}\n${shell ?? ":"}\n`);
  const bytes = createHash("sha256").update(encodeProgram(program)).digest("hex");
  return `${steps.join("")}# ${encodeProgram(program).length} bytes, sha256 ${bytes}\n`;
}

/** Golden files lie beside the source of the test; YAPC_NET_GOLDEN=1 writes them anew. */
const golden = (name: string) => join(import.meta.dirname.replace("/dist/", "/"), "golden", name);

for (const [name, of] of [
  ["root-over-machine.sh", site],
  ["rootless-over-folder.sh", rootless],
] as const) {
  test(`explained: ${name}`, (t) => {
    const found = text(of);
    if (process.env.YAPC_NET_GOLDEN !== undefined || !existsSync(golden(name))) {
      if (process.env.YAPC_NET_GOLDEN === undefined) t.fail(`there is no ${golden(name)}`);
      writeFileSync(golden(name), found);
    }
    t.is(found, readFileSync(golden(name), "utf8"));
  });
}

test("what is given to the kernel as an option string is escaped", (t) => {
  const { operations } = lowerContainer(spec, rootless);
  const overlay = operations.find((operation) => operation.kind === "mount" && operation.type === "overlay");
  t.like(overlay, {
    options:
      "lowerdir=/home/me/root\\,fs,upperdir=/run/lab/containers/web/upper,workdir=/run/lab/containers/web/work,userxattr",
  });
});

test("without root there are no other groups, no mknod, no terminal group", (t) => {
  const program = lowerContainer(spec, rootless);
  t.deepEqual(program.user.groups, []);
  t.false(program.operations.some(({ kind }) => kind === "makeDevice"));
  t.false(JSON.stringify(program.operations).includes("gid=5"));
});

test("a container's own files stand before those that every container gets", (t) => {
  const files = containerFiles(
    { hostname: "web", files: [["/etc/hosts", "own\n"]] },
    [["10.0.0.1", ["a", "b"]]],
    "nameserver 10.0.0.53\n",
  );
  t.deepEqual(files, [
    ["/etc/hosts", "own\n"],
    ["/etc/hostname", "web\n"],
    ["/etc/resolv.conf", "nameserver 10.0.0.53\n"],
  ]);
});

test("no string of a program can hold a NUL, except content", (t) => {
  const encode = (change: Partial<ContainerSpec>) => () => encodeProgram(lowerContainer({ ...spec, ...change }, site));
  t.throws(encode({ command: ["a\0b"] }), { message: /NUL/ });
  t.throws(encode({ hostname: "a\0b" }), { message: /NUL/ });
  t.notThrows(() => encodeProgram(lowerContainer(spec, { ...site, files: [["/x", "a\0b"]] })));
});

const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/:/bin/false\nbroken\n12:x:99:98::/:\n";
const group = "root:x:0:\nwww:x:34:\nextra:x:60:web,root\n";

test("a user who is not mapped is refused before anything starts", (t) => {
  const one = { ...rootless, ids: { users: 1, groups: 1 } };
  const as = (uid: number, gid: number) => () => lowerContainer(spec, { ...one, user: { uid, gid, groups: [4] } });
  t.throws(as(33, 0), { code: "UNMAPPED_ID", message: /cannot run as 33:0: it has only root/ });
  t.throws(as(0, 33), { code: "UNMAPPED_ID" });
  t.deepEqual(as(0, 0)().user.groups, []);
  const many = { ...rootless, ids: { users: 65537, groups: 65537 }, user: { uid: 65536, gid: 33, groups: [4, 65537] } };
  t.deepEqual(lowerContainer(spec, many).user.groups, [4]);
  t.throws(() => lowerContainer(spec, { ...many, user: { uid: 65537, gid: 0, groups: [] } }), {
    message: /only the users below 65537/,
  });
});

test("a range of ids is the largest that the file gives the owner", (t) => {
  const file = "# comment\nother:100000:65536\nme:165536:10\n1001:300000:65536\nme:0:99999\nme:1:x\n";
  t.deepEqual(rangeIn(file, ["me", "1001"]), { first: 300000, count: 65536 });
  t.deepEqual(rangeIn(file, ["me"]), { first: 165536, count: 10 });
  t.is(rangeIn(file, ["nobody"]), undefined);
});

test("13: users are read strictly (CVE-2026-30892)", (t) => {
  t.deepEqual(findUser("root", passwd, group), { uid: 0, gid: 0, groups: [60] });
  t.deepEqual(findUser("web", passwd, group), { uid: 33, gid: 34, groups: [60] });
  t.deepEqual(findUser("web:www", passwd, group), { uid: 33, gid: 34, groups: [60] });
  t.deepEqual(findUser("33", passwd, group), { uid: 33, gid: 34, groups: [60] });
  t.deepEqual(findUser("1000", passwd, group), { uid: 1000, gid: 1000, groups: [] });
  t.deepEqual(findUser("1000:34", passwd, group), { uid: 1000, gid: 34, groups: [] });
  t.deepEqual(findUser("root", "", ""), { uid: 0, gid: 0, groups: [] });
  // Digits are an id, whatever a hostile passwd file calls its root.
  const trap = "1000:x:0:0::/:\n34:x:0:0::/:\n";
  t.deepEqual(findUser("1000", trap, "34:x:0:\n"), { uid: 1000, gid: 1000, groups: [] });
  t.deepEqual(findUser("1000:34", trap, "34:x:0:\n"), { uid: 1000, gid: 34, groups: [] });
  t.throws(() => findUser("web", "web:x:33:www::/:\n", ""), {
    message: 'the container\'s /etc/passwd gives user 33 the group "www"',
  });
  const many = Array.from({ length: 300 }, (_, index) => `g${index}:x:${index}:web\n`).join("");
  t.throws(() => findUser("web", passwd, many), { message: /^web is in 300 groups/ });
  t.deepEqual(findUser("33:34", "a:x:4294967296:0::/:\nb:x:033:0::/:\n", ""), { uid: 33, gid: 34, groups: [] });
  for (const bad of [
    "",
    ":",
    "web:",
    ":34",
    "nobody",
    "-1",
    "0x0",
    "1e3",
    " 0",
    "01",
    "4294967295",
    "99999999999",
    "root:root:root",
    "web:nogroup",
  ]) {
    t.throws(() => findUser(bad, passwd, group), { code: "NO_USER" }, bad);
  }
});
