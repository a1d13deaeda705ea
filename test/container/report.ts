/** What a probe reports (probe.c), made comparable, and the differences that docs/security.md lists. */
import { readlinkSync } from "node:fs";

/** Key to value; keys that come several times have their values in order. */
export type Report = ReadonlyMap<string, string>;

export function readReport(text: string): Report {
  const report = new Map<string, string>();
  for (const line of text.split("\n").filter(Boolean)) {
    const [key = "", value = ""] = line.split("\t");
    const [name, plain] = comparable(key, value);
    const before = report.get(name);
    report.set(name, before === undefined ? plain : `${before}; ${plain}`);
  }
  return report;
}

/** Without what is another in each run: inodes, numbers of mounts, names of folders. */
function comparable(key: string, value: string): [key: string, value: string] {
  if (key.startsWith("namespace ")) {
    const machine = readlinkSync(`/proc/self/ns/${key.slice("namespace ".length)}`);
    return [key, value === machine ? "the machine's" : "its own"];
  }
  if (key === "cgroup") return [key, value.replace(/^\d+:/, "")];
  if (key === "mount") return mount(value);
  return [key, value];
}

/** A line of mountinfo (proc_pid_mountinfo(5)): where, then type, flags and options that say what can be done there. */
function mount(line: string): [key: string, value: string] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , , at = "", flags = "", ...tags] = before.split(" ");
  const [type = "", , options = ""] = after.split(" ");
  const telling = options.split(",").filter((option) => /^(ro|mode|size|ptmxmode)(=|$)/.test(option));
  const sorted = (words: readonly string[]) => words.toSorted().join(",");
  return [`mount ${at}`, [type, sorted(flags.split(",")), sorted(telling), ...tags].filter(Boolean).join(" ")];
}

export interface Difference {
  readonly key: string;
  readonly ours: string;
  readonly theirs: string;
}

const absent = "–";

export function differences(ours: Report, theirs: Report): Difference[] {
  return [...new Set([...ours.keys(), ...theirs.keys()])]
    .map((key) => ({ key, ours: ours.get(key) ?? absent, theirs: theirs.get(key) ?? absent }))
    .filter((each) => each.ours !== each.theirs)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

export interface ListedDifference {
  /** A key, with `{a,b}` for any of some; `*` at its end: all that begin so. */
  readonly pattern: string;
  readonly as: "root" | "user" | "both";
  /** What the report of ours holds then. */
  readonly ours: string;
  /** Where the machine, or the runc on it, decides whether there is a difference. */
  readonly sometimes: boolean;
}

/** The rows of docs/security.md below its mark: `| \`key\` | as | \`ours\` | …`; `†` behind the key: sometimes. */
export function listedDifferences(text: string): ListedDifference[] {
  const [, table = ""] = text.split("<!-- differences -->");
  return [...table.matchAll(/^\| `([^`]+)`( †)? \| (root|user|both) \| `([^`]*)` \|/gm)].map(
    ([, pattern = "", mark, as, ours = ""]) => ({
      pattern,
      as: as as ListedDifference["as"],
      ours,
      sometimes: mark !== undefined,
    }),
  );
}

export function isListed({ key, ours }: Difference, row: ListedDifference): boolean {
  const choices = row.pattern
    .replace(/[.+?^$()|[\]\\]/g, "\\$&")
    .replace(/\*$/, ".*")
    .replace(/\{([^}]*)\}/g, (_, list: string) => `(?:${list.replaceAll(",", "|")})`);
  return new RegExp(`^${choices}$`).test(key) && ours.includes(row.ours);
}
