/** The palette inside the TUI. blessed knows no faint text, and switching bold or inverse off switches both off. */
import { noInk, type Ink, type Tone } from "../ink.js";

const codes: Readonly<Record<Exclude<Tone, "plain">, readonly [on: string, off: string]>> = {
  // Bright black: grey in every palette of sixteen colours.
  dim: ["90", "39"],
  strong: ["1", "22"],
  accent: ["36", "39"],
  good: ["32", "39"],
  warn: ["33", "39"],
  bad: ["31", "39"],
  odd: ["35", "39"],
};

const colourInk: Ink = (tone, text) => {
  if (tone === "plain" || text === "") return text;
  const [on, off] = codes[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
};

/** Bold is no colour: it stays with NO_COLOR. */
const plainInk: Ink = (tone, text) => (tone === "strong" ? colourInk(tone, text) : noInk(tone, text));

export function tuiInk(colours: boolean): Ink {
  return colours ? colourInk : plainInk;
}

/** Reverse video, for the selected row and the cursor. The text must hold no SGR sequences. */
export function inverse(text: string): string {
  return `\u001b[7m${text}\u001b[27m`;
}
