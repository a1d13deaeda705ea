/** The processes of a namespace, by name and cgroup: who talks there. */
import { readFileSync } from "node:fs";
import type { ProcessSnapshot } from "../model/snapshot.js";

/** A snapshot names no more of a namespace than these: a machine runs thousands. */
const mostProcesses = 64;

/** @param pids lowest first; those that have ended since are left out */
export function toProcesses(pids: readonly number[]): ProcessSnapshot[] {
  const found: ProcessSnapshot[] = [];
  for (const pid of pids) {
    if (found.length === mostProcesses) break;
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
      found.push({ pid, name, cgroup: cgroupPath(readFileSync(`/proc/${pid}/cgroup`, "utf8")) });
    } catch {
      continue; // it has ended
    }
  }
  return found;
}

/** @param text of /proc/PID/cgroup (cgroups(7)): `HIERARCHY:CONTROLLERS:PATH`, one a line */
export function cgroupPath(text: string): string {
  const paths = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ unified: line.startsWith("0::"), path: line.split(":").slice(2).join(":") }));
  const told = paths.find(({ unified, path }) => unified && path !== "/") ?? paths.find(({ path }) => path !== "/");
  return told?.path ?? "/";
}
