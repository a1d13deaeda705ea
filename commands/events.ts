import { Flags } from "@oclif/core";
import { eventJson, eventKinds, events } from "../src/session/events.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Events extends BaseCommand {
  static override summary = "What changes in a lab, as JSON Lines: links, addresses, routes, neighbours, flows";
  static override description = `One object a line, as the kernel tells it (rtnetlink and conntrack of every node), until Ctrl-C:
{"time", "node", "kind", "change", "interface", "object"}. A line of the kind "resync" means that events were lost.`;
  static override examples = [
    "<%= config.bin %> events",
    "<%= config.bin %> events --node web --kind neighbour --kind conntrack | jq -c .",
  ];
  static override flags = {
    lab: labFlag,
    node: Flags.string({ summary: "only this node", helpValue: "NODE", multiple: true }),
    kind: Flags.option({ options: eventKinds, summary: "only this kind", multiple: true })(),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Events);
    await events({
      lab: flags.lab,
      nodes: flags.node ?? [],
      kinds: flags.kind ?? [],
      onEvent: (event) => process.stdout.write(`${eventJson(event)}\n`),
      onReady: () => {
        if (process.stderr.isTTY) process.stderr.write("listening; Ctrl-C ends it\n");
      },
      signal: this.interruptible(),
    });
  }
}
