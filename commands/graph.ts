import { Args, Flags } from "@oclif/core";
import { graph } from "../src/session/graph.js";
import { drawGraph, graphFormats, type GraphData, graphOfSnapshot, graphOfTopology } from "../src/view/graph/index.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Graph extends BaseCommand {
  static override summary = "A picture of a lab or of a topology file";
  static override description = `Of a file it shows what would be built, and needs no root; of a lab that runs, what the kernel has now.
--json prints the nodes, links and bridges that the picture is drawn from.`;
  static override examples = [
    "<%= config.bin %> graph",
    "<%= config.bin %> graph topologies/dmz-firewall.json --format svg > dmz.svg",
    "<%= config.bin %> graph docker-bridge --format mermaid",
  ];
  static override args = { target: Args.string({ name: "FILE|LAB", description: "topology file, or name of a lab" }) };
  static override usage = "graph [FILE|LAB] [--format FORMAT] [--set NAME=VALUE] [--json]";
  static override flags = {
    lab: labFlag,
    format: Flags.option({ options: graphFormats, default: "ascii" as const, summary: "kind of picture" })(),
    set: Flags.string({ summary: "set a variable of the file", helpValue: "NAME=VALUE", multiple: true, default: [] }),
  };

  async run(): Promise<GraphData> {
    const { args, flags } = await this.parse(Graph);
    this.progress.show("asking the kernel");
    const drawn = await graph({
      target: args.target,
      lab: flags.lab,
      assignments: flags.set,
      onWarning: (text) => this.warning(text),
    });
    const data = drawn.kind === "lab" ? graphOfSnapshot(drawn.snapshot) : graphOfTopology(drawn.topology);
    this.print(drawGraph(data, flags.format));
    return data;
  }
}
