import { listLabs, type ListedLab } from "../src/session/list.js";
import { labLines } from "../src/view/listing.js";
import { BaseCommand } from "./base/command.js";

export default class Ls extends BaseCommand {
  static override summary = "The labs that run, and the remains of those that do not";
  static override examples = ["<%= config.bin %> ls", "<%= config.bin %> ls --json"];

  async run(): Promise<ListedLab[]> {
    await this.parse(Ls);
    const labs = listLabs();
    this.print(labLines(labs, Date.now(), this.ink).join("\n"));
    return labs;
  }
}
