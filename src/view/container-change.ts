/** `start`, `stop`, `restart`: what became of a container. */
import { type ExitStatus, exitText } from "../model/container.js";
import { visible } from "./width.js";

export interface ContainerOutcome {
  readonly node: string;
  readonly done: "started" | "stopped" | "restarted" | "unchanged";
  readonly pid?: number;
  readonly exit?: ExitStatus;
}

/** `web: restarted, pid 1234 (before: ended by SIGTERM)` */
export function containerLine({ node, done, pid, exit }: ContainerOutcome): string {
  const name = visible(node);
  if (done === "unchanged") return `${name}: ${pid === undefined ? "does not run" : `runs already, pid ${pid}`}`;
  const ended = exit === undefined ? undefined : exitText(exit);
  if (done === "stopped") return `${name}: stopped${ended === undefined ? "" : `, ${ended}`}`;
  return `${name}: ${done}${pid === undefined ? "" : `, pid ${pid}`}${ended === undefined ? "" : ` (before: ${ended})`}`;
}
