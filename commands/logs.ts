import { Args, Flags } from "@oclif/core";
import { logs } from "../src/session/logs.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Logs extends BaseCommand {
  static override summary = "What the container of a node wrote";
  static override examples = ["<%= config.bin %> logs web", "<%= config.bin %> logs web --follow --timestamps"];
  static override args = { node: Args.string({ description: "[LAB/]NODE", required: true }) };
  static override flags = {
    lab: labFlag,
    follow: Flags.boolean({ char: "f", summary: "go on as more is written, until Ctrl-C" }),
    tail: Flags.integer({ summary: "only the last lines", helpValue: "N", min: 0 }),
    timestamps: Flags.boolean({ char: "t", summary: "show when each line was written" }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    await logs({
      lab: flags.lab,
      node: args.node,
      follow: flags.follow,
      tail: flags.tail,
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
