/** Builds of the helper for tests: with the sanitizers, with another compiler, with a test's own main(). */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

export const project = join(import.meta.dirname.replace("/dist/", "/"), "../..");

const helper = join(project, "helper");
const sources = readdirSync(helper)
  .filter((file) => file.endsWith(".c"))
  .map((file) => join(helper, file));

const compiler = process.env.CC ?? "cc";

export const strict = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-pedantic"];
/** An array at the end of a struct is one of any length to gcc's `bounds`; clang knows no `bounds-strict`. */
const bounds = refusal(["-fsanitize=bounds-strict"]) === undefined ? ["-fsanitize=bounds-strict"] : [];
export const sanitizers = [...bounds, "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

interface Outcome {
  readonly status: number | null;
  readonly stderr: string;
}

function compile(compiler: string, args: readonly string[]): Outcome {
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: "utf8" });
  return { status, stderr: error?.message ?? stderr };
}

/** The whole helper, as helper/build.sh builds it, but for `flags`. */
export function buildHelper(
  out: string,
  flags: readonly string[],
  more: readonly string[] = [],
  cc = compiler,
): Outcome {
  return compile(cc, [...strict, ...flags, "-o", out, ...sources, ...more]);
}

/** Whether an empty program can be built with these flags. @returns undefined, or what the compiler says */
function refusal(flags: readonly string[]): string | undefined {
  const args = [...flags, "-x", "c", "-", "-o", "/dev/null"];
  const { status, stderr, error } = spawnSync(compiler, args, {
    input: "int main(void) { return 0; }",
    encoding: "utf8",
  });
  return status === 0 ? undefined : (error?.message ?? stderr).split("\n")[0];
}

/** What a build with the sanitizers needs and is not here. Where nothing is missing, one that fails is the helper's fault. */
export function missingSanitizers(): string | undefined {
  const reason = refusal(sanitizers);
  return reason === undefined ? undefined : `a C compiler with the address sanitizer: ${reason}`;
}

/** A program of test/helper with the helper's files but its main(). */
export function buildWithHelper(out: string, source: string, flags: readonly string[]): Outcome {
  const start = `${out}.start.o`;
  const first = compile(compiler, [
    ...strict,
    ...flags,
    "-Dmain=helper_main",
    "-c",
    join(helper, "start.c"),
    "-o",
    start,
  ]);
  if (first.status !== 0) return first;
  const reports = [join(project, "test/helper/sanitizers.c"), '-DREPORTS="stderr"'];
  const others = sources.filter((file) => !file.endsWith("/start.c"));
  return compile(compiler, [
    ...strict,
    ...flags,
    join(project, "test/helper", source),
    ...reports,
    ...others,
    start,
    "-o",
    out,
  ]);
}
