import { Args, Flags } from "@oclif/core";
import { exitCodes } from "../src/model/failure.js";
import type { Explanation } from "../src/model/explanation.js";
import { explain } from "../src/session/explain.js";
import { explainLines } from "../src/view/explain.js";
import { allFlag, BaseCommand, labFlag, machineFlag } from "./base/command.js";

export default class Explain extends BaseCommand {
  static override summary =
    "The way that a packet would take, and why: routes, rules, NAT, bridges, neighbours, listeners";
  static override description = `Predicts the way of a request and of its answer from what the kernel has now, without sending anything: at each step it names
the route, rule, neighbour, FDB entry, sysctl or listener that decides, and it says what it cannot know. With --observe it sends the
request, traces it, and shows both side by side, with the first difference and what was taken for granted there.

TO is a node or an address: web:80, 203.0.113.1:8080, [fd00::1]:80, tcp://…, udp://…, icmp://…; without a port it is an ICMP echo.
FROM is a node, or NODE:INTERFACE for a packet that comes in there from outside (with --source).

Where no lab runs, or with --machine, it explains this machine and the containers that have a link to it (root only).
Exit code: 0 where it is answered (with --observe: and both agree), 1 where not, or where that cannot be known.`;
  static override examples = [
    "<%= config.bin %> explain client tcp://203.0.113.1:8080",
    "<%= config.bin %> explain client web:81 --observe",
    "<%= config.bin %> explain web icmp://fd00::1 --json",
    "sudo <%= config.bin %> explain --machine web 192.0.2.1:443",
    "sudo <%= config.bin %> explain --machine host:eth0 203.0.113.1:8080 --source 198.51.100.7",
  ];
  static override args = {
    from: Args.string({ description: "node that sends: [LAB/]NODE, or NODE:INTERFACE", required: true }),
    to: Args.string({ description: "where to: NODE, ADDRESS, each with :PORT", required: true }),
  };
  static override flags = {
    lab: labFlag,
    machine: machineFlag,
    all: allFlag,
    observe: Flags.boolean({ summary: "send it, trace it, and compare" }),
    protocol: Flags.option({ options: ["tcp", "udp", "icmp"] as const, summary: "where TO names none" })(),
    source: Flags.string({ summary: "address that it is sent from", helpValue: "ADDRESS" }),
    "from-port": Flags.integer({ summary: "port that it is sent from", min: 1, max: 65535 }),
    ipv4: Flags.boolean({ summary: "the IPv4 address of a node", exclusive: ["ipv6"] }),
    ipv6: Flags.boolean({ summary: "the IPv6 address of a node" }),
  };

  async run(): Promise<Explanation> {
    const { args, flags } = await this.parse(Explain);
    const explanation = await explain({
      lab: flags.machine ? undefined : flags.lab,
      machine: flags.machine,
      all: flags.all,
      ...args,
      protocol: flags.protocol,
      family: flags.ipv4 ? 4 : flags.ipv6 ? 6 : undefined,
      source: flags.source,
      sourcePort: flags["from-port"],
      observe: flags.observe,
      onWarning: (text) => this.warning(text),
      signal: this.interruptible(),
    });
    this.print(explainLines(explanation, this.ink).join("\n"));
    const { verdict, observed, difference } = explanation;
    const answered = (observed?.verdict ?? verdict) === "answered" && difference === undefined;
    if (!answered) this.status(exitCodes.expectation);
    return explanation;
  }
}
