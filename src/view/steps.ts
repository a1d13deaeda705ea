/** `run --explain`: each step of a container's program, with the shell line that would do the same. */
import { noInk, type Ink } from "./ink.js";
import { visible } from "./width.js";

export interface Step {
  readonly what: string;
  readonly shell?: string;
}

export function stepLines(steps: readonly Step[], ink: Ink = noInk): string[] {
  const width = String(steps.length).length;
  return steps.flatMap(({ what, shell }, index) => [
    `${String(index + 1).padStart(width)}  ${visible(what)}`,
    ...(shell ?? "")
      .split("\n")
      .flatMap((line) => (line === "" ? [] : [`${" ".repeat(width)}  ${ink("dim", `$ ${visible(line)}`)}`])),
  ]);
}
