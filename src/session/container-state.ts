/** What a node's container is doing, or how it ended: from its lab's init, and the counters of its cgroups. */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { NodeStatus } from "../init/api.js";
import { type ContainerState, exitText } from "../model/container.js";
import type { ResolvedContainer } from "../topology/resolved.js";
import { groupFolders, limitsInForce } from "./cgroup-limits.js";

export function containerState(container: ResolvedContainer, status: NodeStatus | undefined): ContainerState {
  const { command, limits: asked } = container;
  if (status?.pid !== undefined) {
    const folders = foldersOf(status.pid);
    const kills = oomKills(folders);
    return {
      state: "running",
      command,
      pid: status.pid,
      limits: limitsInForce(asked, folders),
      ...(kills === 0 ? {} : { oomKills: kills }),
    };
  }
  if (status?.lastExit === undefined) return { state: "not started", command, limits: asked };
  const exit = status.lastExit;
  return { state: "ended", command, limits: asked, exit, reason: exitText(exit, asked) };
}

function foldersOf(pid: number): string[] {
  return groupFolders(readOrNothing("/proc/self/mountinfo"), readOrNothing(`/proc/${pid}/cgroup`));
}

/** How many of its processes the kernel ended for want of memory (memory.events of version 2, oom_control of 1). */
function oomKills(folders: readonly string[]): number {
  const counters = folders.flatMap((folder) =>
    ["memory.events", "memory.oom_control"].map((file) => readOrNothing(path.join(folder, file))),
  );
  return Math.max(0, ...counters.map((text) => Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)));
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
