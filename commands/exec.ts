import { Args, Flags } from "@oclif/core";
import { exec } from "../src/session/exec.js";
import { exitCodes, Failure } from "../src/model/failure.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Exec extends BaseCommand {
  static override summary = "Run a command in a node";
  static override description = `In the node's container where it runs one, else in its network namespace with the machine's own files.
The exit code is the command's; 125 when the command could not be run.`;
  static override examples = [
    "<%= config.bin %> exec client -- curl http://203.0.113.1:8080/",
    "<%= config.bin %> exec web -- ps",
    "<%= config.bin %> exec mylab/web --outside -- ip addr",
  ];
  static override strict = false;
  static override usage = "exec NODE [--lab LAB] [--outside] -- COMMAND...";
  static override args = { node: Args.string({ description: "[LAB/]NODE", required: true }) };
  static override flags = {
    lab: labFlag,
    outside: Flags.boolean({ summary: "stay outside the container: its network namespace, the machine's files" }),
  };
  static override enableJsonFlag = false;

  protected override ownFailure = exitCodes.own;

  async run(): Promise<void> {
    const command = this.takeCommand();
    const { args, flags, argv } = await this.parse(Exec);
    if (command.length === 0 || argv.length > 1)
      throw new Failure("usage", argv.length === 1 ? "no command to run" : `'${String(argv[1])}' is before the --`, {
        hint: `a command follows --: yapc-net exec ${args.node} -- ${argv.slice(1).join(" ") || "COMMAND"}`,
      });
    this.status(await exec({ lab: flags.lab, node: args.node, argv: command, outside: flags.outside }));
  }
}
