/** 31: hostile archives as roots: what they name lies below their own folder, or they are refused and leave nothing. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { unpack } from "../../src/init/archive.js";
import { lab, runBox } from "../init/lab.js";
import { busyboxRoot, outsideFolder } from "./roots.js";
import { type TarEntry, paxRecord, tar } from "./tar.js";

const asRoot = process.getuid?.() === 0;

interface Place {
  /** Where the archive is unpacked: `outside/state/lower`. */
  readonly below: string;
  /** Two folders above, with a file that is to stay as it is. */
  readonly outside: string;
  readonly archive: string;
}

function place(t: ExecutionContext, bytes: Uint8Array): Place {
  const outside = outsideFolder(t);
  writeFileSync(join(outside, "victim"), "untouched");
  mkdirSync(join(outside, "state"));
  const archive = join(outside, "root.tar");
  writeFileSync(archive, bytes);
  return { below: join(outside, "state/lower"), outside, archive };
}

/** Names and contents of all that lies outside of where the archive belongs. */
function around({ outside }: Place): string {
  const text = execFileSync("find", [outside, "-path", "*/state/lower", "-prune", "-o", "-printf", "%P %y %s %m\n"], {
    encoding: "utf8",
  });
  return createHash("sha256")
    .update(text)
    .update(readFileSync(join(outside, "victim")))
    .digest("hex");
}

type Outcome = { readonly unpacked: string } | { readonly refused: string };

function offer(at: Place): Outcome {
  try {
    return { unpacked: unpack(at.archive, at.below, 1) };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  }
}

const file = (name: string, content = "written"): TarEntry => ({ name, content });
const long = "d/".repeat(60);

const hostile: readonly (readonly [what: string, entries: (at: Place) => readonly TarEntry[]])[] = [
  ["names with ..", () => [file("../../victim"), file("a/../../../victim"), file("..")]],
  ["absolute names", ({ outside }) => [file(`${outside}/victim`), file(`//${outside}/new`)]],
  [
    "a link up, then a file through it",
    () => [{ name: "up", type: "2", link: "../.." }, file("up/victim"), file("up/new")],
  ],
  [
    "an absolute link, then a file through it",
    ({ outside }) => [{ name: "out", type: "2", link: outside }, file("out/victim"), file("out/new")],
  ],
  [
    "a link to a link to the outside",
    ({ outside }) => [
      { name: "a", type: "2", link: outside },
      { name: "b", type: "2", link: "a" },
      file("b/victim"),
      { name: "b/folder", type: "5", mode: 0o777 },
    ],
  ],
  [
    "a folder that becomes a link while it is filled",
    ({ outside }) => [{ name: "d", type: "5", mode: 0o755 }, { name: "d", type: "2", link: outside }, file("d/victim")],
  ],
  [
    "hard links out, then written",
    ({ outside }) => [
      { name: "hard", type: "1", link: `${outside}/victim` },
      file("hard"),
      { name: "hard2", type: "1", link: "../../victim" },
      file("hard2"),
    ],
  ],
  [
    "a hard link through a link out",
    ({ outside }) => [{ name: "s", type: "2", link: outside }, { name: "h", type: "1", link: "s/victim" }, file("h")],
  ],
  [
    "the same name as file, link and file",
    ({ outside }) => [file("x"), { name: "x", type: "2", link: `${outside}/victim` }, file("x")],
  ],
  [
    "GNU long names that lead out",
    () => [
      { name: "././@LongLink", type: "L", content: `${long}${"../".repeat(63)}victim\0` },
      file("short"),
      { name: "././@LongLink", type: "K", content: `${"../".repeat(40)}victim\0` },
      { name: "link", type: "1", link: "short" },
      file("link"),
    ],
  ],
  [
    "pax names that lead out",
    ({ outside }) => [
      { name: "pax", type: "x", content: paxRecord("path", "../../victim") },
      file("harmless"),
      { name: "pax", type: "x", content: paxRecord("path", `${outside}/victim`) },
      file("harmless"),
      { name: "pax", type: "x", content: paxRecord("linkpath", `${outside}/victim`) },
      { name: "l", type: "1", link: "harmless" },
      file("l"),
    ],
  ],
  [
    "a pax header whose length lies",
    () => [{ name: "pax", type: "x", content: "99999999 path=../../victim\n" }, file("a")],
  ],
];

for (const [what, entries] of hostile) {
  test(`31: an archive with ${what} changes nothing outside its folder (CVE-2019-14271)`, (t) => {
    const at = place(t, Buffer.alloc(0));
    writeFileSync(at.archive, tar(entries(at)));
    const before = around(at);
    const outcome = offer(at);
    t.log("refused" in outcome ? `refused: ${outcome.refused}` : "unpacked below its folder");
    t.is(around(at), before);
    t.is(readFileSync(join(at.outside, "victim"), "utf8"), "untouched");
    if ("refused" in outcome) t.false(existsSync(at.below), "a refused archive leaves nothing");
    else t.is(readdirSync(at.below).length, 1);
  });
}

test("31: archives that are torn, lie about their sizes or are none are refused, and leave nothing", (t) => {
  const good = tar([file("a", "x".repeat(5000)), file("b")]);
  const flipped = Buffer.from(good);
  flipped[10] = 0x41; // the name is another, its checksum not
  const packed = gzipSync(good);
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["cut in a file", good.subarray(0, 2000)],
    ["cut in a header", good.subarray(0, 300)],
    ["bad checksum", flipped],
    ["negative size", tar([{ ...file("a"), size: "-0000000001\0" }, file("b")])],
    ["size beyond the end", tar([{ ...file("a"), size: "00000077777\0" }])],
    ["8 EiB (base 256)", tar([{ ...file("a"), size: "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" }])],
    ["gzip, cut", packed.subarray(0, packed.length - 20)],
    ["no archive", Buffer.from("#!/bin/sh\necho no archive\n".repeat(100))],
  ];
  for (const [what, bytes] of cases) {
    const at = place(t, bytes);
    const outcome = offer(at);
    t.true("refused" in outcome, what);
    if ("refused" in outcome) t.regex(outcome.refused, /^cannot unpack .*root\.tar: ./, what);
    t.deepEqual(readdirSync(join(at.outside, "state")), [], what);
  }
});

test("31: an archive whose folders its owner may not enter is refused or replaced like another", (t) => {
  const closed: TarEntry[] = [
    { name: "d", type: "5", mode: 0 },
    file("d/f"),
    { name: "e", type: "5", mode: 0o555 },
    file("e/f"),
  ];
  const at = place(t, tar(closed));
  t.true("unpacked" in offer(at));
  // Another state of the archive: the first one goes.
  writeFileSync(at.archive, tar([...closed, file("new")]));
  t.notThrows(() => unpack(at.archive, at.below, 2));
  t.deepEqual(readdirSync(at.below), ["2"]);
  writeFileSync(at.archive, tar(closed).subarray(0, 2600));
  t.throws(() => unpack(at.archive, at.below, 3), { code: "NO_ARCHIVE" });
  t.false(existsSync(at.below));
});

test("31: a file of a terabyte that is a hole takes no room", (t) => {
  const at = place(t, Buffer.alloc(0));
  const folder = join(at.outside, "state", "made");
  mkdirSync(folder);
  writeFileSync(join(folder, "hole"), "");
  truncateSync(join(folder, "hole"), 2 ** 40);
  execFileSync("tar", ["-cSf", at.archive, "-C", folder, "hole"]);
  const outcome = offer(at);
  if ("refused" in outcome) {
    t.regex(outcome.refused, /File too large|No space/); // what the file system can hold
    t.false(existsSync(at.below));
    return;
  }
  t.is(statSync(join(outcome.unpacked, "hole")).size, 2 ** 40);
  t.true(statSync(join(outcome.unpacked, "hole")).blocks < 1000);
});

test("31: an archive that brings devices, setuid files and links as /dev, /proc and /etc starts, and gives nothing by them", async (t) => {
  const root = busyboxRoot(t);
  if (root === undefined) return;
  const outside = outsideFolder(t);
  const busybox = readFileSync("/bin/busybox", "latin1");
  const entries: TarEntry[] = [
    { name: "bin/", type: "5", mode: 0o755 },
    { name: "bin/busybox", mode: 0o6755, content: busybox },
    ...["sh", "cat", "ls", "head", "id", "stat"].map((name): TarEntry => ({
      name: `bin/${name}`,
      type: "2",
      link: "busybox",
    })),
    { name: "dev", type: "2", link: outside },
    { name: "proc", type: "2", link: outside },
    { name: "etc", type: "2", link: outside },
    { name: "sys/", type: "5", mode: 0o755 },
    { name: "sys/fs", type: "2", link: outside },
    // An ordinary user cannot make them: then the archive is refused.
    ...(asRoot
      ? [
          { name: "zero", type: "3", mode: 0o666, device: [1, 5] } satisfies TarEntry,
          { name: "disk", type: "4", mode: 0o666, device: [8, 0] } satisfies TarEntry,
        ]
      : []),
    { name: "pipe", type: "6", mode: 0o666 },
  ];
  const archive = join(outside, "..", `${outside.slice(outside.lastIndexOf("/") + 1)}.tar`);
  writeFileSync(archive, tar(entries));
  t.teardown(() => spawnSync("rm", ["-f", archive]));
  const line =
    "stat -f -c %T /dev /proc /sys; cat /etc/hostname; ls -d /sys/fs; head -c 1 /zero 2>&1; head -c 1 /disk 2>&1; id -u";
  const run = await runBox(t, await lab(t), line, { root: archive });
  const refused = asRoot
    ? "head: /zero: Permission denied\nhead: /disk: Permission denied\n"
    : "head: /zero: No such file or directory\nhead: /disk: No such file or directory\n";
  t.is(run.text, `tmpfs\nproc\nsysfs\nbox\n/sys/fs\n${refused}0\n`);
  t.deepEqual(readdirSync(outside), []);
  if (!asRoot) {
    writeFileSync(archive, tar([{ name: "zero", type: "3", device: [1, 5] }]));
    await t.throwsAsync(runBox(t, await lab(t), "true", { root: archive }), { code: "NO_ARCHIVE" });
  }
});
