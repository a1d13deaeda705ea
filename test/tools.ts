/** Programs that tests use: where one is missing, the test says so and counts as skipped (`test/run.mjs` counts them). */
import test, { type ExecutionContext } from "ava";
import { missingTool } from "./tool-path.js";

export { missingTool } from "./tool-path.js";

type Skippable = Pick<ExecutionContext, "log" | "pass">;

/** Ends a test that this machine, kernel or user cannot do. */
export function skip(t: Skippable, reason: string): void {
  t.log(`SKIP ${reason}`);
  t.pass();
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

/** AVA's `test.serial` for a file whose tests this machine cannot do, for that reason; without one they run. */
export function serialUnless(reason: string | undefined): (title: string, implementation: Implementation) => void {
  return (title, implementation) => test.serial(title, reason === undefined ? implementation : (t) => skip(t, reason));
}
