import { existsSync } from "node:fs";
import { Args, Flags } from "@oclif/core";
import { Failure } from "../src/model/failure.js";
import { type CaptureRequest, openCaptureFiles } from "../src/session/capture-file.js";
import { isFolder, recordingTitle, replay } from "../src/session/replay.js";
import { findTrace } from "../src/session/saved-traces.js";
import { BaseCommand } from "./base/command.js";
import { outputFlag, OutputSet } from "./base/output.js";

export default class View extends BaseCommand {
  static override summary = "A saved trace, or captures, in the TUI or in any format";
  static override description = `Needs no root and no lab: the packets of a saved trace are joined again from its captures, to the same result.

Captures that others made (pcap, pcapng) are shown too, each of their interfaces a hop. Several are joined, in the order
in which they are given, as places on one way: of the network between them nothing is known, so any number of routers
and any NAT may be there. Their clocks must agree to 50 µs; editcap -t shifts one that does not.`;
  static override examples = [
    "<%= config.bin %> view request",
    "<%= config.bin %> view web.trace",
    "<%= config.bin %> view web.trace -o ladder",
    "<%= config.bin %> view web.trace --json",
    "<%= config.bin %> view capture.pcap -o text",
    "<%= config.bin %> view client=a.pcap router:eth1=b.pcap server=c.pcapng -o table",
  ];
  static override strict = false;
  static override args = {
    path: Args.string({
      description:
        "folder of a saved trace, the name of one that comes with the program (request, dropped), or captures, each FILE or NAME=FILE",
      required: true,
    }),
  };
  static override flags = {
    output: outputFlag,
    tui: Flags.boolean({ summary: "the TUI (default on a terminal)", allowNo: true }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(View);
    const requests = (argv as string[]).map(requestOf); // oclif has no type for what is beyond the declared arguments
    const [{ path: file } = { path: "" }] = requests;
    const folder = requests.find((each) => isFolder(each.path));
    if (folder !== undefined && requests.length > 1)
      throw new Failure("usage", `${folder.path} is a saved trace: it is viewed alone`, {
        hint: "several captures can be given, but one saved trace",
      });
    const captures = folder === undefined ? await openCaptureFiles(requests) : undefined;
    const outputs = await OutputSet.open({
      formats: flags.output,
      json: this.jsonEnabled(),
      tui: flags.tui,
      title: requests.map((each) => each.name ?? recordingTitle(each.path)).join(", "),
      live: false,
      ...(captures === undefined ? { recording: file } : { source: captures.source }),
    });
    const onEvent = outputs.event.bind(outputs);
    await outputs.during(async () => {
      for (const warning of captures?.warnings ?? []) outputs.warning(warning);
      const options = { onEvent, tell: outputs.tell, pressure: () => outputs.pressure };
      if (captures !== undefined) await captures.replay(options);
      else await replay({ ...options, path: file, onWarning: (text) => outputs.warning(text) });
    });
  }
}

/** `NAME=FILE`; a path that is there as it stands has no name. */
function requestOf(text: string): CaptureRequest {
  const at = text.indexOf("=");
  if (at <= 0 || existsSync(text)) return { path: findTrace(text) };
  const [name, file] = [text.slice(0, at), text.slice(at + 1)];
  if (file === "" || name.includes("/")) return { path: findTrace(text) };
  return { name, path: findTrace(file) };
}
