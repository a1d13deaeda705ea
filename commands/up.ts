import { Args, Flags } from "@oclif/core";
import { up } from "../src/session/up.js";
import { planLines } from "../src/view/listing.js";
import { upLines } from "../src/view/up.js";
import { BaseCommand } from "./base/command.js";

export default class Up extends BaseCommand {
  static override summary = "Start a lab from a topology file, or change a running one to match it";
  static override description = `The lab lives in namespaces of its own: the machine is left as it was. Without root it lives in a user namespace.
A second \`up\` changes what differs and nothing else. FILE may be the name of a topology that ships (\`docker-bridge\`).`;
  static override examples = [
    "<%= config.bin %> up topologies/docker-bridge.json",
    "<%= config.bin %> up docker-bridge --name mine",
    "<%= config.bin %> up lab.json --dry-run",
    "<%= config.bin %> up lab.json --set servers=20",
    "<%= config.bin %> up lab.json --real",
  ];
  static override args = {
    file: Args.string({ description: "topology file", default: "topology.json" }),
  };
  static override flags = {
    name: Flags.string({ summary: "name of the lab instead of the file's", helpValue: "LAB" }),
    real: Flags.boolean({ summary: "build the machine's node on this machine itself (root only; docs/real-mode.md)" }),
    "dry-run": Flags.boolean({ summary: "print the plan and change nothing", default: false }),
    set: Flags.string({ summary: "set a variable of the file", helpValue: "NAME=VALUE", multiple: true, default: [] }),
    strict: Flags.boolean({ summary: "treat warnings as errors (exit code 3 for what the machine cannot do)" }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Up);
    const signal = this.interruptible();
    signal.addEventListener("abort", () => this.progress.show("interrupted: what was done is undone"));
    const result = await up({
      file: args.file,
      ...(flags.name === undefined ? {} : { name: flags.name }),
      dryRun: flags["dry-run"],
      strict: flags.strict,
      real: flags.real,
      assignments: flags.set,
      readBack: this.jsonEnabled(),
      signal,
      onProgress: (done, total) =>
        this.progress.show(done < total ? `${done} of ${total} operations` : "waiting until the lab is ready"),
      onWarning: (text) => this.warning(text),
    });
    this.print((flags["dry-run"] ? planLines(result.operations, this.ink) : upLines(result, this.ink)).join("\n"));
    return result;
  }
}
