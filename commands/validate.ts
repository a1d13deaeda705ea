import { Args, Flags } from "@oclif/core";
import { exitCodes } from "../src/model/failure.js";
import { formatProblems, validate, type ValidateResult } from "../src/session/validate.js";
import { validationLines } from "../src/view/validation.js";
import { BaseCommand } from "./base/command.js";

export default class Validate extends BaseCommand {
  static override summary = "Check topology files";
  static override description = `All problems of a file at once, each with its place, the line and what would be right. Needs no root and touches
nothing. An error means that the file contradicts itself or the kernel would refuse it; a warning, that the lab
builds and will not work. The exit code is 2 where a file has errors (with --strict: or warnings).`;
  static override examples = [
    "<%= config.bin %> validate topologies/docker-bridge.json",
    "<%= config.bin %> validate topologies/*.json --strict",
    "<%= config.bin %> validate lab.json --set servers=20 --json",
  ];
  static override strict = false;
  static override usage = "validate FILE... [--strict] [--set NAME=VALUE] [--json]";
  static override args = {
    file: Args.string({ description: "topology file, or the name of one that ships", required: true }),
  };
  static override flags = {
    set: Flags.string({ summary: "set a variable of the file", helpValue: "NAME=VALUE", multiple: true, default: [] }),
    strict: Flags.boolean({ summary: "treat warnings as errors" }),
  };

  async run(): Promise<ValidateResult> {
    const { flags, argv } = await this.parse(Validate);
    const result = validate({ files: argv.map(String), strict: flags.strict, assignments: flags.set });
    const files = result.files.map((each) => ({ ...each, text: formatProblems(each.problems) }));
    this.print(validationLines(files, this.ink).join("\n"));
    if (!result.valid) this.status(exitCodes.usage);
    return result;
  }
}
