/** Help is oclif's, made from the manifest that the build leaves: no command is loaded for it. */
import { run } from "@oclif/core/run";
import { packageRoot } from "../../src/session/places.js";
import { commandFile } from "./command-file.js";

/** @param words the command line; of it the command's name counts @throws Failure (usage) where there is no such command */
export async function printHelp(words: readonly string[]): Promise<void> {
  // In a pipe it is not folded at 80 columns: paths and examples stay whole for grep.
  if (!process.stdout.isTTY) process.env.OCLIF_COLUMNS ??= "200";
  const command = words.find((word) => !word.startsWith("-"));
  if (command !== undefined) commandFile(command);
  // No user plugins: nothing outside the package is looked for, nor run.
  const options = { root: packageRoot, userPlugins: false, devPlugins: false };
  await run([...(command === undefined ? [] : [command]), "--help"], options);
}
