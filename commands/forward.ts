import { Args } from "@oclif/core";
import { forward, type ForwardEvent, parseForwarding } from "../src/session/forward.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Forward extends BaseCommand {
  static override summary = "Reach a port of a node from this machine";
  static override description = `Listens on this machine, on 127.0.0.1 if no address is given, and connects inside the node for every connection, until
Ctrl-C. Port 0 lets the kernel choose one. Nothing of the machine's network is changed. --json prints an event a line.`;
  static override examples = [
    "<%= config.bin %> forward 8080:web:80",
    "<%= config.bin %> forward 0.0.0.0:8080:web:80 5432:docker-bridge/db:5432",
  ];
  static override strict = false;
  static override usage = "forward [ADDRESS:]PORT:[LAB/]NODE:PORT... [--lab LAB] [--json]";
  static override args = { ports: Args.string({ description: "[ADDRESS:]PORT:[LAB/]NODE:PORT", required: true }) };
  static override flags = { lab: labFlag };

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Forward);
    await forward({
      lab: flags.lab,
      forwardings: argv.map(String).map(parseForwarding),
      onEvent: (event) => this.tell(event),
      signal: this.interruptible(),
    });
  }

  private tell(event: ForwardEvent): void {
    if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(event)}\n`);
    else {
      const { address, port, node, nodePort } = event.forwarding;
      const here = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
      if (event.type === "listening") this.print(`${here} -> ${node}:${nodePort}; Ctrl-C ends it`);
      else if (event.type === "connection") this.print(`${event.client} -> ${node}:${nodePort}`);
      else this.warning(`${event.client} -> ${node}:${nodePort}: ${event.reason}`);
    }
  }
}
