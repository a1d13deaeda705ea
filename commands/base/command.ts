/** What every command shares: `--json`, one place where failures are printed, and their exit codes. */
import { Command, Flags } from "@oclif/core";
import { exitCodes, Failure } from "../../src/model/failure.js";
import { didYouMean } from "../../src/model/spelling.js";
import { failureJson, printFailure } from "../../src/view/failure.js";
import { type Ink, inkFor, wantsColours } from "../../src/view/ink.js";
import { Progress } from "./progress.js";

/** What oclif throws: its own errors carry the exit code they ask for (@oclif/core lib/errors). */
type CommandError = Error & { readonly oclif?: { readonly exit?: number } };

export const labFlag = Flags.string({
  summary: "lab to act on",
  description: "Default: $YAPC_NET_LAB, else the lab whose file lies in this folder, else the only one that runs.",
  env: "YAPC_NET_LAB",
  helpValue: "LAB",
});

export const machineFlag = Flags.boolean({
  summary: "this machine and its containers, even where a lab runs (without root: what is yours)",
});

/** What of a machine is meant. Each says --machine. */
export const targetFlags = {
  container: Flags.string({
    summary: "this container of the machine (name, id, or the beginning of one), and the way there",
    helpValue: "NAME",
    multiple: true,
  }),
  pid: Flags.integer({
    summary: "the network that this process is in, and the way there",
    helpValue: "PID",
    multiple: true,
    min: 1,
  }),
  netns: Flags.string({
    summary: "this network namespace (a name of `ip netns`, or a path), and the way there",
    helpValue: "PATH",
    multiple: true,
  }),
  interface: Flags.string({
    summary: "this interface of the machine, or NODE:IF, and what is on its wire",
    helpValue: "IF",
    multiple: true,
  }),
};

/** The flags as a session takes them. */
export function targetOf(flags: {
  readonly container?: string[] | undefined;
  readonly pid?: number[] | undefined;
  readonly netns?: string[] | undefined;
  readonly interface?: string[] | undefined;
}) {
  return { containers: flags.container, pids: flags.pid, netns: flags.netns, interfaces: flags.interface };
}

/** Whether they mean this machine, as --machine does. */
export function meansMachine(flags: Parameters<typeof targetOf>[0] & { readonly machine: boolean }): boolean {
  return flags.machine || Object.values(targetOf(flags)).some((each) => each !== undefined);
}

export const allFlag = Flags.boolean({
  summary: "on this machine: also what has no link to it, or seems not to be concerned",
});

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  /** Exit code of failures of our own: 125 for commands that give the status of what they ran. */
  protected ownFailure: number | undefined;

  /** What is thrown outside of `run` (a callback of an event) is told like the rest, and ends the program. */
  override async init(): Promise<void> {
    await super.init();
    process.once("uncaughtException", (error) => {
      void this.catch(error);
      process.exit();
    });
  }

  /** Colours for stdout, none where they are not wanted. */
  protected readonly ink: Ink = inkFor(wantsColours(process.env, process.stdout.isTTY));

  /** What a terminal is told while it waits. */
  protected readonly progress = new Progress(process.stderr);

  /** Parses and runs; what goes wrong is printed, and gives the exit code. */
  start(): Promise<unknown> {
    return this._run();
  }

  /**
   * The lab that the flags mean; none with --machine, whatever $YAPC_NET_LAB says.
   * @param raw tokens of the command line
   * @param given what may name the lab: an argument, too, or the flag alone
   */
  protected labOf(
    flags: { readonly lab?: string | undefined; readonly machine: boolean },
    raw: readonly { readonly type: string; readonly flag?: string }[],
    given: "flag" | "argument" = "argument",
  ): string | undefined {
    if (!flags.machine) return flags.lab;
    if (raw.some(({ type, flag }) => (type === "arg" && given === "argument") || flag === "lab"))
      throw new Failure("usage", "--machine means this machine, not a lab", { hint: "leave out --machine or --lab" });
    return undefined;
  }

  /** Ends the process with this status once everything is written. */
  protected status(code: number): void {
    process.exitCode = code;
  }

  /**
   * Takes what follows `--` out of the arguments: the words of a command, as they were typed. (What oclif calls `argv`
   * is sorted by the first place of each word, so `ping -c 1 -W 1` would come out as `ping -c 1 1 -W`.)
   */
  protected takeCommand(): string[] {
    const at = this.argv.indexOf("--");
    return at < 0 ? [] : this.argv.splice(at).slice(1);
  }

  /** Writes data to stdout as it is (never wrapped, never coloured). Silent with --json. */
  protected print(text: string): void {
    this.progress.clear();
    if (!this.jsonEnabled() && text !== "") process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  }

  /** A signal that Ctrl-C (or SIGTERM, SIGHUP, a reader who closes the pipe) aborts; a second one ends the program at once. */
  protected interruptible(): AbortSignal {
    const controller = new AbortController();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => controller.abort(name));
    process.stdout.once("error", () => controller.abort("EPIPE"));
    return controller.signal;
  }

  /** A warning: to stderr, one line, never mixed with data. */
  protected warning(text: string): void {
    this.progress.clear();
    process.stderr.write(`warning: ${text}\n`);
  }

  protected override finally(_: Error | undefined): Promise<void> {
    this.progress[Symbol.dispose]();
    return Promise.resolve();
  }

  protected override catch(error: CommandError): Promise<void> {
    this.progress.clear();
    if (error.oclif?.exit === 0) return Promise.resolve(); // --help
    const surplus =
      Object.keys(this.ctor.args).length > 0 ? "one argument too many:" : `${this.id ?? ""} takes no argument`;
    const failure = asFailure(error, this.usageHint(error.message), surplus);
    if (this.jsonEnabled()) process.stdout.write(failureJson(failure));
    else process.stderr.write(printFailure(failure, { stack: process.env.DEBUG !== undefined }));
    process.exitCode = this.exitCode(failure);
    return Promise.resolve();
  }

  /** For a flag that there is not, the one that was meant. */
  private usageHint(message: string): string {
    const help = `see yapc-net ${this.id ?? ""} --help`;
    const [, unknown] = /^Nonexistent flag: --(\S+)/m.exec(message) ?? [];
    const near = unknown === undefined ? undefined : didYouMean(`--${unknown}`, this.flagNames());
    return near === undefined ? help : `${near} ${help}`;
  }

  private flagNames(): string[] {
    const own = Object.keys({ ...this.ctor.flags }); // undefined for a command without any
    return [...own, "help", ...(this.ctor.enableJsonFlag ? ["json"] : [])].map((name) => `--${name}`);
  }

  private exitCode(failure: Error): number {
    if (!(failure instanceof Failure)) return this.ownFailure ?? exitCodes.bug;
    if (failure.kind === "interrupted") return exitCodes.interrupted;
    if (this.ownFailure !== undefined && failure.kind !== "usage") return failure.status ?? this.ownFailure;
    return exitCodes[failure.kind];
  }
}

/** oclif spreads a usage error over several lines; a reader wants one. Applied to those lines, joined. */
const rewordings: readonly (readonly [pattern: RegExp, reworded: string])[] = [
  [/^Parsing (--\S+) (.*)$/, "$1: $2"],
  [/^The following errors? occurred: /, ""],
  [/^Nonexistent flags?: (.*)$/, "there is no flag $1"],
  [/^Expected (--\S+)=(.*) to be one of: (.*)$/, "$1 takes one of $3, not '$2'"],
  [/^Flag (--\S+) expects a value$/, "$1 needs a value"],
  [/^(--[a-z-]+)(?:=\S+)? cannot also be provided when using (--[a-z-]+).*$/, "$1 and $2 exclude each other"],
  [/^(--\S+): Expected an integer (.*)but received: (.*)$/, "$1 takes an integer $2and not '$3'"],
];

/** oclif's own usage errors (exit code 2) become ours; what nobody foresaw stays what it is. */
function asFailure(error: CommandError, hint: string, surplus: string): Error {
  if ("syscall" in error && error.syscall === "uv_cwd")
    return new Failure("usage", "the folder that this was started in is gone", { hint: "cd into one that is there" });
  if (error instanceof Failure || error.oclif?.exit !== 2) return error;
  const missing = missingArguments(error);
  if (missing !== undefined) return new Failure("usage", missing, { hint });
  const [message = ""] = error.message.split(/\n+(?:See more help|Note:)/);
  const line = message.trim().replaceAll(/\s+/g, " ");
  const all = [...rewordings, [/^Unexpected arguments?: (.*)$/, `${surplus} '$1'`] as const];
  return new Failure(
    "usage",
    all.reduce((text, [pattern, reword]) => text.replace(pattern, reword), line),
    { hint },
  );
}

/** `FROM and TO are missing`, as the usage line of the help names them; undefined where the error is about something else. */
function missingArguments(error: Error): string | undefined {
  if (!("args" in error) || !Array.isArray(error.args) || !error.message.startsWith("Missing")) return undefined;
  const args = error.args as readonly { readonly name: string; readonly description?: string }[]; // oclif's RequiredArgsError
  const names = args.map(({ name }) => name.toUpperCase());
  const [only, ...others] = args;
  if (others.length > 0) return `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""} are missing`;
  return `${names[0] ?? ""} is missing${only?.description === undefined ? "" : ` (${only.description})`}`;
}
