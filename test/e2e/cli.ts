/** The built program, driven as a person drives it: another process, its streams, its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ExecutionContext } from "ava";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";

export const project = path.resolve(import.meta.dirname, "../../..");
export const executable = path.join(project, "bin/yapc-net.js");
export const isRoot = process.getuid?.() === 0;

/** The longest that any one command of a test may take, milliseconds: a bound on a hang, not a measure of speed. */
const patience = 90_000;

export interface Outcome {
  /** 128 + signal number where a signal ended it, as a shell has it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from start to end. */
  readonly took: number;
}

export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Outcome>;
  /** What it has written so far, both streams. */
  readonly output: () => string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Programs and arguments before ours: `strace -f …`. */
  readonly under?: readonly string[];
  /** Options of node itself. */
  readonly node?: readonly string[];
  readonly input?: string;
  /** Another copy of the program than the project's. */
  readonly executable?: string;
  /** Somebody else's program in place of ours. */
  readonly program?: string;
}

type Teardown = Pick<ExecutionContext, "teardown">;

let labs = 0;

/**
 * A place of its own for a test: its state folder (an ordinary user's; root has but one), a working folder, and names
 * of labs that nobody else has. What it started is ended with it, by name.
 */
export class Cli {
  /** An empty folder, gone with the test. */
  readonly folder: string;
  readonly #names: string[] = [];

  constructor() {
    this.folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "yapc-e2e-")));
  }

  /** A name for a lab; the lab is ended by `end`. */
  lab(stem = "lab"): string {
    labs += 1;
    const name = `t${process.pid.toString(36)}-${labs}-${stem}`.slice(0, 40);
    this.#names.push(name);
    return name;
  }

  /** Where labs of this place keep their state. */
  get stateRoot(): string {
    return isRoot ? "/run/yapc-net" : path.join(this.folder, "yapc-net");
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    const ours = [process.execPath, ...(options.node ?? []), options.executable ?? executable];
    const argv = [...(options.under ?? []), ...(options.program === undefined ? ours : [options.program]), ...args];
    const began = performance.now();
    const { NODE_EXTRA_CA_CERTS: _, YAPC_NET_LAB: __, DEBUG: ___, ...inherited } = process.env;
    const child = spawn(argv[0] ?? "", argv.slice(1), {
      cwd: options.cwd ?? this.folder,
      env: {
        ...inherited,
        PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`,
        NODE_ENV: "production",
        XDG_RUNTIME_DIR: this.folder,
        ...options.environment,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.on("error", () => undefined); // it may end before it reads
    child.stdin.end(options.input ?? "");
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const limit = setTimeout(() => child.kill("SIGKILL"), patience);
    const ended = new Promise<Outcome>((resolve, reject) => {
      child.once("error", reject);
      // `exit`, not `close`: a lab's init may outlive it.
      child.once("close", (code, signal) => {
        clearTimeout(limit);
        const number = signal === null ? 0 : os.constants.signals[signal];
        resolve({ code: code ?? 128 + number, stdout, stderr, took: performance.now() - began });
      });
    });
    return { child, pid: child.pid ?? 0, ended, output: () => stdout + stderr };
  }

  run(...args: string[]): Promise<Outcome> {
    return this.start(args).ended;
  }

  /** Runs it and demands success. @returns what it wrote to stdout */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`yapc-net ${args.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async json<T = unknown>(...args: string[]): Promise<T> {
    // The test that asks knows what the command prints.
    return JSON.parse(await this.ok(...args, "--json")) as T;
  }

  /** Ends every lab that was named here, alive or not, and removes the folder. */
  async end(): Promise<void> {
    for (const name of this.#names) await this.run("down", name);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A place that is gone when the test is. */
export function cli(t: Teardown): Cli {
  const place = new Cli();
  t.teardown(() => place.end());
  return place;
}

export function parseEvents(jsonl: string): TraceEvent[] {
  return jsonl
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as TraceEvent); // written by `trace --json`: its documented shape
}

export function packetsOf(events: readonly TraceEvent[]): PacketEvent[] {
  return events.filter((event) => event.type === "packet").toSorted((a, b) => a.id - b.id);
}

export interface ProgramOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs somebody else's tool. @throws where it is not there */
export function program(file: string, ...args: readonly string[]): Promise<ProgramOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 255, stdout, stderr }));
  });
}

/** Awaits a condition, asked for every 20 ms. @returns false when its time is up */
export async function until(condition: () => boolean | Promise<boolean>, seconds = 30): Promise<boolean> {
  for (let turns = seconds * 50; turns > 0; turns--) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
