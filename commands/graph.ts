import { Args, Flags } from "@oclif/core";
import { Failure } from "../src/model/failure.js";
import { graph, liveGraph } from "../src/session/graph.js";
import { drawGraph, graphFormats, type GraphData, graphOfSnapshot, graphOfTopology } from "../src/view/graph/index.js";
import { allFlag, BaseCommand, labFlag, machineFlag, meansMachine, targetFlags, targetOf } from "./base/command.js";

export default class Graph extends BaseCommand {
  static override summary = "A picture of a lab or of a topology file";
  static override description = `Of a file it shows what would be built, and needs no root; of a lab that runs, what the kernel has now.
--json prints the nodes, links and bridges that the picture is drawn from.

--live draws the hops that packets pass now, without capturing: of a lab, or, where none runs, of this machine and its
containers; --container, --pid, --netns and --interface draw the way to one.`;
  static override examples = [
    "<%= config.bin %> graph",
    "<%= config.bin %> graph topologies/dmz-firewall.json --format svg > dmz.svg",
    "<%= config.bin %> graph docker-bridge --format mermaid",
    "sudo <%= config.bin %> graph --live",
    "sudo <%= config.bin %> graph --live --container web --format svg > web.svg",
  ];
  static override args = { target: Args.string({ name: "FILE|LAB", description: "topology file, or name of a lab" }) };
  static override usage = [
    "graph [FILE|LAB] [--format FORMAT] [--set NAME=VALUE] [--json]",
    "graph --live [LAB] [--container NAME] [--port PORT] [--format FORMAT] [--json]",
  ];
  static override flags = {
    lab: labFlag,
    live: Flags.boolean({ summary: "the hops of a lab that runs, or of this machine and its containers" }),
    machine: machineFlag,
    all: allFlag,
    ...targetFlags,
    port: Flags.integer({ summary: "with --live: what serves this port", multiple: true, min: 1, max: 65535 }),
    format: Flags.option({ options: graphFormats, default: "ascii" as const, summary: "kind of picture" })(),
    set: Flags.string({ summary: "set a variable of the file", helpValue: "NAME=VALUE", multiple: true, default: [] }),
  };

  async run(): Promise<GraphData> {
    const { args, flags, raw } = await this.parse(Graph);
    const onWarning = (text: string): void => this.warning(text);
    const needsLive = ["machine", "all", "port", ...Object.keys(targetFlags)];
    const misplaced = flags.live
      ? undefined
      : raw.find((token) => token.type === "flag" && needsLive.includes(token.flag));
    if (misplaced?.type === "flag")
      throw new Failure("usage", `--${misplaced.flag} goes with --live`, {
        hint: "yapc-net graph --live draws what runs",
      });
    if (flags.live && flags.set.length > 0) throw new Failure("usage", "--set is for a topology file, not for --live");
    const machine = meansMachine(flags);
    this.progress.show("asking the kernel");
    const drawn = flags.live
      ? await liveGraph({
          name: args.target,
          lab: this.labOf({ ...flags, machine }, raw),
          machine,
          all: flags.all,
          target: targetOf(flags),
          filter: { ports: flags.port ?? [], hosts: [], protocols: [] },
          onWarning,
        })
      : await graph({ target: args.target, lab: flags.lab, assignments: flags.set, onWarning });
    const data = drawn.kind === "lab" ? graphOfSnapshot(drawn.snapshot) : graphOfTopology(drawn.topology);
    this.print(drawGraph(data, flags.format));
    return data;
  }
}
