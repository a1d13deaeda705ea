/** `start`, `stop`, `restart`: what became of a container. */
import { visible } from "./width.js";

export interface ContainerOutcome {
  readonly node: string;
  readonly done: "started" | "stopped" | "restarted" | "unchanged";
  readonly pid?: number;
  readonly exit?: { readonly code?: number; readonly signal?: string; readonly outOfMemory?: boolean };
}

/** `web: restarted, pid 1234 (before: ended by SIGTERM)` */
export function containerLine({ node, done, pid, exit }: ContainerOutcome): string {
  const name = visible(node);
  if (done === "unchanged") return `${name}: ${pid === undefined ? "does not run" : `runs already, pid ${pid}`}`;
  const ended = exit === undefined ? undefined : exitText(exit);
  if (done === "stopped") return `${name}: stopped${ended === undefined ? "" : `, ${ended}`}`;
  return `${name}: ${done}${pid === undefined ? "" : `, pid ${pid}`}${ended === undefined ? "" : ` (before: ${ended})`}`;
}

/** `status 0`, `ended by SIGKILL, out of memory` */
export function exitText({ code, signal, outOfMemory }: NonNullable<ContainerOutcome["exit"]>): string {
  const how = signal === undefined ? `status ${code ?? 0}` : `ended by ${signal}`;
  return outOfMemory === true ? `${how}, out of memory` : how;
}
