import { Args, Flags } from "@oclif/core";
import { Failure } from "../src/model/failure.js";
import { importTopology, writeTopology } from "../src/session/import.js";
import { allFlag, BaseCommand, labFlag } from "./base/command.js";

interface ImportResult {
  /** The file, where it was not written. */
  readonly topology?: string;
  readonly file?: string;
  readonly notes: readonly string[];
}

export default class Import extends BaseCommand {
  static override summary = "A topology file of a lab that runs, or of this machine with its containers";
  static override description = `Written from what the kernel says now, so that somebody else can build it as a lab: nodes, links, bridges, addresses,
routes, NAT, published ports, filter rules. Of a container's image only the ports are kept: busybox httpd answers on them.
What lies outside of what was looked at is stood in for by a node. What cannot be carried over is told of on standard error
and in the file. Nothing is changed by it; without root it has what is yours.`;
  static override examples = [
    "sudo <%= config.bin %> import --live -o office.json",
    "<%= config.bin %> import docker-bridge > mine.json",
  ];
  static override args = { lab: Args.string({ description: "name of a lab that runs" }) };
  static override usage = ["import [LAB] [-o FILE]", "import --live [--all] [-o FILE]"];
  static override flags = {
    lab: labFlag,
    live: Flags.boolean({ summary: "this machine and its containers" }),
    all: allFlag,
    name: Flags.string({ summary: "name of the lab in the file", helpValue: "NAME" }),
    output: Flags.string({ char: "o", summary: "where to write it; default: standard output", helpValue: "FILE" }),
    force: Flags.boolean({ summary: "write over a file that is there" }),
  };

  async run(): Promise<ImportResult> {
    const { args, flags, raw } = await this.parse(Import);
    if (flags.all && !flags.live) throw new Failure("usage", "--all goes with --live");
    const named = raw.some((token) => token.type === "arg" || ("flag" in token && token.flag === "lab"));
    this.progress.show("asking the kernel");
    const { text, notes, problems } = await importTopology({
      lab: flags.live && !named ? undefined : (args.lab ?? flags.lab),
      live: flags.live,
      all: flags.all,
      name: flags.name,
      onWarning: (warning) => this.warning(warning),
    });
    for (const note of notes) this.warning(note);
    if (problems !== "") this.warning(`the file is not valid as it stands:\n${problems}`);
    if (flags.output === undefined) {
      this.print(text);
      return { topology: text, notes };
    }
    writeTopology(flags.output, text, flags.force);
    this.print(`${flags.output}: yapc-net up ${flags.output} builds it`);
    return { file: flags.output, notes };
  }
}
