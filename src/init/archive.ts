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
  rmSync(below, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o755 });
  const owner = process.getuid?.() === 0 ? ["--same-owner", "--numeric-owner"] : ["--no-same-owner"];
  const { status, stderr, error } = spawnSync("tar", ["-xpf", archive, "-C", partial, ...owner, ...withoutDevices], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) {
    rmSync(below, { recursive: true, force: true });
    const words = error?.message ?? stderr.split("\n")[0] ?? "";
    throw new Failure("usage", `cannot unpack ${archive}: ${words}`, { code: "NO_ARCHIVE", cause: error });
  }
  renameSync(partial, target);
  return target;
}
