/** What a line of a container's log is called. */
import type { LogEvent } from "../model/trace.js";

/** `web log`, `web stderr`. */
export function logTitle({ node, stream }: LogEvent): string {
  return `${node} ${stream === "stderr" ? "stderr" : "log"}`;
}
