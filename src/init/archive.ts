/** Tar archives as roots of containers. */
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../model/failure.js";

/** Options of GNU tar. */
const withoutDevices = ["--anchored", "--exclude=dev/*", "--exclude=./dev/*"];

/**
 * Unpacks an archive below a folder, once for each of its states; GNU tar takes leading slashes and `..` off by itself,
 * and finds out the compression. Devices are left out: a container makes its own.
 * @param changed its modification time
 * @returns the folder with its content
 */
export function unpack(archive: string, below: string, changed: number): string {
  const target = join(below, String(Math.trunc(changed)));
  if (statSync(target, { throwIfNoEntry: false }) !== undefined) return target;
  const partial = `${target}.partial`;
  removeOwn(below);
  mkdirSync(partial, { recursive: true, mode: 0o755 });
  const owner = process.getuid?.() === 0 ? ["--same-owner", "--numeric-owner"] : ["--no-same-owner"];
  const { status, stderr, error } = spawnSync("tar", ["-xpf", archive, "-C", partial, ...owner, ...withoutDevices], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    // What somebody's tar(1) is told always to do is not meant for this one.
    env: { ...process.env, TAR_OPTIONS: undefined, LC_ALL: "C" },
  });
  if (status !== 0) {
    removeOwn(below);
    const words = error?.message ?? reasonIn(stderr);
    throw new Failure("usage", `cannot unpack ${archive}: ${words}`, { code: "NO_ARCHIVE", cause: error });
  }
  renameSync(partial, target);
  return target;
}

/** The first line that says what is wrong; tar(1) tells, too, what it did about names that lead out. */
function reasonIn(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => !line.includes(": Removing leading ")) ?? lines[0] ?? "tar(1) gives no reason";
}

/** Removes what was unpacked as this user, folders that he may not enter among it. */
function removeOwn(folder: string): void {
  if (process.getuid?.() !== 0) spawnSync("chmod", ["-R", "u+rwX", "--", folder], { stdio: "ignore" });
  rmSync(folder, { recursive: true, force: true });
}
