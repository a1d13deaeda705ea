/** The command of `trace -- CMD`: run in a node, or here, its output kept apart from ours. */
import { spawn } from "node:child_process";
import { constants as os } from "node:os";
import net from "node:net";
import type { ExitStatus, NodeLine } from "../init/api.js";
import { close, pipe2 } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import type { CommandPlace } from "./exec.js";
import { systemReason } from "./system-reason.js";

/** `stderr`: both its streams go to our standard error. Or pieces of text, for a pane of the TUI. */
export type CommandOutput = "stderr" | ((stream: "stdout" | "stderr", text: string) => void);

export interface RunningCommand {
  readonly exit: Promise<ExitStatus>;
  signal(name: NodeJS.Signals): void;
}

export function startCommand(
  line: NodeLine,
  place: CommandPlace | undefined,
  argv: readonly string[],
  output: CommandOutput,
): Promise<RunningCommand> {
  return place === undefined ? startHere(argv, output) : startInNode(line, place, argv, output);
}

async function startInNode(
  line: NodeLine,
  place: CommandPlace,
  argv: readonly string[],
  output: CommandOutput,
): Promise<RunningCommand> {
  if (output === "stderr") return line.spawn({ ...place, argv, stdio: [0, 2, 2], tied: true });
  const [stdoutRead, stdoutWrite] = pipe2();
  const [stderrRead, stderrWrite] = pipe2();
  try {
    const child = await line.spawn({ ...place, argv, stdio: [0, stdoutWrite, stderrWrite], tied: true });
    forward(stdoutRead, (text) => output("stdout", text));
    forward(stderrRead, (text) => output("stderr", text));
    return child;
  } catch (error) {
    close(stdoutRead);
    close(stderrRead);
    throw error;
  } finally {
    close(stdoutWrite);
    close(stderrWrite);
  }
}

function forward(descriptor: number, onText: (text: string) => void): void {
  const stream = new net.Socket({ fd: descriptor, readable: true, writable: false });
  stream.setEncoding("utf8");
  stream.on("data", onText);
  stream.on("error", () => stream.destroy());
}

function startHere([file = "", ...args]: readonly string[], output: CommandOutput): Promise<RunningCommand> {
  const child = spawn(file, args, { stdio: output === "stderr" ? ["inherit", 2, 2] : ["inherit", "pipe", "pipe"] });
  if (output !== "stderr") {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => output("stdout", text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => output("stderr", text));
  }
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new Failure("machine", `cannot run ${file}: ${systemReason(error)}`, {
          ...(error.code === "ENOENT" ? { hint: "the program is not in your PATH" } : {}),
          code: error.code ?? "EIO",
          status: error.code === "ENOENT" ? 127 : 126,
          cause: error,
        }),
      ),
    );
    const exit = new Promise<ExitStatus>((settle) => {
      child.once("close", (code, signal) => settle(code === null ? { signal: signal ?? "SIGKILL" } : { code }));
    });
    child.once("spawn", () => resolve({ exit, signal: (name) => void child.kill(os.signals[name]) }));
  });
}
