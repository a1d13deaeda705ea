/** Processes of a lab outside its PID namespace: found by the PID file that their command line names. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { type JournalContents, madeOf } from "./journal.js";

export interface MarkedProcess {
  readonly pid: number;
  readonly program: string;
  readonly pidFile: string;
}

export function processesOf(journal: JournalContents | undefined): MarkedProcess[] {
  const marks = madeOf(journal?.made ?? [], "process");
  if (marks.length === 0) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const argv = commandLine(name);
      return marks
        .filter(({ program, pidFile }) => basename(argv[0] ?? "").startsWith(program) && argv.includes(pidFile))
        .map(({ program, pidFile }) => ({ pid: Number(name), program, pidFile }));
    });
}

export function processLine({ pid, program }: MarkedProcess): string {
  return `process ${pid} (${program})`;
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return []; // ended meanwhile
  }
}

/** Milliseconds that a killed process may take to end. */
const patience = 2000;

/** Ends it and waits for its end. It holds nothing that it would have to put in order: what it serves is gone. */
export function endProcess({ pid, pidFile }: MarkedProcess): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (const deadline = Date.now() + patience; commandLine(String(pid)).includes(pidFile) && Date.now() < deadline;)
    Atomics.wait(idle, 0, 0, 2);
  rmSync(pidFile, { force: true });
}
