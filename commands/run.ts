import { Flags } from "@oclif/core";
import { exitCodes, Failure } from "../src/model/failure.js";
import { run } from "../src/session/run.js";
import { capabilityList, runSettings, size } from "../src/session/run-settings.js";
import { stepLines } from "../src/view/steps.js";
import { BaseCommand } from "./base/command.js";

/** Variables of the caller that the command keeps. */
const kept = ["TERM", "LANG", "LC_ALL", "COLORTERM"];

export default class Run extends BaseCommand {
  static override summary = "Run a command in one container, as yapc does";
  static override description = `Namespaces, cgroup limits, capabilities and an overlay root, for as long as the command runs. What it writes is
gone with it. YAPC_CPU_QUOTA, YAPC_MEMORY_LIMIT, YAPC_PIDS_MAX, YAPC_CAPS, YAPC_ROOT, YAPC_NET, YAPC_NAME, YAPC_UID,
YAPC_GID and YAPC_DEBUG mean what they mean to yapc; flags win over them.

With --net the container has eth0 in a network of its own; the other end, vethyapcPID, lies in the node \`host\` of the
lab yapcPID, down and on no bridge: \`yapc-net exec host -- ip link\`. Without, root's container shares the machine's
network, and an ordinary user's has a loopback only. The exit code is the command's; 125 for failures of ours.`;
  static override examples = [
    "<%= config.bin %> run -- sh",
    "YAPC_CPU_QUOTA=50000 <%= config.bin %> run -- sh -c 'yes >/dev/null'",
    "<%= config.bin %> run --net --caps net_raw,net_admin -- ip link",
    "<%= config.bin %> run --root debian.tar -- cat /etc/os-release",
    "<%= config.bin %> run --explain -- sh",
  ];
  static override strict = false;
  static override usage = "run [FLAGS] -- COMMAND...";
  static override enableJsonFlag = false;
  static override flags = {
    cpu: Flags.string({ summary: "CPUs it may use (YAPC_CPU_QUOTA, in µs of 100000)", helpValue: "0.5" }),
    memory: Flags.string({ summary: "memory it may use (YAPC_MEMORY_LIMIT)", helpValue: "100M" }),
    pids: Flags.integer({ summary: "processes it may have (YAPC_PIDS_MAX)", helpValue: "64", min: 1 }),
    caps: Flags.string({
      summary: "its capabilities, all of them (YAPC_CAPS); none for none",
      helpValue: "net_raw,net_admin",
    }),
    root: Flags.string({ summary: "folder or tar archive below its root (YAPC_ROOT)", helpValue: "PATH" }),
    net: Flags.boolean({ summary: "a network of its own (YAPC_NET)" }),
    name: Flags.string({ summary: "host name inside (YAPC_NAME)", helpValue: "NAME" }),
    user: Flags.string({ summary: "who it runs as (YAPC_UID, YAPC_GID)", helpValue: "UID[:GID]" }),
    env: Flags.string({ char: "e", summary: "set a variable", helpValue: "NAME=VALUE", multiple: true }),
    explain: Flags.boolean({ summary: "print each step with the shell line that does the same, and run nothing" }),
  };

  protected override ownFailure = exitCodes.own;

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Run);
    const command = argv.map(String);
    if (command.length === 0) throw new Failure("usage", "no command to run", { hint: "yapc-net run -- COMMAND" });
    const given = runSettings(process.env);
    const status = await run({
      ...given,
      ...(flags.cpu === undefined ? {} : { cpu: cpus(flags.cpu) }),
      ...(flags.memory === undefined ? {} : { memory: size("--memory", flags.memory) }),
      ...(flags.pids === undefined ? {} : { pids: flags.pids }),
      ...(flags.caps === undefined ? {} : { capabilities: capabilityList(flags.caps) }),
      ...(flags.root === undefined ? {} : { root: flags.root }),
      network: flags.net || given.network,
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(flags.user === undefined ? {} : { user: flags.user }),
      environment: [...inherited(), ...(flags.env ?? []).map(variable)],
      argv: command,
      explain: flags.explain,
      onSteps: (steps) =>
        (flags.explain ? process.stdout : process.stderr).write(
          `${stepLines(steps, flags.explain ? this.ink : undefined).join("\n")}\n`,
        ),
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

function variable(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new Failure("usage", `--env ${text} is not of the form NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function cpus(text: string): number {
  const number = Number(text);
  if (/^[0-9.]+$/.test(text) && number >= 0.01) return number;
  throw new Failure("usage", `--cpu ${text} is no number of CPUs: 0.5 is half of one`);
}
