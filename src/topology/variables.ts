/**
 * The value of a document: the parsed tree with `${name}` replaced. Only names that the file declares under `variables`
 * can be used; `$${` stands for `${` itself. A text that is nothing but one variable takes its type, so that
 * `"pids": "${pids}"` is a number.
 */
import type { Node } from "jsonc-parser";
import type { Document } from "./document.js";
import type { Path } from "./problem.js";
import { suggestion } from "./suggest.js";

export type Scalar = string | number | boolean;

/** The value of the file, undefined where it is not an object. @param settings `--set name=value` */
export function evaluate(document: Document, settings: Readonly<Record<string, string>>): unknown {
  if (!document.root) return undefined;
  const variables = declaredVariables(document, document.root, settings);
  return valueOf(document, document.root, [], variables);
}

function declaredVariables(
  document: Document,
  root: Node,
  settings: Readonly<Record<string, string>>,
): ReadonlyMap<string, Scalar> {
  const variables = new Map<string, Scalar>();
  const section = root.type === "object" ? propertyOf(root, "variables") : undefined;
  for (const { key, value } of propertiesOf(section)) {
    const scalar: unknown = value.value;
    if (typeof scalar === "string" || typeof scalar === "number" || typeof scalar === "boolean") {
      variables.set(key.value as string, scalar); // jsonc-parser: the first child of a property is a string node
    }
  }
  for (const [name, text] of Object.entries(settings)) {
    const declared = variables.get(name);
    if (declared === undefined) {
      document.error(["variables"], `--set names the variable "${name}", which the file does not declare`, {
        code: "variable",
        hint: suggestion(name, variables.keys()),
      });
    } else variables.set(name, retyped(document, name, text, declared));
  }
  return variables;
}

/** A setting comes as text and takes the type of the variable's default. */
function retyped(document: Document, name: string, text: string, declared: Scalar): Scalar {
  if (typeof declared === "string") return text;
  if (typeof declared === "number" && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  if (typeof declared === "boolean" && (text === "true" || text === "false")) return text === "true";
  document.error(["variables", name], `--set ${name}=${text}: the variable is a ${typeof declared}`, {
    code: "variable",
  });
  return declared;
}

function valueOf(document: Document, node: Node, path: Path, variables: ReadonlyMap<string, Scalar>): unknown {
  const raw = path[0] === "variables" || path[0] === "$schema";
  switch (node.type) {
    case "object": {
      const object: Record<string, unknown> = {};
      const seen = new Set<string>();
      for (const { key, value } of propertiesOf(node)) {
        const written = key.value as string; // a string node, as above
        document.place([...path, written], value, key);
        const name = raw ? written : String(substituted(document, [...path, written], written, variables, true));
        const inner = [...path, name];
        if (name === "__proto__") {
          document.place(inner, value, key);
          document.error(inner, `"${name}" cannot be used as a name`, { code: "form", atKey: true });
        } else if (seen.has(name)) {
          document.place(inner, value, key);
          document.error(inner, `"${name}" stands here twice`, { code: "duplicate", atKey: true });
        } else {
          seen.add(name);
          document.place(inner, value, key);
          object[name] = valueOf(document, value, inner, variables);
        }
      }
      return object;
    }
    case "array":
      return (node.children ?? []).map((child, index) => {
        document.place([...path, index], child);
        return valueOf(document, child, [...path, index], variables);
      });
    case "string":
      return raw ? node.value : substituted(document, path, node.value as string, variables);
    default:
      return node.value;
  }
}

function substituted(
  document: Document,
  path: Path,
  text: string,
  variables: ReadonlyMap<string, Scalar>,
  atKey = false,
): Scalar {
  if (!text.includes("${")) return text;
  const alone = /^\$\{([^}]*)\}$/.exec(text)?.[1];
  const value = alone === undefined ? undefined : variables.get(alone);
  if (value !== undefined) return value;
  return text.replaceAll(/\$\$\{|\$\{([^}]*)\}?/g, (whole, name: string | undefined) => {
    if (whole === "$${") return "${";
    const replacement = name === undefined ? undefined : variables.get(name);
    if (replacement !== undefined && whole.endsWith("}")) return String(replacement);
    const message = whole.endsWith("}")
      ? `the variable "${name ?? ""}" is not declared`
      : `"${whole}" has no closing }`;
    document.error(path, message, {
      code: "variable",
      atKey,
      hint: suggestion(name ?? "", variables.keys()) ?? 'declare it under "variables", or write $${ for a literal ${',
    });
    return whole;
  });
}

function propertiesOf(node: Node | undefined): { key: Node; value: Node }[] {
  if (node?.type !== "object") return [];
  return (node.children ?? []).flatMap((property) => {
    const [key, value] = property.children ?? [];
    return key && value ? [{ key, value }] : [];
  });
}

function propertyOf(node: Node, name: string): Node | undefined {
  return propertiesOf(node).find(({ key }) => key.value === name)?.value;
}
