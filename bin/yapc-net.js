#!/usr/bin/env node
// Starts oclif, nothing else. `--version` is answered before oclif is loaded (100 ms of packages).
import { readFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";

const [first, ...rest] = process.argv.slice(2);
if ((first === "--version" || first === "-v") && rest.length === 0) {
  const { name, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  // Help in a pipe is not folded at 80 columns: paths and examples stay whole for grep.
  if (!process.stdout.isTTY) process.env.OCLIF_COLUMNS ??= "200";
  // A user id that passwd(5) does not know, as in containers: oclif asks for its shell and home, and node's os throws.
  try {
    os.userInfo();
  } catch {
    process.env.SHELL ??= "/bin/sh";
    process.env.HOME ??= "/";
  }
  const { Config, flush, handle, run } = await import("@oclif/core");
  // No user plugins: nothing outside the package is looked for, nor run.
  const loadOptions = { root: fileURLToPath(import.meta.url), userPlugins: false, devPlugins: false };
  // A reader that has seen enough (`| head`) closes the pipe: what is left to write is nobody's.
  const unread = new Promise((resolve) => process.stdout.once("error", resolve));
  process.stderr.once("error", () => undefined);
  try {
    await run(process.argv.slice(2), loadOptions);
    await Promise.race([flush(), unread]);
  } catch (error) {
    const [, unknown] = /^command (\S+) not found$/.exec(error.message) ?? [];
    if (unknown === undefined) {
      // What a command throws, it prints. oclif's own exits (of --help) have their code; the rest is a bug before any command.
      if (error.oclif?.exit !== undefined) await handle(error);
      const [{ printFailure }, { exitCodes }] = await Promise.all([
        import("../dist/src/view/failure.js"),
        import("../dist/src/model/failure.js"),
      ]);
      process.stderr.write(printFailure(error, { stack: process.env.DEBUG !== undefined }));
      process.exitCode = exitCodes.bug;
    } else {
      // Of a command without arguments oclif reads `ls web` as the command `ls:web`.
      const [command, ...words] = unknown.split(":");
      const config = await Config.load(loadOptions);
      const known = config.findCommand(command) !== undefined;
      const { didYouMean } = await import("../dist/src/model/spelling.js");
      const problem = known ? `${command} takes no argument '${words.join(" ")}'` : `no command '${command}'`;
      const hint = known
        ? `see yapc-net ${command} --help`
        : (didYouMean(command, config.commandIDs) ?? "yapc-net --help lists them");
      process.stderr.write(`error: ${problem}\nhint:  ${hint}\n`);
      process.exitCode = 2;
    }
  }
}
