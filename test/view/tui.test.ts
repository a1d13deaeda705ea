/** The TUI in a real terminal, driven by keys. */
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { Terminal } from "./tmux.js";
import { has } from "../tools.js";

const program = `${process.execPath} ${fileURLToPath(new URL("tui-fixture.js", import.meta.url))}`;

/** `using` makes sure that no tmux stays, whatever happens in the test. */
function story(name: string, act: (t: ExecutionContext) => Promise<void>): void {
  test.serial(name, async (t) => {
    if (has(t, "tmux")) await act(t);
  });
}

story("a saved trace: list, path and fields at once; q leaves the summary and the terminal as it was", async (t) => {
  using terminal = new Terminal(`${program} saved`, 120, 36);
  const first = await terminal.shows(/14 packets/, /▶ +1 /);
  t.regex(first, /→ tcp SYN +●●●●● +10\.8 µs +delivered/);
  t.regex(first, /●●✗·· +3\.3 µs +dropped +nft rule 'no 81'/);
  t.true(terminal.mode().alternate);

  terminal.keys("j");
  const path = await terminal.shows(/▶ +2 /);
  t.regex(path, /│ client:eth0 │────────▶│ host:eth0 │──DNAT──▶│ host:yapc0 │────────▶│ host:vethweb │/);
  t.regex(path, /\+3\.0 µs .* \+4\.1 µs .* \+1\.9 µs .* \+1\.8 µs/);
  t.regex(path, /host:eth0 ▶ host:yapc0: DNAT 203\.0\.113\.1:8080 -> 10\.0\.0\.10:80, ttl 64 -> 63/);
  t.regex(path, /source: 02:00:00:00:00:02 +│ 0020 +71 01 a8 ca/);

  terminal.keys("n");
  const dead = await terminal.shows(/▶ +11 /);
  t.regex(dead, /│ host:eth0 │──✗ +┊ host:yapc0 ┊/);
  t.regex(dead, /✗ dropped between host:eth0 and host:yapc0 by nft rule 'no 81'/);
  t.regex(dead, /proof, nft-trace: rule handle 7/);

  terminal.keys("q");
  const left = await terminal.shows(/status=\d/, /icanon/);
  t.regex(left, /14 packets in 4 exchanges: 10 delivered, 3 dropped, 1 unknown\./);
  t.regex(left, /ended by quit\nstatus=0\nicanon/);
  t.deepEqual(terminal.mode(), { alternate: false, cursor: true });
});

story("live: a provisional row closes, the command's output has a pane, pause loses nothing", async (t) => {
  using terminal = new Terminal(`${program} live`, 110, 34);
  t.regex(await terminal.shows(/2 packets/), /▶ +2 .*●●··· +3\.0 µs +…/);
  await terminal.shows(/── output ─[^]*hello from/);
  terminal.keys("Space");
  await terminal.shows(/PAUSED, 0 waiting/);
  terminal.signal("SIGUSR2");
  const held = await terminal.shows(/PAUSED, 12 waiting/, /hello from curl/);
  t.regex(held, /▶ +2 .*●●●●● +10\.8 µs +delivered/, "the row in sight closes");
  t.notRegex(held, /\n +3 +0\.071/);
  terminal.keys("p");
  const all = await terminal.shows(/▶ +14 /);
  t.regex(all, /curl ended with status 0/);
  t.notRegex(all, /PAUSED/);
});

story("the filter works as it is typed, and says what is wrong with it", async (t) => {
  using terminal = new Terminal(`${program} saved`, 100, 30);
  await terminal.shows(/14 packets/);
  terminal.type("/verdict dro");
  await terminal.shows(/a verdict is delivered, refused, dropped or unknown/);
  terminal.type("pped");
  const dropped = await terminal.shows(/filter verdict dropped, 3 of 14 shown/);
  t.notRegex(dropped, /SYN ACK/);
  terminal.keys("Enter");
  terminal.keys("m", "Down", "m", "M");
  const marked = await terminal.shows(/only marked, 2 of 14 shown/);
  t.regex(marked, / \* +11 /);
  terminal.keys("e", "Enter");
  await terminal.shows(/wrote 2 packets to trace\.pcapng/);
  terminal.keys("M", "Escape");
  await terminal.shows(/ 10 [^]*▶\* +12 /);
});

story("the ladder scrolls sideways; the help lists every key; a resize redraws", async (t) => {
  using terminal = new Terminal(`${program} saved`, 80, 24);
  await terminal.shows(/14 packets/);
  terminal.keys("l");
  t.regex(await terminal.shows(/ladder, µs between hops/), / {2}client +host +host/);
  terminal.keys("Right", "Right", "Right");
  t.regex(await terminal.shows(/vethweb +eth0/), /─▶●───\+1\.9────▶●───\+1\.8────▶●/);
  terminal.resize(120, 36);
  await terminal.shows(/client +host +host +host +web/);
  terminal.keys("Escape");
  await terminal.shows(/── detail ─/);
  terminal.keys("?");
  const help = await terminal.shows(/next packet that did not arrive/);
  for (const words of ["follow new packets", "hold the list still", "verdict {3}delivered, refused", "Ctrl-C"]) {
    t.regex(help, new RegExp(words));
  }
  terminal.resize(40, 10);
  await terminal.shows(/60x15 are\s+needed/);
  terminal.resize(60, 15);
  await terminal.shows(/══ keys/);
});

story("the fields move with their bytes, hop by hop", async (t) => {
  using terminal = new Terminal(`${program} saved`, 80, 24);
  await terminal.shows(/14 packets/);
  terminal.keys("j", "Right", "Right");
  t.notRegex(await terminal.shows(/at host:yapc0, 74 bytes/), /00 3c 1c 46/);
  terminal.keys("x");
  await terminal.shows(/0010 {2}00 3c 1c 46 40 00 40 06/);
  terminal.keys("x", "Tab", "Tab", "j", "j");
  await terminal.shows(/══ detail ══[^]*source: 02:00:00:00:00:02/);
});

const exits = [
  { name: "Ctrl-C", act: (one: Terminal) => one.keys("C-c"), end: "interrupt", status: 130 },
  { name: "SIGINT", act: (one: Terminal) => one.signal("SIGINT"), end: "interrupt", status: 130 },
  { name: "SIGTERM", act: (one: Terminal) => one.signal("SIGTERM"), end: "terminate", status: 143 },
  { name: "SIGHUP", act: (one: Terminal) => one.signal("SIGHUP"), end: "terminate", status: 143 },
] as const;

for (const { name, act, end, status } of exits) {
  story(`${name} restores the terminal`, async (t) => {
    using terminal = new Terminal(`${program} live`, 80, 24);
    await terminal.shows(/2 packets/);
    act(terminal);
    t.regex(await terminal.shows(/status=\d/, /icanon/), new RegExp(`ended by ${end}\\nstatus=${status}\\nicanon`));
    t.deepEqual(terminal.mode(), { alternate: false, cursor: true });
  });
}

story("a bug in the program restores the terminal before it is told", async (t) => {
  using terminal = new Terminal(`${program} crash`, 100, 30);
  await terminal.shows(/waiting for the first packet/);
  terminal.signal("SIGUSR2");
  t.regex(await terminal.shows(/status=\d/, /icanon/), /Error: a bug, on purpose[^]*status=1\nicanon/);
  t.deepEqual(terminal.mode(), { alternate: false, cursor: true });
});

story("thirty thousand packets: the last are there, the oldest are counted", async (t) => {
  using terminal = new Terminal(`${program} flood 30000`, 100, 30);
  const screen = await terminal.shows(/30000 packets · oldest 10000 gone/, /▶ +30000 /);
  t.regex(screen, /FOLLOW/);
  terminal.keys("g");
  await terminal.shows(/▶ +10001 /, /LIVE/);
});

story("NO_COLOR: no colour is sent, the selection still shows", async (t) => {
  using terminal = new Terminal(`${program} saved`, 80, 24, { NO_COLOR: "1" });
  const screen = await terminal.shows(/▶ +1 /);
  t.regex(screen, /══ packets ══/);
  // eslint-disable-next-line no-control-regex -- SGR sequences begin with ESC
  const colour = /\u001b\[[\d;]*\b(?:3[0-7]|9[0-7])m/;
  t.notRegex(terminal.screen(true), colour);
  using coloured = new Terminal(`${program} saved`, 80, 24);
  await coloured.shows(/▶ +1 /);
  t.regex(coloured.screen(true), colour);
});

story("no terminal, a dumb one: refused with the reason", async (t) => {
  using terminal = new Terminal(`${program} saved`, 80, 24, { TERM: "dumb" });
  t.regex(await terminal.shows(/status=/), /no TUI: TERM is dumb[^]*status=3/);
  using piped = new Terminal(`${program} saved | cat`, 80, 24);
  t.regex(await piped.shows(/status=/), /no TUI: standard output is not a terminal/);
});
