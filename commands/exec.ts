import { Args, Flags } from "@oclif/core";
import { exec } from "../src/session/exec.js";
import { exitCodes, Failure } from "../src/model/failure.js";
import { BaseCommand, labFlag } from "./base/command.js";
import { variables } from "./base/variables.js";

export default class Exec extends BaseCommand {
  static override summary = "Run a command in a node";
  static override description = `In the node's container where it runs one, else in its network namespace with the machine's own files.
The exit code is the command's, 127 where there is no such command, 126 where it may not be run, 125 for failures of ours.`;
  static override examples = [
    "<%= config.bin %> exec client -- curl http://203.0.113.1:8080/",
    "<%= config.bin %> exec web -- ps",
    "<%= config.bin %> exec web --user www-data --workdir /srv -- id",
    "<%= config.bin %> exec mylab/web --outside -- ip addr",
  ];
  static override strict = false;
  static override usage = "exec NODE [FLAGS] -- COMMAND...";
  static override args = { node: Args.string({ description: "[LAB/]NODE", required: true }) };
  static override flags = {
    lab: labFlag,
    outside: Flags.boolean({ summary: "stay outside the container: its network namespace, the machine's files" }),
    user: Flags.string({ char: "u", summary: "who it runs as in the container", helpValue: "USER[:GROUP]" }),
    env: Flags.string({ char: "e", summary: "set a variable", helpValue: "NAME=VALUE", multiple: true }),
    workdir: Flags.string({ char: "w", summary: "folder that it starts in", helpValue: "PATH" }),
    tty: Flags.boolean({
      char: "t",
      summary: "a terminal of its own; by default where input and output are one",
      allowNo: true,
    }),
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
    this.status(
      await exec({
        lab: flags.lab,
        node: args.node,
        argv: command,
        outside: flags.outside,
        user: flags.user,
        environment: variables(flags.env),
        workingDirectory: flags.workdir,
        tty: flags.tty,
      }),
    );
  }
}
