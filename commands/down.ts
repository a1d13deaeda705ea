import { Args } from "@oclif/core";
import { exitCodes } from "../src/model/failure.js";
import { down, type DownResult } from "../src/session/down.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Down extends BaseCommand {
  static override summary = "End a lab";
  static override description = `Ends every process and namespace of the lab and removes what it left on the machine. Works from the name alone,
also for the remains of a lab whose init died, and ends with a count of what is left: 0.`;
  static override examples = ["<%= config.bin %> down", "<%= config.bin %> down docker-bridge"];
  static override args = { lab: Args.string({ description: "name of the lab" }) };
  static override flags = { lab: labFlag };

  async run(): Promise<DownResult> {
    const { args, flags } = await this.parse(Down);
    this.progress.show("ending the lab");
    const result = await down({ lab: args.lab ?? flags.lab, onWarning: (text) => this.warning(text) });
    const what = result.wasRunning ? `lab '${result.lab}' has ended` : `the remains of lab '${result.lab}' are removed`;
    this.print(`${what}; objects of it left on this machine: ${result.left.length}`);
    for (const line of result.left) this.print(`  ${line}`);
    if (result.left.length > 0) this.status(exitCodes.kernel);
    return result;
  }
}
