import { Args, Flags } from "@oclif/core";
import type { Snapshot } from "../src/model/snapshot.js";
import { inspect, inspected } from "../src/session/inspect.js";
import { inspectLines } from "../src/view/inspect.js";
import { allFlag, BaseCommand, labFlag, machineFlag } from "./base/command.js";

export default class Inspect extends BaseCommand {
  static override summary =
    "Nodes, addresses, links, bridge ports, routes and counters of a running lab, or of this machine";
  static override description = `Read from the kernel, not from the topology file. --json prints the whole snapshot (docs/snapshot.md).

NAME is a lab, a node, or a container or network namespace of this machine: then that one is told of more fully, and for
each of its interfaces which is the other end.

Where no lab runs, or with --machine, it shows this machine and the containers that have a link to it (Docker, Podman,
containerd, or any network namespace). It changes nothing. Without root it shows what is yours, and says what it did not
look at.`;
  static override examples = [
    "<%= config.bin %> inspect",
    "<%= config.bin %> inspect docker-bridge --node web",
    "<%= config.bin %> inspect web",
    "sudo <%= config.bin %> inspect --machine",
  ];
  static override args = {
    name: Args.string({ name: "NAME", description: "a lab, [LAB/]NODE, or a container or namespace of this machine" }),
  };
  static override usage = "inspect [NAME] [FLAGS]";
  static override flags = {
    lab: labFlag,
    machine: machineFlag,
    all: allFlag,
    node: Flags.string({ summary: "only this node", helpValue: "NODE", multiple: true }),
  };

  async run(): Promise<Snapshot> {
    const { args, flags, raw } = await this.parse(Inspect);
    this.progress.show("asking the kernel");
    const found = await inspect({
      lab: this.labOf(flags, raw, "flag"),
      name: args.name,
      machine: flags.machine,
      all: flags.all,
      nodes: flags.node ?? [],
      onWarning: (text) => this.warning(text),
    });
    const { snapshot, nodes } = found;
    this.print(inspectLines(snapshot, { ink: this.ink, ...(nodes.length === 0 ? {} : { nodes }) }).join("\n"));
    return inspected(found);
  }
}
