/** The line that tells a terminal how far a command is. */
import test from "ava";
import { Progress } from "../../commands/base/progress.js";

class Terminal {
  written = "";
  columns = 20;
  constructor(readonly isTTY: boolean) {}
  write(text: string): boolean {
    this.written += text;
    return true;
  }
}

test("nothing in the first second; then the line, written over itself, and gone when something else is written", (t) => {
  const terminal = new Terminal(true);
  let now = 5000;
  using progress = new Progress(terminal, () => now);
  progress.show("1 of 3");
  t.is(terminal.written, "", "a command that is quick says nothing");
  now += 1000;
  progress.show("2 of 3");
  t.is(terminal.written, "\r\x1b[K2 of 3");
  progress.show("3 of 3");
  t.is(terminal.written, "\r\x1b[K2 of 3", "not for every step");
  now += 100;
  progress.show("a line that the terminal would fold");
  t.is(terminal.written, "\r\x1b[K2 of 3\r\x1b[Ka line that the ter");
  terminal.written = "";
  progress.clear();
  progress.clear();
  t.is(terminal.written, "\r\x1b[K");
});

test("where standard error is a file or a pipe, nothing is ever written", (t) => {
  const terminal = new Terminal(false);
  let now = 0;
  using progress = new Progress(terminal, () => now);
  now += 5000;
  progress.show("1 of 3");
  progress.clear();
  t.is(terminal.written, "");
});
