/** `validate`: what is wrong in topology files. Reads them and nothing else: no root, no kernel. */
import path from "node:path";
import type { Problem } from "../topology/problem.js";
import { readTopologyFile, shownPath } from "./topology-file.js";

export { formatProblems } from "../topology/problem.js";

export interface ValidateOptions {
  /** Paths, or names of topologies that ship. */
  readonly files: readonly string[];
  /** Warnings count as errors. */
  readonly strict: boolean;
  /** `NAME=VALUE`. */
  readonly assignments: readonly string[];
}

export interface ValidatedFile {
  /** As seen from the current folder. */
  readonly file: string;
  readonly valid: boolean;
  /** What the file describes, where it is valid. */
  readonly lab?: {
    readonly name: string;
    readonly nodes: number;
    readonly links: number;
    readonly expectations: number;
  };
  /** In the order of the file; those of a valid one are warnings. */
  readonly problems: readonly Problem[];
}

export interface ValidateResult {
  readonly valid: boolean;
  readonly files: readonly ValidatedFile[];
}

/** @throws Failure (usage) where a file cannot be read */
export function validate({ files, ...options }: ValidateOptions): ValidateResult {
  // `validate topologies/*.json` meets the schema that the files there name: it describes topologies and is none.
  const topologies = files.length > 1 ? files.filter((name) => path.basename(name) !== "schema.json") : files;
  const checked = topologies.map((name): ValidatedFile => {
    const { file, read } = readTopologyFile({ file: name, ...options });
    const { problems } = read;
    const relative = shownPath(file);
    if (!read.ok) return { file: relative, valid: false, problems };
    const { name: lab, nodes, links, expectations } = read.topology;
    return {
      file: relative,
      valid: true,
      lab: { name: lab, nodes: nodes.length, links: links.length, expectations: expectations.length },
      problems,
    };
  });
  return { valid: checked.every(({ valid }) => valid), files: checked };
}
