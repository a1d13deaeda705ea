/** The terminal: blessed for input and for output that changes only what differs. Nothing else here knows blessed. */
import { createRequire } from "node:module";
import type * as Blessed from "blessed";

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  draw(lines: readonly string[]): void;
  /** Leaves the alternate screen, shows the cursor, restores the input mode. May be called twice. */
  close(): void;
}

export interface TerminalListener {
  /** The character itself, or a name: `pagedown`, `S-tab`, `C-c`. */
  key(key: string): void;
  resized(): void;
  /** The terminal is gone. */
  lost(): void;
}

export function openTerminal(title: string, listener: TerminalListener): Terminal {
  // Without it blessed draws lines with the terminal's alternate character set, which copies as letters.
  process.env.NCURSES_NO_UTF8_ACS = "1";
  // CommonJS, loaded here and not at the top: 50 ms that only the TUI shall pay.
  const blessed = createRequire(import.meta.url)("blessed") as typeof Blessed;
  const screen = blessed.screen({
    // blessed reads the terminfo of few terminals. All that matter understand xterm's sequences.
    terminal: "xterm-256color",
    fullUnicode: true,
    // blessed writes `?` for every arrow where no locale is set, as in a container or after `su -`. Terminals of today
    // read UTF-8 all the same, and the table and the ladder rely on it too.
    forceUnicode: true,
    smartCSR: false,
    autoPadding: false,
    title,
    warnings: false,
    // Milliseconds after the last change of size.
    resizeTimeout: 50,
  });
  const box = blessed.box({ top: 0, left: 0, width: "100%", height: "100%", wrap: false, tags: false });
  screen.append(box);
  screen.program.hideCursor();
  screen.on("keypress", (character: string | undefined, key: Blessed.Widgets.Events.IKeyEventArg) => {
    // The return key comes twice: as itself and as `enter`.
    if (key.name === "return") return;
    listener.key(nameOf(character, key));
  });
  screen.on("resize", () => {
    screen.alloc();
    listener.resized();
  });
  const lost = (): void => listener.lost();
  process.stdout.on("error", lost);
  process.stdin.on("end", lost);
  let open = true;
  return {
    get columns() {
      return Number(screen.width);
    },
    get rows() {
      return Number(screen.height);
    },
    draw(lines) {
      if (!open) return;
      box.setContent(lines.join("\n"));
      screen.render();
    },
    close() {
      if (!open) return;
      open = false;
      process.stdin.off("end", lost);
      screen.destroy();
      process.stdin.pause();
      process.stdout.off("error", lost);
    },
  };
}

/** blessed gives letters as `name` with modifiers apart, and other characters without a name. */
function nameOf(character: string | undefined, key: Blessed.Widgets.Events.IKeyEventArg): string {
  const printable = character !== undefined && character >= " " && character !== "\u007f" && !key.ctrl && !key.meta;
  if (printable && !character.startsWith("\u001b")) return character;
  return key.full;
}
