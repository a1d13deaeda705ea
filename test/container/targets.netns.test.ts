/**
 * Rule 7 at the interpreter itself: what yapc-net sends makes each folder above a target first and is refused there, so
 * that the look-up behind it is tested by programs written by hand.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { encodeProgram } from "../../src/container/encode.js";
import { mountFlag, type ProgramOperation } from "../../src/container/program.js";
import { environment, lab } from "../init/lab.js";
import { bareProgram } from "./bare-program.js";
import { outsideFolder } from "./roots.js";

type Targeted = Extract<ProgramOperation, { inside: boolean }>;

/** Every operation that has a target below the base. */
function operations(target: string, source: string): Targeted[] {
  const at = { target, inside: true };
  return [
    { kind: "mkdir", ...at, mode: 0o755 },
    { kind: "write", ...at, mode: 0o644, content: "written" },
    { kind: "copy", ...at, source },
    { kind: "symlink", ...at, text: "/made" },
    { kind: "mount", ...at, type: "tmpfs", flags: 0, options: "" },
    { kind: "bind", ...at, source, flags: mountFlag.readOnly },
    { kind: "makeDevice", ...at, mode: 0o666, device: { major: 1, minor: 3 } },
    { kind: "bindDevice", ...at, source: "/dev/null", device: { major: 1, minor: 3 } },
    { kind: "mask", ...at },
    { kind: "readOnly", ...at },
  ];
}

test("7: no operation reaches its target through a link, a link of /proc or `..` (CVE-2021-30465, CVE-2024-45310)", async (t) => {
  const outside = outsideFolder(t);
  const place = await lab(t);
  await place.init.createNodes([{ name: "box", container: true }]);
  const base = join(outside, "base");
  mkdirSync(join(base, "folder"), { recursive: true });
  mkdirSync(join(base, "proc"));
  writeFileSync(join(outside, "source"), "source");
  mkdirSync(join(outside, "beyond/there"), { recursive: true });
  writeFileSync(join(outside, "beyond/file"), "outside");
  symlinkSync(join(outside, "beyond"), join(base, "absolute"));
  symlinkSync("../beyond", join(base, "relative"));
  symlinkSync("folder", join(base, "inner"));
  const proc: ProgramOperation = { kind: "mount", type: "proc", target: "/proc", inside: true, flags: 0, options: "" };
  const refused = async (operation: Targeted, code: string) => {
    const program = {
      ...bareProgram,
      environment,
      operations: [{ kind: "base", target: base } as const, proc, operation],
    };
    const log = { logPath: join(place.folder, "log") };
    const started = place.init.startContainer("box", encodeProgram(program), [], log);
    await t.throwsAsync(started, { code }, `${operation.kind} ${operation.target}`);
  };
  const source = join(outside, "source");
  for (const [above, code] of [
    ["/absolute", "ELOOP"],
    ["/folder/../relative", "ELOOP"],
    ["/inner", "ELOOP"], // also where it would stay inside
    ["/proc/1/root", "ELOOP"],
    ["/../beyond", "EXDEV"],
  ] as const) {
    for (const name of ["new", "file", "there"]) {
      for (const operation of operations(`${above}/${name}`, source)) await refused(operation, code);
    }
    // What is mounted on is opened itself, and may not be a link, either.
    for (const operation of operations(above, source)) {
      if (["mount", "bind", "mask", "readOnly"].includes(operation.kind)) await refused(operation, code);
    }
  }
  t.deepEqual(readdirSync(join(outside, "beyond")).toSorted(), ["file", "there"]);
  t.is(readFileSync(join(outside, "beyond/file"), "utf8"), "outside");
  t.deepEqual(readdirSync(join(base, "folder")), []);
});
