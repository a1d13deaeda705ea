/** Every key of the TUI. The help pane is made from this table, so that it cannot lie. */

export type Action =
  | "down"
  | "up"
  | "page-down"
  | "page-up"
  | "first"
  | "last"
  | "left"
  | "right"
  | "open"
  | "back"
  | "next-pane"
  | "previous-pane"
  | "follow"
  | "pause"
  | "filter"
  | "next-problem"
  | "previous-problem"
  | "mark"
  | "only-marked"
  | "ladder"
  | "hex"
  | "summary"
  | "export"
  | "help"
  | "quit"
  | "interrupt";

export interface Binding {
  /** As the terminal layer names them: the character itself, or `pagedown`, `C-c`. */
  readonly keys: readonly string[];
  readonly action: Action;
  /** As the help names them. */
  readonly shown: string;
  readonly help: string;
}

export const bindings: readonly Binding[] = [
  { keys: ["j", "down"], action: "down", shown: "j ↓", help: "next packet, hop or field" },
  { keys: ["k", "up"], action: "up", shown: "k ↑", help: "previous one" },
  { keys: ["pagedown", "C-f"], action: "page-down", shown: "PgDn", help: "a page down" },
  { keys: ["pageup", "C-b"], action: "page-up", shown: "PgUp", help: "a page up" },
  { keys: ["g", "home"], action: "first", shown: "g Home", help: "first packet" },
  { keys: ["G", "end"], action: "last", shown: "G End", help: "last packet" },
  { keys: ["left", "["], action: "left", shown: "← [", help: "previous hop of the packet; ladder: scroll" },
  { keys: ["right", "]"], action: "right", shown: "→ ]", help: "next hop of the packet; ladder: scroll" },
  { keys: ["enter"], action: "open", shown: "Enter", help: "into the fields of the packet" },
  { keys: ["escape"], action: "back", shown: "Esc", help: "back to the packets" },
  { keys: ["tab"], action: "next-pane", shown: "Tab", help: "next pane" },
  { keys: ["S-tab"], action: "previous-pane", shown: "S-Tab", help: "previous pane" },
  { keys: ["F"], action: "follow", shown: "F", help: "follow new packets" },
  { keys: [" ", "p"], action: "pause", shown: "Space p", help: "hold the list still; nothing is lost" },
  {
    keys: ["/"],
    action: "filter",
    shown: "/",
    help: "filter as you type: port 80, host web, verdict dropped",
  },
  { keys: ["n"], action: "next-problem", shown: "n", help: "next packet that did not arrive" },
  { keys: ["N"], action: "previous-problem", shown: "N", help: "previous one" },
  { keys: ["m"], action: "mark", shown: "m", help: "mark the packet" },
  { keys: ["M"], action: "only-marked", shown: "M", help: "show only marked packets" },
  { keys: ["l"], action: "ladder", shown: "l", help: "ladder: a column for each hop" },
  { keys: ["x"], action: "hex", shown: "x", help: "bytes in hexadecimal" },
  { keys: ["s"], action: "summary", shown: "s", help: "summary: exchanges, time on each gap, hops" },
  { keys: ["e"], action: "export", shown: "e", help: "export the packets shown" },
  { keys: ["?", "f1"], action: "help", shown: "?", help: "this help" },
  { keys: ["q"], action: "quit", shown: "q", help: "quit" },
  { keys: ["C-c"], action: "interrupt", shown: "Ctrl-C", help: "end the trace" },
];

const byKey = new Map(bindings.flatMap(({ keys, action }) => keys.map((key) => [key, action] as const)));

export function actionFor(key: string): Action | undefined {
  return byKey.get(key);
}
