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

const ansiInk: Ink = (tone, text) => {
  if (tone === "plain" || text === "") return text;
  const [on, off] = sgr[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
};

export function inkFor(colours: boolean): Ink {
  return colours ? ansiInk : noInk;
}

/** Whether a stream shall get colours: a terminal that is not dumb, and nobody said no (https://no-color.org). */
export function wantsColours(env: Readonly<Record<string, string | undefined>>, isTTY: boolean): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  const force = env.FORCE_COLOR;
  if (force !== undefined && force !== "") return force !== "0";
  return isTTY && env.TERM !== "dumb";
}
