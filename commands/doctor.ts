import { exitCodes } from "../src/model/failure.js";
import { type Check, doctor } from "../src/session/doctor.js";
import { checkLines } from "../src/view/doctor.js";
import { BaseCommand } from "./base/command.js";

export default class Doctor extends BaseCommand {
  static override summary = "What this machine can do, and what is missing, with the line that mends it";
  static override description =
    "Each feature is tried in a lab of its own, which is gone afterwards. Exit code 3 when something needed is missing.";
  static override examples = ["<%= config.bin %> doctor", "<%= config.bin %> doctor --json"];

  async run(): Promise<readonly Check[]> {
    await this.parse(Doctor);
    this.progress.show("trying what this machine can do");
    const checks = await doctor();
    this.print(checkLines(checks, this.ink).join("\n"));
    if (checks.some((check) => check.state === "missing")) this.status(exitCodes.machine);
    return checks;
  }
}
