import { Args, Flags } from "@oclif/core";
import { recordingTitle, replay } from "../src/session/replay.js";
import { BaseCommand } from "./base/command.js";
import { outputFlag, OutputSet } from "./base/output.js";

export default class View extends BaseCommand {
  static override summary = "A saved trace in the TUI, or in any format";
  static override description =
    "Needs no root and no lab: the packets are joined again from the captures, to the same result.";
  static override examples = [
    "<%= config.bin %> view web.trace",
    "<%= config.bin %> view web.trace -o ladder",
    "<%= config.bin %> view web.trace --json",
  ];
  static override args = { path: Args.string({ description: "folder of a saved trace", required: true }) };
  static override flags = {
    output: outputFlag,
    tui: Flags.boolean({ summary: "the TUI (default on a terminal)", allowNo: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(View);
    const outputs = await OutputSet.open({
      formats: flags.output,
      json: this.jsonEnabled(),
      tui: flags.tui,
      title: recordingTitle(args.path),
      live: false,
      recording: args.path,
    });
    await outputs.during(() => replay({ path: args.path, onEvent: (event) => outputs.event(event) }));
  }
}
