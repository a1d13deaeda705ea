/** What `start`, `stop` and `restart` share: names in, a line for each node out. */
import { Args } from "@oclif/core";
import { changeContainers, type ContainerChange, type ContainerVerb } from "../../src/session/containers.js";
import { containerLine } from "../../src/view/container-change.js";
import { BaseCommand, labFlag } from "./command.js";

export const nodeArgs = { node: Args.string({ description: "[LAB/]NODE", required: true }) };

const doing: Readonly<Record<ContainerVerb, string>> = { start: "starting", stop: "stopping", restart: "restarting" };

export abstract class ContainerCommand extends BaseCommand {
  static override strict = false;
  static override flags = { lab: labFlag };

  protected async change(
    verb: ContainerVerb,
    nodes: readonly string[],
    lab: string | undefined,
  ): Promise<ContainerChange[]> {
    this.progress.show(`${doing[verb]} ${nodes.join(", ")}`);
    const changes = await changeContainers({
      verb,
      lab,
      nodes,
      onWarning: (text) => this.warning(text),
      signal: this.interruptible(),
    });
    for (const change of changes) this.print(containerLine(change));
    return changes;
  }
}
