/** Builds of the helper for tests: with the sanitizers, with another compiler, with a test's own main(). */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

export const project = join(import.meta.dirname.replace("/dist/", "/"), "../..");

const helper = join(project, "helper");
const sources = readdirSync(helper)
  .filter((file) => file.endsWith(".c"))
  .map((file) => join(helper, file));

export const strict = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-pedantic"];
export const sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

interface Outcome {
  readonly status: number | null;
  readonly stderr: string;
}

function compile(compiler: string, args: readonly string[]): Outcome {
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: "utf8" });
  return { status, stderr: error?.message ?? stderr };
}

const compiler = process.env.CC ?? "cc";

/** The whole helper, as helper/build.sh builds it, but for `flags`. */
export function buildHelper(
  out: string,
  flags: readonly string[],
  more: readonly string[] = [],
  cc = compiler,
): Outcome {
  return compile(cc, [...strict, ...flags, "-o", out, ...sources, ...more]);
}

/** Whether an empty program can be built with the sanitizers: what fails then is the helper's own fault. @returns what lacks */
export function missingSanitizers(): string | undefined {
  const args = [...sanitizers, "-x", "c", "-", "-o", "/dev/null"];
  const { status, stderr, error } = spawnSync(compiler, args, {
    input: "int main(void) { return 0; }",
    encoding: "utf8",
  });
  return status === 0
    ? undefined
    : `a C compiler with the address sanitizer: ${(error?.message ?? stderr).split("\n")[0] ?? ""}`;
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
