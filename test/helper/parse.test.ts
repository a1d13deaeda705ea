/** 26: the parser of the helper, built with the sanitizers, against programs that were tampered with. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { encodeProgram } from "../../src/container/encode.js";
import type { ContainerProgram } from "../../src/container/program.js";
import { mutate, random } from "./mutate.js";
import { skip } from "../tools.js";

const project = join(import.meta.dirname.replace("/dist/", "/"), "../..");

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

/** Builds test/helper/parse.c with the helper's own files; undefined where the compiler cannot. */
function build(folder: string): string | undefined {
  const out = join(folder, "parse");
  const objects = join(folder, "start.o");
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
  const helper = (name: string) => join(project, "helper", name);
  const sources = readdirSync(helper("."))
    .filter((file) => file.endsWith(".c") && file !== "start.c")
    .map(helper);
  const compiler = process.env.CC ?? "cc";
  const start = spawnSync(compiler, [...flags, "-Dmain=helper_main", "-c", helper("start.c"), "-o", objects]);
  if (start.status !== 0) return undefined;
  execFileSync(compiler, [...flags, join(project, "test/helper/parse.c"), ...sources, objects, "-o", out]);
  return out;
}

test("no tampered program makes the parser read or write where it must not", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "yapc-fuzz-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const parser = build(folder);
  if (parser === undefined) {
    skip(t, "needs a C compiler with the address sanitizer");
    return;
  }
  const good = encodeProgram(program);
  const seed = 20260501;
  const below = random(seed);
  const count = process.env.YAPC_NET_SOAK === undefined ? 50_000 : 2_000_000;
  const batch = 50_000;
  t.log(`seed ${seed}`);
  for (let done = 0; done < count; done += batch) {
    const cases = [good, ...Array.from({ length: batch }, () => mutate(good, below))];
    const input = Buffer.concat(cases.flatMap((bytes) => [Buffer.from(Uint32Array.of(bytes.length).buffer), bytes]));
    const run = spawnSync(parser, [], { input, encoding: "utf8", maxBuffer: 1 << 26 });
    t.is(run.status, 0, run.stderr);
    const [cases_, accepted] = run.stdout.split(" ").map(Number);
    t.is(cases_, batch + 1);
    t.true(accepted! >= 1 && accepted! < batch, "the good one, and not all of the others");
  }
});
