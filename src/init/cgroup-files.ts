/** Files of a cgroup that set a limit, and what is written to them, in this order. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Limits } from "../model/container.js";
import type { Controller } from "./hierarchy.js";

export interface LimitFile {
  readonly file: string;
  readonly value: string;
  /** Not every kernel has it (swap accounting): passed over where it is not there. */
  readonly whereThere?: boolean;
}

/** Of the CPU quota, microseconds. */
const period = 100_000;

/** A limit that is not given is taken off: a group may be that of an earlier run. */
export function limitFiles(version: 1 | 2, controller: Controller, limits: Limits): readonly LimitFile[] {
  switch (controller) {
    case "cpu":
      return cpuFiles(version, limits.cpu);
    case "memory":
      return memoryFiles(version, limits.memory);
    case "pids":
      return [{ file: "pids.max", value: String(limits.pids ?? "max") }];
    case "cpuset":
      return limits.cpuset === undefined ? [] : [{ file: "cpuset.cpus", value: limits.cpuset }];
    case "io":
      return limits.io === undefined ? [] : ioFiles(version, limits.io, disks());
  }
}

function cpuFiles(version: 1 | 2, cpus: number | undefined): LimitFile[] {
  const quota = cpus === undefined ? undefined : Math.max(1000, Math.round(cpus * period));
  if (version === 2) return [{ file: "cpu.max", value: `${quota ?? "max"} ${period}` }];
  return [
    { file: "cpu.cfs_period_us", value: String(period) },
    { file: "cpu.cfs_quota_us", value: String(quota ?? -1) },
  ];
}

/** Swap would be a way around the limit: with one there is none. */
function memoryFiles(version: 1 | 2, bytes: number | undefined): LimitFile[] {
  if (version === 2)
    return [
      { file: "memory.max", value: String(bytes ?? "max") },
      { file: "memory.swap.max", value: bytes === undefined ? "max" : "0", whereThere: true },
    ];
  const limit = { file: "memory.limit_in_bytes", value: String(bytes ?? -1) };
  if (bytes === undefined) return [memoryAndSwap("-1"), limit];
  // Memory and swap together may never be less than memory alone.
  return [memoryAndSwap("-1"), limit, memoryAndSwap(String(bytes))];
}

function memoryAndSwap(value: string): LimitFile {
  return { file: "memory.memsw.limit_in_bytes", value, whereThere: true };
}

/** @param numbers of the disks, `8:0` */
export function ioFiles(version: 1 | 2, rate: number, numbers: readonly string[]): LimitFile[] {
  return numbers.flatMap((number) =>
    version === 2
      ? [{ file: "io.max", value: `${number} rbps=${rate} wbps=${rate}` }]
      : ["read", "write"].map((way) => ({ file: `blkio.throttle.${way}_bps_device`, value: `${number} ${rate}` })),
  );
}

/** Numbers of this machine's disks, without what lies in memory or on another of them. */
function disks(): string[] {
  return readdirSync("/sys/block")
    .filter((name) => !/^(loop|ram|zram)/.test(name))
    .map((name) => readFileSync(join("/sys/block", name, "dev"), "latin1").trim());
}
