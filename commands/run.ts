import { Flags } from "@oclif/core";
import { exitCodes, Failure } from "../src/model/failure.js";
import { run } from "../src/session/run.js";
import { runSettings } from "../src/session/run-settings.js";
import { stepLines } from "../src/view/steps.js";
import { BaseCommand } from "./base/command.js";
import { takeWords } from "./base/first-word.js";
import { variables } from "./base/variables.js";

/** Variables of the caller that the command keeps. */
const kept = ["TERM", "LANG", "LC_ALL", "COLORTERM"];

export default class Run extends BaseCommand {
  static override summary = "Run a command in one container, as yapc does";
  static override description = `Namespaces, cgroup limits, capabilities and an overlay root, for as long as the command runs. What it writes is
gone with it, but for --keep. YAPC_CPU_QUOTA, YAPC_MEMORY_LIMIT, YAPC_PIDS_MAX, YAPC_CAPS, YAPC_ROOT, YAPC_NET,
YAPC_NAME, YAPC_UID, YAPC_GID and YAPC_DEBUG mean what they mean to yapc; flags win over them.

--net new gives the container eth0 in a network of its own; the other end, vethyapcPID, lies in the node \`host\` of the
lab yapcPID, down and on no bridge: \`yapc-net exec host -- ip link\`. Without --net root's container shares the machine's
network, and an ordinary user's has a loopback only.

--detach lets it go on, in the lab yapcPID: logs, exec, shell, stop, start, inspect, stats and down work on it.

The exit code is the command's, 128 + n for signal n, 127 where there is no such command, 126 where it cannot be run;
125 for failures of ours, 2 for wrong usage.`;
  static override examples = [
    "<%= config.bin %> run -- sh",
    "YAPC_CPU_QUOTA=50000 <%= config.bin %> run -- sh -c 'yes >/dev/null'",
    "<%= config.bin %> run --net new --caps net_raw,net_admin -- ip link",
    "<%= config.bin %> run --net docker-bridge/web --cap-add net_admin -- ss -ltn",
    "<%= config.bin %> run --root debian.tar --bind .:/src:ro --workdir /src -- ls",
    "<%= config.bin %> run --detach --memory 64M -- busybox httpd -f -p 8080",
    "<%= config.bin %> run --explain -- sh",
  ];
  static override strict = false;
  static override usage = "run [FLAGS] -- COMMAND...";
  static override enableJsonFlag = false;
  static override flags = {
    cpu: Flags.string({ summary: "CPUs it may use (YAPC_CPU_QUOTA, in µs of 100000)", helpValue: "0.5" }),
    memory: Flags.string({ summary: "memory it may use (YAPC_MEMORY_LIMIT)", helpValue: "100M" }),
    pids: Flags.integer({ summary: "processes it may have (YAPC_PIDS_MAX)", helpValue: "64", min: 1 }),
    cpuset: Flags.string({ summary: "the CPUs it may run on", helpValue: "0-1" }),
    io: Flags.string({ summary: "bytes a second of each disk, read and written", helpValue: "10M" }),
    caps: Flags.string({
      summary: "its capabilities, all of them (YAPC_CAPS); none for none",
      helpValue: "net_raw,net_admin",
    }),
    "cap-add": Flags.string({ summary: "capabilities it has besides", helpValue: "net_raw", multiple: true }),
    "cap-drop": Flags.string({ summary: "capabilities it has not, or all", helpValue: "mknod", multiple: true }),
    root: Flags.string({ summary: "folder or tar archive below its root (YAPC_ROOT)", helpValue: "PATH" }),
    net: Flags.string({
      summary: "its network: the machine's, a loopback, eth0 of its own (YAPC_NET), a node's",
      helpValue: "host|none|new|LAB/NODE",
    }),
    name: Flags.string({ summary: "host name inside (YAPC_NAME)", helpValue: "NAME" }),
    user: Flags.string({ char: "u", summary: "who it runs as (YAPC_UID, YAPC_GID)", helpValue: "USER[:GROUP]" }),
    env: Flags.string({ char: "e", summary: "set a variable", helpValue: "NAME=VALUE", multiple: true }),
    workdir: Flags.string({ char: "w", summary: "folder inside that it starts in", helpValue: "PATH" }),
    bind: Flags.string({
      char: "v",
      summary: "a file or folder of the machine, seen inside",
      helpValue: "SOURCE:TARGET[:ro]",
      multiple: true,
    }),
    "read-only": Flags.boolean({ summary: "nothing of its root can be written" }),
    seccomp: Flags.string({ summary: "filter of system calls", helpValue: "default|none|FILE" }),
    tty: Flags.boolean({
      char: "t",
      summary: "a terminal of its own; by default where input and output are one",
      allowNo: true,
    }),
    detach: Flags.boolean({ char: "d", summary: "let it go on, and print the name of its lab" }),
    keep: Flags.boolean({ summary: "keep what it writes, and print where" }),
    strict: Flags.boolean({ summary: "a limit that cannot be enforced here is an error (exit code 3)" }),
    explain: Flags.boolean({ summary: "print each step with the shell line that does the same, and run nothing" }),
  };

  protected override ownFailure = exitCodes.own;

  async run(): Promise<void> {
    const command = takeWords(this.argv, Run.flags);
    const { flags } = await this.parse(Run);
    if (command.length === 0) throw new Failure("usage", "no command to run", { hint: "yapc-net run -- COMMAND" });
    const status = await run({
      ...runSettings(process.env, flags),
      environment: [...inherited(), ...variables(flags.env)],
      argv: command,
      tty: flags.tty,
      detach: flags.detach,
      keep: flags.keep,
      strict: flags.strict,
      explain: flags.explain,
      onSteps: (steps) =>
        (flags.explain ? process.stdout : process.stderr).write(
          `${stepLines(steps, flags.explain ? this.ink : undefined).join("\n")}\n`,
        ),
      onDetached: (lab) => this.print(lab),
      onNote: (text) => process.stderr.write(`${text}\n`),
      onWarning: (text) => this.warning(text),
      signal: this.interruptible(),
    });
    this.status(status);
  }
}

function inherited(): [string, string][] {
  return kept.flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
}
