/** Where a program lies. */
import { accessSync, constants } from "node:fs";
import path from "node:path";

/** @param searchPath folders as of $PATH; relative ones are passed over @returns the first that may be run */
export function findProgram(name: string, searchPath: string): string | undefined {
  return searchPath
    .split(":")
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, name))
    .find((file) => isExecutable(file));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
