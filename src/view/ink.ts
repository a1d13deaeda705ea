/**
 * Colours by state, not by protocol. Only the sixteen basic colours and attributes are used, so that the reader's own
 * palette decides; with colours off every view reads the same.
 */
export type Tone = "plain" | "dim" | "strong" | "accent" | "good" | "warn" | "bad" | "odd";

/** Paints text in a tone, or leaves it as it is. */
export type Ink = (tone: Tone, text: string) => string;

/** SGR parameters (ECMA-48 8.3.117): what switches a tone on, and what switches exactly that off again. */
const sgr: Readonly<Record<Exclude<Tone, "plain">, readonly [on: string, off: string]>> = {
  dim: ["2", "22"],
  strong: ["1", "22"],
  accent: ["36", "39"],
  good: ["32", "39"],
  warn: ["33", "39"],
  bad: ["31", "39"],
  odd: ["35", "39"],
};

export const noInk: Ink = (_tone, text) => text;

/** Sets a text in SGR parameters. */
function set(text: string, [on, off]: readonly [on: string, off: string]): string {
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

const ansiInk: Ink = (tone, text) => (tone === "plain" || text === "" ? text : set(text, sgr[tone]));

export function inkFor(colours: boolean): Ink {
  return colours ? ansiInk : noInk;
}

/** Inside the TUI blessed draws, which knows no faint text: bright black is grey in every palette of sixteen colours. */
const screenInk: Ink = (tone, text) => (tone === "dim" && text !== "" ? set(text, ["90", "39"]) : ansiInk(tone, text));

/** For what the TUI draws. Bold is no colour: it stays with NO_COLOR. */
export function tuiInk(colours: boolean): Ink {
  return colours ? screenInk : (tone, text) => (tone === "strong" ? screenInk(tone, text) : text);
}

/** Reverse video, for the selected row and the cursor. The text must hold no SGR sequences: blessed ends all of them at once. */
export function inverse(text: string): string {
  return set(text, ["7", "27"]);
}

/** Whether a stream shall get colours: a terminal that is not dumb, and nobody said no (https://no-color.org). */
export function wantsColours(env: Readonly<Record<string, string | undefined>>, isTTY: boolean): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  const force = env.FORCE_COLOR;
  if (force !== undefined && force !== "") return force !== "0";
  return isTTY && env.TERM !== "dumb";
}
