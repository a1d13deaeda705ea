/** Roots of containers before there is a container: links, archives, the machine's own root. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { unpack } from "../../src/init/archive.js";
import { readInside, resolveInside } from "../../src/init/inside-root.js";
import { surveyRoot } from "../../src/init/root-survey.js";

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "yapc-root-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("paths follow the links of the root, and none leads out of it", (t) => {
  const root = folder(t);
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync("/usr", join(root, "absolute"));
  symlinkSync("../../../../..", join(root, "usr/up"));
  symlinkSync("loop", join(root, "loop"));
  symlinkSync("/somewhere/else", join(root, "usr/last"));
  const lower = { kind: "folder", path: root } as const;
  const inside = (path: string) => resolveInside(lower, path);
  t.is(inside("/bin/tool"), "/usr/bin/tool");
  t.is(inside("bin//./tool"), "/usr/bin/tool");
  t.is(inside("/absolute/bin/tool"), "/usr/bin/tool");
  t.is(inside("/usr/up/etc/passwd"), "/etc/passwd");
  t.is(inside("/../../etc/passwd"), "/etc/passwd");
  t.is(inside("/new/folder/file"), "/new/folder/file");
  t.is(inside("/usr/last"), "/usr/last"); // the file itself is replaced, not followed
  t.throws(() => inside("/loop/file"), { code: "ELOOP" });
});

test("the passwd file of a container is its own, or its root's, if it is a plain file of a sane size", (t) => {
  const root = folder(t);
  mkdirSync(join(root, "etc"));
  const lower = { kind: "folder", path: root } as const;
  const read = (files: readonly (readonly [string, string])[] = []) => readInside({ lower, files }, "/etc/passwd");
  t.is(read(), "");
  writeFileSync(join(root, "etc/passwd"), "from the root");
  t.is(read(), "from the root");
  t.is(read([["/etc/passwd", "own"]]), "own");
  writeFileSync(join(root, "etc/passwd"), "x".repeat((1 << 20) + 1));
  t.is(read(), "");
  rmSync(join(root, "etc/passwd"));
  symlinkSync("/etc/passwd", join(root, "etc/passwd"));
  t.is(read(), "", "a link could lead to the machine's");
});

test("an archive is unpacked once for each of its states, without devices", (t) => {
  const [source, state] = [folder(t), folder(t)];
  mkdirSync(join(source, "dev"));
  mkdirSync(join(source, "usr/dev"), { recursive: true });
  writeFileSync(join(source, "dev/null"), "no device");
  writeFileSync(join(source, "usr/dev/kept"), "");
  const archive = join(state, "root.tar.gz");
  execFileSync("tar", ["-czf", archive, "-C", source, "."]);
  const below = join(state, "lower");
  const first = unpack(archive, below, 1000);
  t.false(existsSync(join(first, "dev/null")));
  t.true(existsSync(join(first, "usr/dev/kept")));
  writeFileSync(join(first, "mark"), "");
  t.is(unpack(archive, below, 1000), first);
  t.true(existsSync(join(first, "mark")));
  const second = unpack(archive, below, 2000);
  t.false(existsSync(join(second, "mark")));
  t.false(existsSync(first));
  writeFileSync(archive, "not an archive");
  t.throws(() => unpack(archive, below, 3000), {
    code: "NO_ARCHIVE",
    message: /^cannot unpack .*root\.tar\.gz: tar: /,
  });
});

test("the machine's root: folders and links; without root, what has a mount below it is taken apart", (t) => {
  const [asRoot, asUser] = [surveyRoot(false), surveyRoot(true)];
  const named = (entries: typeof asRoot, path: string) => entries.find((entry) => entry.path === path);
  t.is(named(asRoot, "/usr")?.children, undefined);
  t.true(named(asUser, "/proc")?.mountPoint);
  t.truthy(named(asUser, "/dev")?.children, "there are terminals below it");
  t.is(named(asRoot, "/etc/hostname"), undefined);
  for (const { path, link, children } of asUser) {
    t.false(link !== undefined && children !== undefined, path);
  }
});
