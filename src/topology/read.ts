/** The way in: text of a topology file to a resolved topology, or to what is wrong with it. */
import type { FileProbe } from "./container.js";
import { Document } from "./document.js";
import { checkForm } from "./form/check.js";
import { type Problem, sortProblems } from "./problem.js";
import { resolve } from "./resolve.js";
import type { ResolvedTopology } from "./resolved.js";
import { evaluate } from "./variables.js";

export interface ReadOptions {
  /** As the person named the file: stands in problems, and its last part is the lab's name where the file has none. */
  readonly path: string;
  /** `--set name=value`. */
  readonly variables?: Readonly<Record<string, string>>;
  /** `--name`: takes the place of the file's own. */
  readonly name?: string;
  /** Whether a problem that only warns makes it fail: `--strict`. */
  readonly strict?: boolean;
  /** Lets roots and commands of containers be checked. Absent: they are not. */
  readonly files?: FileProbe;
}

export type ReadResult =
  /** Its problems are warnings. */
  | { readonly ok: true; readonly topology: ResolvedTopology; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads, checks and resolves. Never throws for what stands in the text. */
export function readTopology(text: string, options: ReadOptions): ReadResult {
  const document = new Document(text, options.path);
  const value = evaluate(document, options.variables ?? {});
  const checked = document.root === undefined ? undefined : checkForm(document, value);
  const form = checked && options.name !== undefined ? { ...checked.form, name: options.name } : checked?.form;
  const said = document.problems.length;
  const topology = form && resolve(document, form, nameFromPath(options.path), options.files);
  // Of a file with parts left out, only what does not hang on them can be said.
  if (checked?.complete === false) document.keepSince(said, new Set(["unknown-name", "duplicate", "range"]));
  const problems = sortProblems(document.problems);
  const failed = document.failed || (options.strict === true && problems.length > 0);
  return topology && !failed ? { ok: true, topology, problems } : { ok: false, problems };
}

/** `labs/My Lab.json` -> `my-lab`. */
function nameFromPath(path: string): string {
  const file = path.split("/").at(-1) ?? "";
  const stem = file.replace(/\.[a-z0-9.]+$/i, "").toLowerCase();
  return (
    stem
      .replaceAll(/[^a-z0-9_-]+/g, "-")
      .replaceAll(/^[-_]+|[-_]+$/g, "")
      .slice(0, 40) || "lab"
  );
}
