/** Each file of `commands/` is a command, named as what one types: a new one needs no registration. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { Failure } from "../../src/model/failure.js";
import { didYouMean } from "../../src/model/spelling.js";
import { packageRoot } from "../../src/session/places.js";

/** What bin/bundle.mjs makes of them. */
const commandFolder = path.join(packageRoot, "dist/bundle/commands");

/** @returns the path of its file @throws Failure (usage) where there is no such command */
export function commandFile(id: string): string {
  const file = path.join(commandFolder, `${id}.js`);
  if (/^[a-z][a-z-]*$/.test(id) && existsSync(file)) return file;
  throw new Failure("usage", `no command '${id}'`, {
    hint: didYouMean(id, commandIds()) ?? "yapc-net --help lists them",
  });
}

function commandIds(): string[] {
  return readdirSync(commandFolder)
    .filter((file) => file.endsWith(".js"))
    .map((file) => path.basename(file, ".js"));
}
