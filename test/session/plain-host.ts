/**
 * A machine of a test's own: a network and a mount namespace with an empty /run, made by a script. A shell holds them; it
 * ends, and with it everything, when its standard input is closed: so also when the test dies.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { program, type ProgramOutcome } from "../e2e/cli.js";

export class PlainHost implements AsyncDisposable {
  private constructor(private readonly shell: ChildProcess) {}

  /** @param made shell commands that make what is on it @param ends those that take it down */
  static async start(made: string, ends = ""): Promise<PlainHost> {
    const script = `set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
${made}
echo ready
cat >/dev/null
${ends}`;
    const shell = spawn("unshare", ["-nm", "--propagation", "private", "sh", "-c", script], {
      env: { ...process.env, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let said = "";
    shell.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    for await (const line of createInterface(shell.stdout)) if (line === "ready") return new PlainHost(shell);
    throw new Error(`the machine could not be made: ${said}`);
  }

  get pid(): number {
    return this.shell.pid ?? 0;
  }

  /** What to put before a command so that it runs on this host. */
  get under(): readonly string[] {
    return ["nsenter", "-t", String(this.pid), "-n", "-m"];
  }

  run(...argv: readonly string[]): Promise<ProgramOutcome> {
    const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const [file = "", ...rest] = [...this.under, "env", PATH, ...argv];
    return program(file, ...rest);
  }

  /** @returns what it wrote */
  async ok(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.shell.once("close", resolve));
    if (this.shell.exitCode !== null) return;
    this.shell.stdin?.end();
    const limit = setTimeout(() => this.shell.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(limit);
  }
}
