/** Which limits of a container are in force: those that its own groups have a file for. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Limits } from "../model/container.js";

/** Files of version 2 and version 1. A group of version 2 has none for a controller that its parents do not hand down. */
const files: Readonly<Record<keyof Limits, readonly string[]>> = {
  cpu: ["cpu.max", "cpu.cfs_quota_us"],
  memory: ["memory.max", "memory.limit_in_bytes"],
  pids: ["pids.max"],
  cpuset: ["cpuset.cpus"],
  io: ["io.max", "blkio.throttle.read_bps_device"],
};

/** Of the limits that were asked for, those that something enforces. @param folders of the container's groups */
export function limitsInForce(asked: Limits, folders: readonly string[]): Limits {
  const inForce = (limit: keyof Limits): boolean =>
    folders.some((folder) => files[limit].some((file) => existsSync(path.join(folder, file))));
  return {
    ...(asked.cpu !== undefined && inForce("cpu") ? { cpu: asked.cpu } : {}),
    ...(asked.memory !== undefined && inForce("memory") ? { memory: asked.memory } : {}),
    ...(asked.pids !== undefined && inForce("pids") ? { pids: asked.pids } : {}),
    ...(asked.cpuset !== undefined && inForce("cpuset") ? { cpuset: asked.cpuset } : {}),
    ...(asked.io !== undefined && inForce("io") ? { io: asked.io } : {}),
  };
}

/**
 * Folders of a process's groups.
 * @param mountinfo as /proc/self/mountinfo says (proc_pid_mountinfo(5))
 * @param groups as /proc/PID/cgroup says (cgroups(7)): `4:memory:/a/b`, `0::/a/b`
 */
export function groupFolders(mountinfo: string, groups: string): string[] {
  const mounts = mountinfo.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root = "/", mountPoint = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    return type === "cgroup" || type === "cgroup2" ? [{ type, root, mountPoint, options: options.split(",") }] : [];
  });
  return groups.split("\n").flatMap((line) => {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) return [];
    const mount = mounts.find(({ type, options }) =>
      controllers === "" ? type === "cgroup2" : type === "cgroup" && isOneOf(controllers, options),
    );
    // A container sees its hierarchies from a folder of theirs downwards.
    return mount === undefined ? [] : [path.join(mount.mountPoint, path.relative(mount.root, group))];
  });
}

/** `cpu,cpuacct` or `name=systemd`: every controller of the line is an option of the mount. */
function isOneOf(controllers: string, options: readonly string[]): boolean {
  return controllers.split(",").every((controller) => options.includes(controller));
}
