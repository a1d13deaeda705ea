/**
 * From the words of the command line to the one command that they name. oclif parses a command's flags and prints help;
 * what it does before that for programs with plugins (look for them, for hooks, a theme, a manifest: a third of the time
 * of a short command) finds nothing here, so a command gets a configuration that was not looked for.
 */
import { Config, type Hook } from "@oclif/core";
import type { Hooks } from "@oclif/core/hooks";
import { exitCodes, Failure } from "../../src/model/failure.js";
import { packageRoot } from "../../src/session/places.js";
import { printFailure } from "../../src/view/failure.js";
import type { BaseCommand } from "./command.js";
import { commandFile } from "./command-file.js";

/** What a file of `commands/` exports. */
interface CommandModule {
  readonly default: { id: string } & (new (argv: string[], config: Config) => BaseCommand);
}

class PlainConfig extends Config {
  override name = "yapc-net";
  override bin = this.name;
  override topicSeparator = " " as const;

  override runHook<T extends keyof Hooks>(): Promise<Hook.Result<Hooks[T]["return"]>> {
    return Promise.resolve({ successes: [], failures: [] });
  }
}

/** @param argv without `node` and the program; the exit code is the process's */
export async function main(argv: readonly string[]): Promise<void> {
  process.stderr.once("error", () => undefined); // a reader that closes the pipe: what is left to say is nobody's
  try {
    const [id, ...words] = argv;
    if (id === undefined || id === "help" || asksForHelp(argv)) {
      const { printHelp } = await import("./help.js");
      await printHelp(id === "help" ? words : argv);
    } else await run(id, words);
  } catch (error) {
    process.stderr.write(printFailure(error, { stack: process.env.DEBUG !== undefined }));
    process.exitCode = error instanceof Failure ? exitCodes[error.kind] : exitCodes.bug;
  }
}

async function run(id: string, words: string[]): Promise<void> {
  // A file of that folder exports its command: the build made the help of each from it.
  const { default: Command } = (await import(commandFile(id))) as CommandModule;
  Command.id = id;
  await new Command(words, new PlainConfig({ root: packageRoot })).start();
}

/** Words after `--` are another program's. */
function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).some((word) => word === "--help" || word === "-h");
}
