import { Args, Flags } from "@oclif/core";
import type { Snapshot } from "../src/model/snapshot.js";
import { inspect } from "../src/session/inspect.js";
import { inspectLines } from "../src/view/inspect.js";
import { allFlag, BaseCommand, labFlag, machineFlag } from "./base/command.js";

export default class Inspect extends BaseCommand {
  static override summary =
    "Nodes, addresses, links, bridge ports, routes and counters of a running lab, or of this machine";
  static override description = `Read from the kernel, not from the topology file. --json prints the whole snapshot.

Where no lab runs, or with --machine, it shows this machine and the containers that have a link to it (Docker, Podman,
containerd, or any network namespace). That needs root, and changes nothing.`;
  static override examples = [
    "<%= config.bin %> inspect",
    "<%= config.bin %> inspect docker-bridge --node web",
    "sudo <%= config.bin %> inspect --machine",
  ];
  static override args = { lab: Args.string({ description: "name of the lab" }) };
  static override flags = {
    lab: labFlag,
    machine: machineFlag,
    all: allFlag,
    node: Flags.string({ summary: "only this node", helpValue: "NODE", multiple: true }),
  };

  async run(): Promise<Snapshot> {
    const { args, flags, raw } = await this.parse(Inspect);
    this.progress.show("asking the kernel");
    const snapshot = await inspect({
      lab: this.labOf({ ...flags, lab: args.lab ?? flags.lab }, raw),
      machine: flags.machine,
      all: flags.all,
      nodes: flags.node ?? [],
      onWarning: (text) => this.warning(text),
    });
    this.print(inspectLines(snapshot, { ink: this.ink }).join("\n"));
    return snapshot;
  }
}
