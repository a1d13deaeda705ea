import { Args, Flags } from "@oclif/core";
import { shell } from "../src/session/exec.js";
import { exitCodes } from "../src/model/failure.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Shell extends BaseCommand {
  static override summary = "A shell in a node";
  static override description =
    "In the node's container where it runs one, else in its network namespace. The exit code is the shell's.";
  static override examples = ["<%= config.bin %> shell web", "<%= config.bin %> shell web --outside"];
  static override args = { node: Args.string({ description: "[LAB/]NODE", required: true }) };
  static override flags = {
    lab: labFlag,
    outside: Flags.boolean({ summary: "stay outside the container: its network namespace, the machine's files" }),
    user: Flags.string({ char: "u", summary: "who it runs as in the container", helpValue: "USER[:GROUP]" }),
  };
  static override enableJsonFlag = false;

  protected override ownFailure = exitCodes.own;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Shell);
    this.status(await shell({ lab: flags.lab, node: args.node, outside: flags.outside, user: flags.user }));
  }
}
