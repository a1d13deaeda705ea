import type { ContainerChange } from "../src/session/containers.js";
import { ContainerCommand, nodeArgs } from "./base/container-command.js";

export default class Restart extends ContainerCommand {
  static override summary = "Stop and start the container of a node, its network kept";
  static override description = `The container comes back in the same network namespace. Connections of others through the node go on. Returns when its \`ready\` ports listen.`;
  static override examples = ["<%= config.bin %> restart web", "<%= config.bin %> restart docker-bridge/web"];
  static override usage = "restart NODE... [--lab LAB] [--json]";
  static override args = nodeArgs;

  async run(): Promise<ContainerChange[]> {
    const { flags, argv } = await this.parse(Restart);
    return this.change("restart", argv.map(String), flags.lab);
  }
}
