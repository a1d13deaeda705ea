import { Args, Flags } from "@oclif/core";
import { exitCodes, Failure } from "../src/model/failure.js";
import { ping, type PingResult } from "../src/session/ping.js";
import { pingLines } from "../src/view/ping-matrix.js";
import { BaseCommand, labFlag } from "./base/command.js";
import { parseMilliseconds } from "./base/duration.js";

export default class Ping extends BaseCommand {
  static override summary = "Who reaches whom: an echo request between all nodes, as a matrix";
  static override description = `IPv4 and IPv6, from a socket opened in each node, so a container needs no ping of its own. The address asked is
one in a network that both nodes have, else the first. The exit code is 1 where a pair got no answer.`;
  static override examples = [
    "<%= config.bin %> ping",
    "<%= config.bin %> ping client web --ipv6",
    "<%= config.bin %> ping --lab router-chain --json",
  ];
  static override strict = false;
  static override usage = "ping [NODE...] [--lab LAB] [--ipv4|--ipv6] [--count N] [--timeout TIME] [--json]";
  static override args = { node: Args.string({ description: "[LAB/]NODE; only pairs of these" }) };
  static override flags = {
    lab: labFlag,
    ipv4: Flags.boolean({ summary: "IPv4 only", exclusive: ["ipv6"] }),
    ipv6: Flags.boolean({ summary: "IPv6 only" }),
    count: Flags.integer({ char: "c", summary: "requests a pair", helpValue: "N", default: 1, min: 1, max: 1000 }),
    timeout: Flags.string({ summary: "how long to wait for an answer", helpValue: "TIME", default: "1s" }),
  };

  async run(): Promise<PingResult> {
    const { flags, argv } = await this.parse(Ping);
    const patience = parseMilliseconds(flags.timeout);
    if (patience <= 0) throw new Failure("usage", "--timeout must be more than 0");
    const result = await ping({
      lab: flags.lab,
      nodes: argv.map(String),
      families: flags.ipv4 ? [4] : flags.ipv6 ? [6] : [4, 6],
      count: flags.count,
      patience,
      onProgress: (done, total) => this.progress.show(`${done} of ${total} pairs`),
      signal: this.interruptible(),
    });
    const blocks = result.matrices.map((matrix) =>
      [this.ink("strong", `IPv${matrix.family}`), ...pingLines(matrix, this.ink)].join("\n"),
    );
    this.print(blocks.join("\n\n"));
    if (!result.passed) this.status(exitCodes.expectation);
    return result;
  }
}
