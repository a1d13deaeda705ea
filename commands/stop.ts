import type { ContainerChange } from "../src/session/containers.js";
import { ContainerCommand, nodeArgs } from "./base/container-command.js";

export default class Stop extends ContainerCommand {
  static override summary = "Stop the container of a node and keep its network";
  static override description = `TERM, then KILL two seconds later. The network namespace stays, with links, addresses and routes; \`start\` brings the container back.`;
  static override examples = ["<%= config.bin %> stop web", "<%= config.bin %> stop docker-bridge/web"];
  static override usage = "stop NODE... [--lab LAB] [--json]";
  static override args = nodeArgs;

  async run(): Promise<ContainerChange[]> {
    const { flags, argv } = await this.parse(Stop);
    return this.change("stop", argv.map(String), flags.lab);
  }
}
