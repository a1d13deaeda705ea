/** Where the flags of a command line end and the command that it runs begins. */

interface KnownFlag {
  /** As oclif has it. */
  readonly type: "boolean" | "option";
  readonly char?: string;
}

/**
 * The words of the command, as they were typed: what follows `--`, or begins with the first word that is neither a flag
 * nor the value of one.
 * @param words takes them out of it
 */
export function takeWords(words: string[], flags: Readonly<Record<string, KnownFlag>>): string[] {
  let at = 0;
  while (at < words.length) {
    const word = words[at] ?? "";
    if (word === "--") return words.splice(at).slice(1);
    if (!word.startsWith("-") || word === "-") return words.splice(at);
    at += takesNext(word, flags) ? 2 : 1;
  }
  return [];
}

function takesNext(word: string, flags: Readonly<Record<string, KnownFlag>>): boolean {
  if (word.startsWith("--")) return !word.includes("=") && flags[word.slice(2)]?.type === "option";
  const flag = Object.values(flags).find(({ char }) => char === word[1]);
  return word.length === 2 && flag?.type === "option";
}
