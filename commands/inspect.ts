import { Args, Flags } from "@oclif/core";
import type { Snapshot } from "../src/model/snapshot.js";
import { inspect } from "../src/session/inspect.js";
import { inspectLines } from "../src/view/inspect.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Inspect extends BaseCommand {
  static override summary = "Nodes, addresses, links, bridge ports, routes and counters of a running lab";
  static override description = "Read from the kernel, not from the topology file. --json prints the whole snapshot.";
  static override examples = ["<%= config.bin %> inspect", "<%= config.bin %> inspect docker-bridge --node web"];
  static override args = { lab: Args.string({ description: "name of the lab" }) };
  static override flags = {
    lab: labFlag,
    node: Flags.string({ summary: "only this node", helpValue: "NODE", multiple: true }),
  };

  async run(): Promise<Snapshot> {
    const { args, flags } = await this.parse(Inspect);
    const snapshot = await inspect({ lab: args.lab ?? flags.lab, nodes: flags.node ?? [] });
    this.print(inspectLines(snapshot, { ink: this.ink }).join("\n"));
    return snapshot;
  }
}
