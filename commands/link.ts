import { Args, Flags } from "@oclif/core";
import { changeLink, type LinkResult } from "../src/session/link.js";
import { linkLines } from "../src/view/link-end.js";
import { BaseCommand, labFlag } from "./base/command.js";

export default class Link extends BaseCommand {
  static override summary = "Change a running link, to see what breaks";
  static override description = `Acts on what this end sends: a delay of 5 ms on one end makes a round trip 5 ms longer, with --both 10. Settings that
are not given stay; 0 takes one away; --reset goes back to what the lab's file says. Without settings it shows the link.
A rate needs the tbf qdisc of the kernel; delay, jitter and loss need netem (exit code 3 where it is missing).`;
  static override examples = [
    "<%= config.bin %> link web:eth0 --rate 1mbit",
    "<%= config.bin %> link host:vethweb --delay 20ms --jitter 2ms --loss 1% --both",
    "<%= config.bin %> link docker-bridge/client:eth0 --down",
    "<%= config.bin %> link web:eth0 --reset",
  ];
  static override args = { end: Args.string({ description: "[LAB/]NODE:INTERFACE", required: true }) };
  static override flags = {
    lab: labFlag,
    rate: Flags.string({ summary: "bits a second", helpValue: "10mbit" }),
    delay: Flags.string({ summary: "time that each frame waits", helpValue: "5ms" }),
    jitter: Flags.string({ summary: "how much the delay varies", helpValue: "1ms" }),
    loss: Flags.string({ summary: "share of frames that are lost", helpValue: "0.5%" }),
    down: Flags.boolean({ summary: "set it down: the other end loses its carrier", exclusive: ["up"] }),
    up: Flags.boolean({ summary: "set it up again, with the addresses and routes of the file" }),
    both: Flags.boolean({ summary: "the other end of the link too" }),
    reset: Flags.boolean({ summary: "back to what the lab's file says" }),
  };

  async run(): Promise<LinkResult> {
    const { args, flags } = await this.parse(Link);
    const { rate, delay, jitter, loss } = flags;
    const result = await changeLink({
      lab: flags.lab,
      end: args.end,
      both: flags.both,
      reset: flags.reset,
      ...(rate === undefined ? {} : { rate }),
      ...(delay === undefined ? {} : { delay }),
      ...(jitter === undefined ? {} : { jitter }),
      ...(loss === undefined ? {} : { loss }),
      ...(flags.up || flags.down ? { up: !flags.down } : {}),
      onWarning: (text) => this.warning(text),
      signal: this.interruptible(),
    });
    this.print(linkLines(result.ends, this.ink).join("\n"));
    return result;
  }
}
