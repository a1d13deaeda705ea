/** 26: the parser and the interpreter of the helper, built with the sanitizers, against programs that mean harm. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { encodeProgram } from "../../src/container/encode.js";
import type { ContainerProgram } from "../../src/container/program.js";
import { buildHelper, buildWithHelper, missingSanitizers, sanitizers } from "./build.js";
import { hostileProgram, longTargets } from "./hostile-programs.js";
import { skip } from "../tools.js";
import { mutate, random } from "./mutate.js";

const soak = process.env.YAPC_NET_SOAK !== undefined;
const seed = Number(process.env.YAPC_NET_SEED ?? 20260501);

const program: ContainerProgram = {
  command: ["sh", "-c", "true"],
  environment: [["PATH", "/bin"]],
  workingDirectory: "/",
  user: { uid: 0, gid: 0, groups: [5, 6] },
  capabilities: 0x21n,
  filter: new Uint8Array(24),
  limits: [{ resource: 4, soft: 0n, hard: 0n }],
  cgroupCount: 1,
  countsOom: true,
  operations: [
    { kind: "base", target: "/tmp" },
    { kind: "mkdir", target: "/a", inside: true, mode: 0o755, like: "/usr" },
    { kind: "write", target: "/a/b", inside: true, mode: 0o644, content: "text\0more" },
    { kind: "mount", type: "tmpfs", target: "/a", inside: true, flags: 2, options: "size=1k", optional: true },
    { kind: "makeDevice", target: "/null", inside: true, mode: 0o666, device: { major: 1, minor: 3 } },
    { kind: "hostname", name: "box" },
    { kind: "pivot" },
  ],
};
const good = encodeProgram(program);

let folder: string | undefined;
let parser: string | undefined;

/** test/helper/parse.c with the sanitizers, built once; undefined with the reason logged. */
function build(t: ExecutionContext): string | undefined {
  const missing = missingSanitizers();
  if (missing !== undefined) {
    skip(t, `needs ${missing}`);
    return undefined;
  }
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), "yapc-fuzz-"));
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "root"));
    chmodSync(join(folder, "root"), 0o755);
    const out = join(folder, "parse");
    const { status, stderr } = buildWithHelper(out, "parse.c", sanitizers);
    if (status === 0) parser = out;
    else t.fail(stderr);
  }
  return parser;
}

test.after.always(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Gives cases to the parser. @returns how many there were, were accepted, and ran */
function offer(t: ExecutionContext, args: readonly string[], cases: readonly Uint8Array[]): readonly number[] {
  const input = Buffer.concat(cases.flatMap((bytes) => [Buffer.from(Uint32Array.of(bytes.length).buffer), bytes]));
  const run = spawnSync(parser ?? "", args, { input, encoding: "utf8", maxBuffer: 1 << 26 });
  t.is(run.status, 0, run.stderr.slice(0, 4000));
  return run.stdout.trim().split(" ").map(Number);
}

test("26: no tampered program makes the parser read or write where it must not", (t) => {
  if (build(t) === undefined) return;
  const below = random(seed);
  const count = soak ? 1_000_000 : 20_000;
  const batch = 10_000;
  t.log(`seed ${seed}`);
  const totals = { cases: 0, accepted: 0 };
  for (let done = 0; done < count; done += batch) {
    // Noise over a good one, and fields that are well formed and mean harm, with and without noise.
    const cases = Array.from({ length: batch }, (_, index) => {
      if (index % 2 === 0) return mutate(good, below);
      const hostile = hostileProgram(below);
      return index % 4 === 1 || hostile.length > 20_000 ? hostile : mutate(hostile, below);
    });
    const [found = 0, accepted = 0] = offer(t, [], [good, ...cases]);
    t.is(found, batch + 1);
    t.true(accepted >= 1 && accepted < batch, "the good one, and not all of the others");
    totals.cases += found;
    totals.accepted += accepted;
  }
  t.log(`${totals.cases} programs, ${totals.accepted} accepted`);
});

test("26: no program that is well formed and means harm breaks the interpreter", (t) => {
  if (build(t) === undefined) return;
  const root = join(folder ?? "", "root");
  const first = spawnSync(parser ?? "", [root], { input: Buffer.alloc(0), encoding: "utf8" });
  if (first.status === 3) {
    t.log(`SKIP namespaces cannot be made here: ${first.stderr.trim()}`);
    t.pass();
    return;
  }
  // A path that is too long, for each operation: chance seldom gets that far.
  const long = longTargets();
  t.deepEqual(offer(t, [root], long), [long.length, long.length, long.length]);
  const below = random(seed + 1);
  const count = soak ? 50_000 : 500;
  const batch = 500;
  t.log(`seed ${seed + 1}`);
  let total = 0;
  for (let done = 0; done < count; done += batch) {
    const cases = Array.from({ length: batch }, () => hostileProgram(below));
    const [found = 0, accepted = 0, ran = 0] = offer(t, [root], cases);
    t.is(found, batch);
    t.is(ran, accepted);
    t.true(accepted > batch / 20);
    total += ran;
  }
  t.log(`${total} programs were run`);
});

test("26: the helper compiles without a warning, with gcc and with clang", (t) => {
  build(t);
  for (const compiler of ["gcc", "clang"]) {
    if (spawnSync(compiler, ["--version"]).status !== 0) {
      t.log(`SKIP no ${compiler}: apt-get install ${compiler}`);
      continue;
    }
    const { status, stderr } = buildHelper(join(folder ?? "", compiler), ["-Os", "-static"], [], compiler);
    t.is(stderr, "", compiler);
    t.is(status, 0, compiler);
  }
});
