/** A topology file as a person would write it: comments first, short things on one line. */
import type { TopologyForm } from "../form/file.js";

/** @param comments lines before the file, without their slashes */
export function printTopology(form: TopologyForm, comments: readonly string[]): string {
  const heading = comments.map((line) => (line === "" ? "//" : `// ${line.replaceAll(/[\r\n]+/g, " ")}`));
  return [...heading, valueText(escaped(form), ""), ""].join("\n");
}

/** `${` stands for a variable in a file; `$${` for itself. */
function escaped(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("${", "$${");
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escaped(inner)]));
}

const width = 110;

function valueText(value: unknown, indent: string): string {
  const flat = flatText(value);
  if (indent !== "" && indent.length + flat.length <= width) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((each) => `${inner}${valueText(each, inner)}`).join(",\n")}\n${indent}]`;
  }
  if (typeof value !== "object" || value === null) return flat;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  if (entries.length === 0) return "{}";
  const lines = entries.map(([key, each]) => `${inner}${JSON.stringify(key)}: ${valueText(each, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function flatText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flatText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return entries.length === 0
    ? "{}"
    : `{ ${entries.map(([key, each]) => `${JSON.stringify(key)}: ${flatText(each)}`).join(", ")} }`;
}
