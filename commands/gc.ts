import { Flags } from "@oclif/core";
import { gc } from "../src/session/gc.js";
import { BaseCommand } from "./base/command.js";

export default class Gc extends BaseCommand {
  static override summary = "Remove what labs left behind whose init died";
  static override description =
    "Names in /run/netns, empty cgroups, state folders, and what a lab with --real or an uplink put on the machine itself: only what carries a lab's mark. A lab that runs on without its state folder ends, too. Other running labs are not touched.";
  static override examples = ["<%= config.bin %> gc", "<%= config.bin %> gc --dry-run"];
  static override flags = { "dry-run": Flags.boolean({ summary: "show what would be removed" }) };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Gc);
    this.progress.show("looking for what labs left");
    const removed = await gc({ dryRun: flags["dry-run"], onWarning: (text) => this.warning(text) });
    if (removed.length === 0) this.print("Nothing is left behind.");
    for (const { lab, inits, names, cgroups, machine, folder, notes } of removed) {
      for (const note of notes) this.warning(note);
      const things = [
        ...inits.map((pid) => `process ${pid} (its init)`),
        ...names.map((name) => `/run/netns/${name}`),
        ...cgroups,
        ...machine,
        ...(folder === undefined ? [] : [folder]),
      ];
      const lost = names.length === 0 ? "a trace that was killed" : "a lab whose state is lost";
      const owner = lab === undefined ? lost : `lab '${lab}'`;
      this.print(`${flags["dry-run"] ? "would remove" : "removed"} of ${owner}: ${things.join(", ")}`);
    }
    return removed;
  }
}
