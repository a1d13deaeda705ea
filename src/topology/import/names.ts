/** Names of a machine's nodes as a topology file can have them. */

/** `a-z 0-9 - _`, at most 63, each once, in the order of the nodes. */
export function nodeNames(names: readonly string[]): Map<string, string> {
  const taken = new Set<string>();
  return new Map(names.map((name) => [name, freeName(plain(name) || "node", taken)]));
}

function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, "-")
    .replaceAll(/^[-_]+|[-_]+$/g, "")
    .slice(0, 60)
    .replace(/[-_]+$/, "");
}

/** The name, or with a number behind it; takes it. */
export function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}-${number}`;
  taken.add(name);
  return name;
}

/** A name for a lab from any text. */
export function labName(text: string): string {
  return (
    plain(text)
      .slice(0, 40)
      .replace(/[-_]+$/, "") || "imported"
  );
}
