/** Removing what containers wrote: without root also files of users that only a lab's user namespace maps. */
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Failure } from "../model/failure.js";
import type { InitLine } from "./api.js";
import { startInit } from "./client.js";

/**
 * Removes a folder and all below it; it need not be there.
 * @param line to an init that maps the ids; without one, an init is started for it where it is needed
 */
export async function removeTree(folder: string, line?: InitLine): Promise<void> {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if (process.getuid?.() === 0 || !isRefusal(error)) throw error;
    if (line === undefined) await withOwnInit((own) => removeInside(folder, own));
    else await removeInside(folder, line);
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EACCES" || error.code === "EPERM");
}

async function withOwnInit(act: (line: InitLine) => Promise<void>): Promise<void> {
  const stateFolder = mkdtempSync(path.join(tmpdir(), "yapc-net-remove-"));
  try {
    using line = await startInit({ stateFolder });
    await act(line).finally(() => line.shutdown());
  } finally {
    rmSync(stateFolder, { recursive: true, force: true });
  }
}

async function removeInside(folder: string, line: InitLine): Promise<void> {
  const nothing = openSync("/dev/null", "r+");
  try {
    const { exit } = await line.spawn({
      place: "namespace",
      argv: ["rm", "-rf", "--", folder],
      environment: [["PATH", process.env.PATH ?? "/usr/bin:/bin"]],
      stdio: [nothing, nothing, nothing],
      tied: true,
    });
    if ((await exit).code === 0) return;
  } finally {
    closeSync(nothing);
  }
  throw new Failure("machine", `cannot remove ${folder}: it holds files of users that this lab does not map`, {
    code: "UNMAPPED_ID",
    hint: "they belong to a range of /etc/subuid that newuidmap no longer maps; remove the folder as root",
  });
}
