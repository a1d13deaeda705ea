/** Checks a value against the schema and says what is wrong in the words of the format. */
import type * as z from "zod/mini";
import type { Document } from "../document.js";
import type { Path } from "../problem.js";
import { suggestion } from "../suggest.js";
import { topologyForm, type TopologyForm } from "./file.js";
import { keysAt, wordsAt } from "./vocabulary.js";

type Issue = z.core.$ZodIssue;

export interface Checked {
  readonly form: TopologyForm;
  /** Whether all of the file is in `form`; else what was wrong has been left out, so that the rest can be checked too. */
  readonly complete: boolean;
}

/** @returns undefined where too little is left to go on with; what is wrong is in the document's problems. */
export function checkForm(document: Document, value: unknown): Checked | undefined {
  const first = topologyForm.safeParse(value);
  if (first.success) return { form: first.data, complete: true };
  for (const issue of first.error.issues) report(document, value, issue, []);
  const rest = withoutWrong(value);
  return rest && { form: rest, complete: false };
}

/** Takes away what is wrong, the smallest part first, until the rest is a topology. */
function withoutWrong(value: unknown): TopologyForm | undefined {
  const rest: unknown = structuredClone(value);
  // Each round takes away at least one value, and after a few only a file that lacks everything is left.
  for (let round = 0; round < 8; round++) {
    const result = topologyForm.safeParse(rest);
    if (result.success) return result.data;
    const paths = result.error.issues.flatMap((issue) =>
      issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path],
    );
    // From the end, so that the indexes of lists stay right.
    for (const path of paths.toReversed()) remove(rest, round < 4 ? path : path.slice(0, -1));
  }
  return undefined;
}

function remove(root: unknown, path: readonly PropertyKey[]): void {
  let holder = root;
  for (const key of path.slice(0, -1)) {
    if (typeof holder !== "object" || holder === null) return;
    holder = (holder as Record<PropertyKey, unknown>)[key];
  }
  const key = path.at(-1);
  if (key === undefined || typeof holder !== "object" || holder === null) return;
  const object = holder as Record<PropertyKey, unknown>;
  // A node that is wrong is still a name that others may use.
  if (path.length === 2 && path[0] === "nodes" && (typeof object[key] !== "object" || object[key] === null)) {
    object[key] = {};
  } else if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else Reflect.deleteProperty(object, key);
}

function report(document: Document, root: unknown, issue: Issue, base: Path): void {
  const path = [...base, ...(issue.path as (string | number)[])]; // JSON has no symbol keys
  const value = valueAt(root, path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(topologyForm, root, path);
      for (const key of issue.keys) {
        document.error([...path, key], `"${key}" is not known here`, {
          code: "form",
          hint: suggestion(key, known),
          atKey: true,
        });
      }
      return;
    }
    case "invalid_union":
      reportUnion(document, root, issue, path);
      return;
    case "invalid_key":
      for (const inner of issue.issues) {
        document.error(path, `${quoted(path.at(-1))} ${inner.message}`, { code: "form", atKey: true });
      }
      return;
    case "invalid_type":
      if (value === undefined) {
        const key = String(path.at(-1));
        document.error(path.slice(0, -1), `"${key}" is missing`, { code: "missing" });
      } else {
        document.error(path, `expected ${typeWords[issue.expected] ?? issue.expected}, found ${found(value)}`, {
          code: "form",
        });
      }
      return;
    case "invalid_value":
      reportWord(document, path, value, issue.values.map(String));
      return;
    case "too_small":
    case "too_big":
      if (issue.origin === "array" && Array.isArray(value) && value.length > 0) {
        document.error(
          path,
          `this list has ${value.length === 1 ? "1 entry" : `${value.length} entries`}; it needs exactly 2`,
          { code: "form" },
        );
        return;
      }
      document.error(path, `${quoted(value)} ${issue.message}`, { code: "form" });
      return;
    default:
      document.error(path, `${quoted(value)} ${issue.message}`, { code: "form" });
  }
}

function reportWord(document: Document, path: Path, value: unknown, words: readonly string[]): void {
  if (value === undefined) {
    document.error(path.slice(0, -1), `"${String(path.at(-1))}" is missing`, {
      code: "missing",
      hint: `one of: ${words.join(", ")}`,
    });
    return;
  }
  const hint = typeof value === "string" ? suggestion(value, words) : undefined;
  document.error(path, `${quoted(value)} is not one of: ${words.join(", ")}`, {
    code: "form",
    hint: hint?.startsWith("did you") ? hint : undefined,
  });
}

/** Of the forms that a value may have, the one is meant whose type it has: only its errors are of use. */
function reportUnion(document: Document, root: unknown, issue: z.core.$ZodIssueInvalidUnion, path: Path): void {
  const value = valueAt(root, path);
  if (issue.discriminator !== undefined) {
    reportWord(document, path, value, wordsAt(topologyForm, path, issue.discriminator));
    return;
  }
  if (value === undefined) {
    document.error(path.slice(0, -1), `"${String(path.at(-1))}" is missing`, { code: "missing" });
    return;
  }
  const wrongType = (branch: readonly Issue[]): boolean =>
    branch.some(
      (inner) =>
        inner.path.length === 0 &&
        (inner.code === "invalid_type" ||
          inner.code === "invalid_value" ||
          (inner.code === "invalid_union" && inner.errors.length > 0 && inner.errors.every(wrongType))),
    );
  const meant = issue.errors.find((branch) => !wrongType(branch));
  if (meant) {
    for (const inner of meant) report(document, root, inner, path);
    return;
  }
  const wanted = issue.errors.flatMap((branch) => wantedTypes(branch));
  document.error(path, `expected ${orList([...new Set(wanted)])}, found ${found(value)}`, { code: "form" });
}

function wantedTypes(branch: readonly Issue[]): string[] {
  return branch.flatMap((issue) => {
    if (issue.path.length > 0) return [];
    if (issue.code === "invalid_type") return [typeWords[issue.expected] ?? issue.expected];
    if (issue.code === "invalid_value") return issue.values.map((word) => JSON.stringify(word));
    return issue.code === "invalid_union" ? issue.errors.flatMap(wantedTypes) : [];
  });
}

const typeWords: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
  tuple: "a list",
};

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
}

function found(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : quoted(value);
}

/** A value as an error names it: short. */
function quoted(value: unknown): string {
  if (Array.isArray(value)) return "this list";
  if (typeof value === "object" && value !== null) return "this object";
  const text = JSON.stringify(value) as string | undefined; // undefined for undefined
  return text === undefined ? "this" : text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[key] : undefined,
    root,
  );
}
