import { Args, Flags } from "@oclif/core";
import { openCaptureFile } from "../src/session/capture-file.js";
import { isFolder, recordingTitle, replay } from "../src/session/replay.js";
import { findTrace } from "../src/session/saved-traces.js";
import { BaseCommand } from "./base/command.js";
import { outputFlag, OutputSet } from "./base/output.js";

export default class View extends BaseCommand {
  static override summary = "A saved trace, a pcap or a pcapng in the TUI, or in any format";
  static override description = `Needs no root and no lab: the packets of a saved trace are joined again from its captures, to the same result. Of a
bare capture each interface is a hop, and nothing is known of the way between them.`;
  static override examples = [
    "<%= config.bin %> view request",
    "<%= config.bin %> view web.trace",
    "<%= config.bin %> view web.trace -o ladder",
    "<%= config.bin %> view web.trace --json",
    "<%= config.bin %> view capture.pcap -o text",
  ];
  static override args = {
    path: Args.string({
      description:
        "folder of a saved trace, a capture, or the name of one that comes with the program: request, dropped",
      required: true,
    }),
  };
  static override flags = {
    output: outputFlag,
    tui: Flags.boolean({ summary: "the TUI (default on a terminal)", allowNo: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(View);
    const file = findTrace(args.path);
    const capture = isFolder(file) ? undefined : await openCaptureFile(file);
    const outputs = await OutputSet.open({
      formats: flags.output,
      json: this.jsonEnabled(),
      tui: flags.tui,
      title: recordingTitle(file),
      live: false,
      ...(capture === undefined ? { recording: file } : { source: capture.source }),
    });
    const onEvent = outputs.event.bind(outputs);
    await outputs.during(async () => {
      if (capture === undefined) await replay({ path: file, onEvent, onWarning: (text) => outputs.warning(text) });
      else capture.replay(onEvent);
    });
  }
}
