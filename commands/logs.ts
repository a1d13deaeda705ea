import { Args, Flags } from "@oclif/core";
import { logs } from "../src/session/logs.js";
import { BaseCommand, labFlag } from "./base/command.js";
import { parseMilliseconds } from "./base/duration.js";

export default class Logs extends BaseCommand {
  static override summary = "What the container of a node wrote";
  static override description = `Standard output on standard output, standard error on standard error, and there at the end how its command ended,
where it has: the exit status, the signal, or the limit that it ran into.`;
  static override examples = ["<%= config.bin %> logs web", "<%= config.bin %> logs web --follow --timestamps"];
  static override args = { node: Args.string({ description: "[LAB/]NODE", required: true }) };
  static override flags = {
    lab: labFlag,
    follow: Flags.boolean({ char: "f", summary: "go on as more is written, until Ctrl-C" }),
    tail: Flags.integer({ summary: "only the last lines", helpValue: "N", min: 0 }),
    since: Flags.string({ summary: "only what was written since then", helpValue: "10m|TIME" }),
    timestamps: Flags.boolean({ char: "t", summary: "show when each line was written" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    await logs({
      lab: flags.lab,
      node: args.node,
      follow: flags.follow,
      tail: flags.tail,
      since: flags.since === undefined ? undefined : moment(flags.since),
      onEnd: (text) => process.stderr.write(`${text}\n`),
      signal: this.interruptible(),
      onLine: (line) => {
        if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(line)}\n`);
        else
          (line.stream === "stderr" ? process.stderr : process.stdout).write(
            `${flags.timestamps ? `${line.time} ` : ""}${line.text}\n`,
          );
      },
    });
  }
}

/** `10m` ago, or a time as RFC 3339 has it. @returns milliseconds since 1970 */
function moment(text: string): number {
  const at = Date.parse(text);
  return Number.isNaN(at) || /^[0-9.]+[a-z]*$/.test(text) ? Date.now() - parseMilliseconds(text) : at;
}
