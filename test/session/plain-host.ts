/**
 * A machine of a test's own: a network and a mount namespace with an empty /run, made by a script. A shell holds them; it
 * ends, and with it everything, when its standard input is closed: so also when the test dies.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { toolPath } from "../tool-path.js";
import { HeldHost } from "./held-host.js";

export class PlainHost extends HeldHost implements AsyncDisposable {
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
      env: { ...process.env, PATH: toolPath },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let said = "";
    shell.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    for await (const line of createInterface(shell.stdout)) if (line === "ready") return new PlainHost(shell);
    throw new Error(`the machine could not be made: ${said}`);
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
