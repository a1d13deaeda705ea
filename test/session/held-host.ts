/** A network and a mount namespace that a shell holds: how commands are run in them. Imports no AVA: a bench has such a host, too. */
import type { ChildProcess } from "node:child_process";
import { program, type ProgramOutcome } from "../e2e/cli.js";
import { toolPath } from "../tool-path.js";

export class HeldHost {
  protected constructor(protected readonly shell: ChildProcess) {}

  get pid(): number {
    return this.shell.pid ?? 0;
  }

  /** What to put before a command so that it runs on this host. */
  get under(): readonly string[] {
    return ["nsenter", "-t", String(this.pid), "-n", "-m"];
  }

  run(...argv: readonly string[]): Promise<ProgramOutcome> {
    const [file = "", ...rest] = [...this.under, "env", `PATH=${toolPath}`, ...argv];
    return program(file, ...rest);
  }

  /** @returns what it wrote */
  async ok(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout.trim();
  }
}
