import { spawn } from "node:child_process";
import type { ExitStatus, InitLine, InitProcess } from "../../src/init/api.js";

/** An init whose tcpdump is a script of ours. */
export function scripted(script: string): InitLine {
  const line: Pick<InitLine, "spawn"> = {
    spawn({ stdio }) {
      const child = spawn("sh", ["-c", script], { stdio: stdio === "pty" ? "ignore" : [...stdio] });
      const exit = new Promise<ExitStatus>((resolve) =>
        child.once("exit", (code, signal) => resolve(code === null ? { signal: signal ?? "SIGKILL" } : { code })),
      );
      const process: InitProcess = {
        id: 1,
        pid: child.pid ?? 0,
        pty: undefined,
        exit,
        signal: (name) => void child.kill(name),
        resize: () => undefined,
      };
      return Promise.resolve(process);
    },
  };
  return line as InitLine; // a tap asks for nothing else
}
