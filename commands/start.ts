import type { ContainerChange } from "../src/session/containers.js";
import { ContainerCommand, nodeArgs } from "./base/container-command.js";

export default class Start extends ContainerCommand {
  static override summary = "Start the container of a node that was stopped or has ended";
  static override description = `It comes back in the same network namespace: links, addresses and routes are as they were. Returns when its \`ready\` ports listen.`;
  static override examples = ["<%= config.bin %> start web", "<%= config.bin %> start docker-bridge/web"];
  static override usage = "start NODE... [--lab LAB] [--json]";
  static override args = nodeArgs;

  async run(): Promise<ContainerChange[]> {
    const { flags, argv } = await this.parse(Start);
    return this.change("start", argv.map(String), flags.lab);
  }
}
