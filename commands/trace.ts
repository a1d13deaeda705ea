import { Flags } from "@oclif/core";
import { exitCodes, Failure } from "../src/model/failure.js";
import { type TapMode, tapModes } from "../src/model/tap.js";
import type { TraceFilter } from "../src/model/trace.js";
import { trace, type TraceResult } from "../src/session/trace.js";
import { listHops } from "../src/session/hops.js";
import { hopLines, hopsJson } from "../src/view/hop-list.js";
import { allFlag, BaseCommand, labFlag, machineFlag, meansMachine, targetFlags, targetOf } from "./base/command.js";
import { selfCheckHolds, selfCheckLines } from "../src/view/self-check.js";
import { outputFlag, OutputSet } from "./base/output.js";

export default class Trace extends BaseCommand {
  static override summary = "Follow packets through every hop of a lab, or of this machine and its containers";
  static override description = `Attaches tcpdump to every interface on the way, joins the sightings of each packet, through NAT too, and shows its path:
one row a packet, rewrites, time between hops, and where it died if it did. On a terminal it opens the TUI, else it prints a table.

--port, --host and --proto mean the service, whichever side of NAT a hop is on: \`--port 80\` shows the packet at eth0 too, where its port
is still 8080. With a command, it runs in the node of --from (or here) once every tap listens, the trace ends when it has ended,
and the exit code is the command's (125 for failures of ours). Ctrl-C ends the trace and keeps what was captured.

Where no lab runs, or with --machine, it follows packets of this machine and of the containers that have a link to it: those of Docker,
Podman and containerd go by their names. It changes nothing of the machine; without root it has taps in what is yours (see docs/docker.md).
--container, --pid, --netns and --interface choose a part of the machine; --list shows the hops and captures nothing.`;
  static override examples = [
    "<%= config.bin %> trace --port 80 --from client -- curl http://203.0.113.1:8080/",
    "<%= config.bin %> trace --proto icmp",
    "sudo <%= config.bin %> trace --machine --port 80 -- docker exec web wget -qO- http://10.0.0.1/",
    "sudo <%= config.bin %> trace --container web --list",
    "<%= config.bin %> trace --port 80 --json",
    "<%= config.bin %> trace --port 80 --save web -o table -- sleep 10",
  ];
  static override strict = false;
  static override usage = "trace [FLAGS] [-- COMMAND...]";
  static override flags = {
    lab: labFlag,
    machine: machineFlag,
    all: allFlag,
    ...targetFlags,
    list: Flags.boolean({ summary: "show the hops that would be tapped, and capture nothing" }),
    port: Flags.integer({ summary: "packets of the service on this port", multiple: true, min: 1, max: 65535 }),
    host: Flags.string({
      summary: "packets from or to this address or node",
      multiple: true,
      helpValue: "ADDRESS|NODE",
    }),
    proto: Flags.string({ summary: "tcp, udp, icmp, icmpv6, arp, or a number", multiple: true }),
    filter: Flags.string({
      summary: "a pcap-filter(7), given to each tap as it is",
      description: "Not translated: behind NAT it sees other addresses and ports than in front of it.",
      exclusive: ["port", "host", "proto"],
      helpValue: "EXPRESSION",
    }),
    from: Flags.string({ summary: "node in which the command runs", helpValue: "[LAB/]NODE" }),
    node: Flags.string({
      summary: "taps only there (on this machine: and on the way there)",
      multiple: true,
      helpValue: "NODE",
    }),
    count: Flags.integer({ char: "c", summary: "end once so many packets have come to their end", min: 1 }),
    duration: Flags.string({ summary: "end after this time: 500ms, 10s, 2m", helpValue: "TIME" }),
    save: Flags.string({ summary: "keep the trace as NAME.trace/, for `view`", helpValue: "NAME" }),
    tap: Flags.option({
      options: tapModes,
      default: "auto" as TapMode,
      summary: "a tcpdump on each hop, or one in each namespace",
      description:
        "interface: at once, with link-layer addresses. namespace: at less cost to busy traffic, up to a second later, without the link-layer destination. auto: the first, and from about 2,000 packets a second on the second; what passes meanwhile is seen once.",
    })(),
    snaplen: Flags.integer({ summary: "bytes kept of each frame", default: 262, min: 64, max: 262144 }),
    "self-check": Flags.boolean({
      summary: "compare the joins with the kernel's own packet buffers, and tell the agreement (root only)",
    }),
    output: outputFlag,
    tui: Flags.boolean({ summary: "the TUI (default on a terminal)", allowNo: true }),
  };

  async run(): Promise<void> {
    const command = this.takeCommand();
    const { flags, argv, raw } = await this.parse(Trace);
    if (argv.length > 0)
      throw new Failure("usage", `'${String(argv[0])}' is no option`, { hint: "a command follows --" });
    if (flags.list) {
      if (command.length > 0) throw new Failure("usage", "--list captures nothing: it takes no command");
      const found = await listHops({
        ...this.network(flags, raw),
        onWarning: (text) => this.warning(text),
      });
      if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(hopsJson(found.snapshot, found.hops))}\n`);
      this.print(hopLines(found.snapshot, found.hops, this.ink).join("\n"));
      return;
    }
    if (command.length > 0) this.ownFailure = exitCodes.own;
    const outputs = await OutputSet.open({
      formats: flags.output,
      json: this.jsonEnabled(),
      tui: flags.tui,
      title: title(flags),
      live: true,
      ...(flags.save === undefined ? {} : { recording: `${flags.save.replace(/\.trace\/?$/, "")}.trace` }),
    });
    const interrupt = this.interruptible();
    const result = await outputs.during((stop) =>
      trace({
        ...this.network(flags, raw),
        argv: command,
        save: outputs.recordingFolder,
        snapshotLength: flags.snaplen,
        tap: flags.tap,
        selfCheck: flags["self-check"],
        count: flags.count,
        duration: flags.duration === undefined ? undefined : milliseconds(flags.duration),
        output: outputs.commandOutput,
        tell: outputs.tell,
        pressure: () => outputs.pressure,
        onEvent: (event) => outputs.event(event),
        onProvisional: outputs.provisional,
        onReady: (hops) => outputs.ready(hops, command),
        onWarning: (text) => outputs.warning(text),
        signal: AbortSignal.any([interrupt, stop]),
      }),
    );
    this.finish(result, flags.save !== undefined, command.length > 0);
  }

  /** What is traced. */
  private network(flags: NetworkFlags, raw: Parameters<BaseCommand["labOf"]>[1]) {
    const machine = meansMachine(flags);
    return {
      lab: this.labOf({ ...flags, machine }, raw),
      machine,
      all: flags.all,
      target: targetOf(flags),
      nodes: flags.node ?? [],
      filter: filterOf(flags),
      from: flags.from,
    };
  }

  private finish(result: TraceResult, saved: boolean, ran: boolean): void {
    if (saved && result.saved !== undefined)
      process.stderr.write(`saved: ${result.saved} (yapc-net view ${result.saved})\n`);
    if (result.status !== undefined) this.status(result.status);
    else if (result.interrupted && ran) this.status(exitCodes.interrupted);
    if (result.selfCheck === undefined) return;
    for (const line of selfCheckLines(result.selfCheck)) process.stderr.write(`${line}\n`);
    if (!selfCheckHolds(result.selfCheck) && (result.status ?? 0) === 0) this.status(exitCodes.expectation);
  }
}

interface FilterFlags {
  readonly port?: number[] | undefined;
  readonly host?: string[] | undefined;
  readonly proto?: string[] | undefined;
  readonly filter?: string | undefined;
}

interface NetworkFlags extends FilterFlags {
  readonly lab?: string | undefined;
  readonly machine: boolean;
  readonly all: boolean;
  readonly container?: string[] | undefined;
  readonly pid?: number[] | undefined;
  readonly netns?: string[] | undefined;
  readonly interface?: string[] | undefined;
  readonly node?: string[] | undefined;
  readonly from?: string | undefined;
}

function filterOf({ port, host, proto, filter }: FilterFlags): TraceFilter {
  return {
    ports: port ?? [],
    hosts: host ?? [],
    protocols: (proto ?? []).map((each) => each.toLowerCase()),
    ...(filter === undefined ? {} : { raw: filter }),
  };
}

function title(flags: FilterFlags & { readonly lab?: string | undefined }): string {
  const parts = [
    ...(flags.port ?? []).map((port) => `port ${port}`),
    ...(flags.host ?? []).map((host) => `host ${host}`),
    ...(flags.proto ?? []),
    ...(flags.filter === undefined ? [] : [flags.filter]),
  ];
  return ["trace", flags.lab ?? "", parts.join(", ")].filter((part) => part !== "").join(" ");
}

function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  if (match === null) throw new Failure("usage", `'${text}' is no time: write 500ms, 10s or 2m`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as "ms" | "s" | "m"];
}
