/** A machine for tests: network, mounts and /run of its own, so that a lab "on the machine itself" touches no real one. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ExecutionContext } from "ava";
import { toolPath } from "../tool-path.js";
import { has, skip } from "../tools.js";

const project = path.resolve(import.meta.dirname, "../../..");
const executable = path.join(project, "bin/yapc-net.js");
/** The longest that one command may take, milliseconds: a bound on a hang. */
const patience = 90_000;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Host {
  /** A folder of the test, the same inside and outside. */
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "yapc-host-"));
  readonly #started: ChildProcess[] = [];
  #labs = 0;

  private constructor(private readonly holder: ChildProcess) {}

  /**
   * The machine, and a neighbour that lets us ask it from outside:
   *
   *     outer                                  the machine
   *     eth0 198.51.100.2 ═══ wan0 198.51.100.1, default route via outer
   */
  static async create(t: ExecutionContext): Promise<Host> {
    const script = `mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && echo ready && exec cat`;
    // It ends when its standard input does: with this process at the latest.
    const holder = spawn("unshare", ["--net", "--mount", "--propagation", "private", "sh", "-c", script], {
      env: environment(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.once("exit", (code) => reject(new Error(`unshare ended with ${code}`)));
    });
    const host = new Host(holder);
    t.teardown(() => host.#end());
    await host.sh(`
      sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
      ip netns add outer
      ip link add wan0 type veth peer name eth0 netns outer
      ip address add 198.51.100.1/24 dev wan0
      ip link set wan0 up
      ip -n outer address add 198.51.100.2/24 dev eth0
      ip -n outer link set eth0 up
      ip -n outer link set lo up
      ip route add default via 198.51.100.2`);
    return host;
  }

  /** A name for a lab that nothing else on this computer has: cgroups are the computer's. */
  lab(): string {
    this.#labs += 1;
    return `r${process.pid.toString(36)}-${this.#labs}`;
  }

  /** A topology file in the folder of the test. */
  file(name: string, topology: unknown): string {
    const file = path.join(this.folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(topology));
    return file;
  }

  /** Starts a program on the machine; the test ends it. */
  start(...argv: readonly string[]): ChildProcess {
    const child = this.#spawn(argv);
    this.#started.push(child);
    return child;
  }

  execute(...argv: readonly string[]): Promise<Outcome> {
    const child = this.#spawn(argv);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const limit = setTimeout(() => child.kill("SIGKILL"), patience);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        clearTimeout(limit);
        resolve({ code: code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]), stdout, stderr });
      });
    });
  }

  /** A shell line that has to succeed. @returns what it wrote */
  async sh(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.execute("sh", "-ec", line);
    if (code !== 0) throw new Error(`${line}: exit code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** yapc-net, as root on this machine. */
  yapc(...args: readonly string[]): Promise<Outcome> {
    return this.execute(...yapcCommand(...args));
  }

  /** As `yapc`; has to succeed. @returns its standard output */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.yapc(...args);
    if (code !== 0) throw new Error(`yapc-net ${args.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** What other people's tools say of the machine, without what counts and what ticks. */
  async state(): Promise<string> {
    const text = await this.sh(`
      ip -d link | sed -E 's/(timer|forward_delay_timer) +[0-9.]+//g'
      ip address | grep -v -e valid_lft -e 'inet6 fe80'
      ip route; ip -6 route | sed '/fe80/d'; ip rule; ip neigh show nud permanent
      nft list ruleset
      iptables-save; iptables-legacy-save
      sysctl -a 2>/dev/null | grep -E 'forward|accept_redirects|bridge-nf|route_localnet|rp_filter'
      ls /run /run/netns`);
    return text
      .replaceAll(/counter packets \d+ bytes \d+/g, "counter")
      .replaceAll(/\[\d+:\d+\]/g, "[]")
      .replaceAll(/^#.*\n/gm, "")
      .replace(/^yapc-net\n/m, ""); // the folder of all labs stays
  }

  /** GET from a namespace of `ip netns`, or from the machine. @returns undefined where nobody answers */
  async get(from: string | undefined, url: string): Promise<string | undefined> {
    const curl = ["curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", "2", url];
    const { code, stdout } = await this.execute(
      ...(from === undefined ? curl : ["ip", "netns", "exec", from, ...curl]),
    );
    return code === 0 ? stdout : undefined;
  }

  #spawn(argv: readonly string[]): ChildProcess {
    const pid = String(this.holder.pid ?? 0);
    return spawn("nsenter", ["--target", pid, "--net", "--mount", `--wd=${this.folder}`, ...argv], {
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async #end(): Promise<void> {
    const left = await this.execute("sh", "-c", "ls /run/yapc-net");
    for (const lab of left.stdout.split("\n").filter((name) => name !== "" && !name.endsWith(".lock")))
      await this.yapc("down", lab);
    for (const child of this.#started) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null)
        await new Promise((resolve) => child.once("exit", resolve));
    }
    this.holder.stdin?.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function yapcCommand(...args: readonly string[]): string[] {
  return [process.execPath, executable, ...args];
}

function environment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, YAPC_NET_LAB: __, DEBUG: ___, XDG_RUNTIME_DIR: ____, ...inherited } = process.env;
  return { ...inherited, NODE_ENV: "production", PATH: toolPath };
}

/** Whether a test of the machine itself can run; else it says why not and counts as skipped. */
export function canRun(t: ExecutionContext, ...programs: readonly string[]): boolean {
  if (process.getuid?.() === 0) return has(t, ...programs);
  skip(t, "needs root");
  return false;
}
