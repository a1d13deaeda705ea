import { Flags } from "@oclif/core";
import { Failure } from "../src/model/failure.js";
import type { LabStats } from "../src/model/stats.js";
import { stats } from "../src/session/stats.js";
import { statsLines } from "../src/view/stats.js";
import { BaseCommand, labFlag } from "./base/command.js";
import { parseMilliseconds } from "./base/duration.js";

/** Cursor home, and erase what is below: the old picture is written over, without flicker. */
const overwrite = "\x1b[H\x1b[J";

export default class Stats extends BaseCommand {
  static override summary = "What containers use and what interfaces carry";
  static override description = `CPU, memory and processes of each container with its limits, and bytes, packets and drops of each interface, with the
rates of the last interval. Once, or with --watch until Ctrl-C. --json prints one object for each reading.`;
  static override examples = ["<%= config.bin %> stats", "<%= config.bin %> stats --watch --node web"];
  static override flags = {
    lab: labFlag,
    node: Flags.string({ summary: "only this node", helpValue: "NODE", multiple: true }),
    watch: Flags.boolean({ char: "w", summary: "again and again, until Ctrl-C" }),
    interval: Flags.string({ summary: "time between two readings", helpValue: "TIME", default: "1s" }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Stats);
    const interval = parseMilliseconds(flags.interval);
    if (interval < 10) throw new Failure("usage", "--interval must be 10ms at the least");
    await stats({
      lab: flags.lab,
      nodes: flags.node ?? [],
      interval,
      watch: flags.watch,
      onStats: (reading) => this.tell(reading, flags.watch),
      signal: this.interruptible(),
    });
  }

  private tell(reading: LabStats, watch: boolean): void {
    if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(reading)}\n`);
    else {
      const clear = watch && process.stdout.isTTY ? overwrite : "";
      const gap = watch && !process.stdout.isTTY ? "\n" : "";
      this.print(`${clear}${statsLines(reading, this.ink).join("\n")}\n${gap}`);
    }
  }
}
