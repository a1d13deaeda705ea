/** A program in a real terminal: tmux on a private socket, of a fixed size. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

let sessions = 0;

export class Terminal implements Disposable {
  readonly #socket = `yapc-net-test-${process.pid}-${(sessions += 1)}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "yapc-net-tmux-"));

  /** @param command shell command; after it the terminal stays, with the exit status in sight */
  constructor(command: string, columns: number, rows: number, env: Readonly<Record<string, string>> = {}) {
    const settings = Object.entries({ TERM: "xterm-256color", PID_FILE: this.#pidFile, ...env })
      .map(([name, value]) => `${name}='${value}'`)
      .join(" ");
    const script = `env -u NO_COLOR ${settings} ${command}; echo "status=$?"; stty -a | grep -o -- '-\\?icanon'; exec sleep 60`;
    this.#tmux("-f", "/dev/null", "new-session", "-d", "-x", String(columns), "-y", String(rows), script);
  }

  get #pidFile(): string {
    return join(this.#folder, "pid");
  }

  keys(...keys: string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  type(text: string): void {
    this.#tmux("send-keys", "-l", text);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  signal(name: NodeJS.Signals): void {
    process.kill(Number(readFileSync(this.#pidFile, "utf8")), name);
  }

  /** What the terminal shows. @param colours with the SGR sequences that draw it */
  screen(colours = false): string {
    return this.#tmux("capture-pane", "-p", ...(colours ? ["-e"] : []));
  }

  /** Whether the alternate screen is on, and the cursor to be seen. */
  mode(): { readonly alternate: boolean; readonly cursor: boolean } {
    const [alternate, cursor] = this.#tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").trim().split(" ");
    return { alternate: alternate === "1", cursor: cursor === "1" };
  }

  /** Awaits that the screen shows this; throws with the screen when it does not within twenty seconds. */
  async shows(...patterns: readonly RegExp[]): Promise<string> {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const screen = this.screen();
      if (patterns.every((pattern) => pattern.test(screen))) return screen;
      await pause(50);
    }
    throw new Error(`the terminal never showed ${patterns.map(String).join(" and ")}:\n${this.screen()}`);
  }

  [Symbol.dispose](): void {
    spawnSync("tmux", ["-L", this.#socket, "kill-server"]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #tmux(...args: string[]): string {
    return execFileSync("tmux", ["-L", this.#socket, ...args], { encoding: "utf8" });
  }
}
