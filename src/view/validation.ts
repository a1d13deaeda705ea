/** `validate`: one line for each file that is right, all problems of one that is not. */
import { noInk, type Ink } from "./ink.js";
import { count } from "./quantity.js";
import { visible } from "./width.js";

export interface CheckedFile {
  readonly file: string;
  readonly valid: boolean;
  readonly lab?: { readonly nodes: number; readonly links: number; readonly expectations: number };
  /** Problems as text, with their places; empty for none. */
  readonly text: string;
}

export function validationLines(files: readonly CheckedFile[], ink: Ink = noInk): string[] {
  return files.flatMap(({ file, valid, lab, text }) => {
    const said = text === "" ? [] : text.split("\n").map(visible);
    if (!valid || lab === undefined) return said;
    const { nodes, links, expectations } = lab;
    const parts = [count(nodes, "node"), count(links, "link"), count(expectations, "expectation")].join(", ");
    return [...said, `${visible(file)}: ${ink("good", "valid")} ${ink("dim", `(${parts})`)}`];
  });
}
