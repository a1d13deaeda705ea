/** Programs that tests use: where one is missing, the test says so and counts as skipped (`test/run.mjs` counts them). */
import { accessSync, constants } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { toolPath } from "./tool-path.js";

type Skippable = Pick<ExecutionContext, "log" | "pass">;

/** Ends a test that this machine, kernel or user cannot do. */
export function skip(t: Skippable, reason: string): void {
  t.log(`SKIP ${reason}`);
  t.pass();
}

/** The first of these programs that is not on this machine. */
export function missingTool(...programs: readonly string[]): string | undefined {
  const folders = [...toolPath.split(":"), ...(process.env.PATH ?? "").split(":")];
  const searched = folders.filter((folder) => !folder.endsWith("node_modules/.bin"));
  return programs.find((program) => !searched.some((folder) => isExecutable(path.join(folder, program))));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a test has what it needs; else it says what it lacks, and has only to return. */
export function has(t: Skippable, ...programs: readonly string[]): boolean {
  const missing = missingTool(...programs);
  if (missing !== undefined) skip(t, `needs ${missing}`);
  return missing === undefined;
}

type Implementation = (t: ExecutionContext) => void | Promise<void>;

/** AVA's `test` for tests that need these programs. */
export function testWith(...programs: readonly string[]): (title: string, implementation: Implementation) => void {
  const missing = missingTool(...programs);
  return (title, implementation) =>
    test(title, missing === undefined ? implementation : (t) => skip(t, `needs ${missing}`));
}
