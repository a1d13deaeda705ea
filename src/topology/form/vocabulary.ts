/** What the schema knows at a place of the file: from there come the words of errors. */
import type * as z from "zod/mini";

type Schema = z.core.$ZodType;
type Def = z.core.$ZodTypes["_zod"]["def"];

const definition = (schema: Schema): Def => (schema as z.core.$ZodTypes)._zod.def; // every schema is one of its kinds

/** The object forms that may stand at a path in this value: more than one only where a union leaves it open. */
function formsAt(schema: Schema, value: unknown, path: readonly PropertyKey[]): Def[] {
  const def = definition(schema);
  switch (def.type) {
    case "optional":
    case "nullable":
      return formsAt(def.innerType, value, path);
    case "union": {
      const fitting = def.options.filter((option) => fits(option, value));
      return fitting.flatMap((option) => formsAt(option, value, path));
    }
    case "object": {
      const [key, ...rest] = path;
      if (key === undefined) return [def];
      const inner = def.shape[String(key)];
      return inner ? formsAt(inner, memberOf(value, key), rest) : [];
    }
    case "record":
      return path[0] === undefined ? [] : formsAt(def.valueType, memberOf(value, path[0]), path.slice(1));
    case "array":
      return path[0] === undefined ? [] : formsAt(def.element, memberOf(value, path[0]), path.slice(1));
    case "tuple": {
      const item = def.items[Number(path[0])];
      return path[0] === undefined || !item ? [] : formsAt(item, memberOf(value, path[0]), path.slice(1));
    }
    default:
      return [];
  }
}

function memberOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
}

/** Whether a value has the JSON type of a schema and, of a discriminated union, its word. */
function fits(schema: Schema, value: unknown): boolean {
  const def = definition(schema);
  switch (def.type) {
    case "optional":
      return fits(def.innerType, value);
    case "union":
      return def.options.some((option) => fits(option, value));
    case "object":
      return (
        typeof value === "object" &&
        value !== null &&
        !Array.isArray(value) &&
        Object.entries(def.shape).every(([key, inner]) => {
          const word = definition(inner);
          return word.type !== "literal" || word.values.includes(memberOf(value, key) as never);
        })
      );
    case "record":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
    case "tuple":
      return Array.isArray(value);
    default:
      return def.type === typeof value;
  }
}

/** The keys that an object at this path may have. */
export function keysAt(schema: Schema, value: unknown, path: readonly PropertyKey[]): string[] {
  return formsAt(schema, value, path).flatMap((def) => (def.type === "object" ? Object.keys(def.shape) : []));
}

/** The words that a discriminator may be, of the union at this path. */
export function wordsAt(schema: Schema, path: readonly PropertyKey[], discriminator: string): string[] {
  const def = definition(schema);
  const [key, ...rest] = path;
  switch (def.type) {
    case "optional":
      return wordsAt(def.innerType, path, discriminator);
    case "union":
      if (key !== discriminator) return def.options.flatMap((option) => wordsAt(option, path, discriminator));
      return def.options.flatMap((option) => {
        const object = definition(option);
        const word = object.type === "object" ? object.shape[discriminator] : undefined;
        const literal = word && definition(word);
        return literal?.type === "literal" ? literal.values.map(String) : [];
      });
    case "object":
      return key !== undefined && def.shape[String(key)]
        ? wordsAt(def.shape[String(key)] as Schema, rest, discriminator)
        : [];
    case "record":
      return wordsAt(def.valueType, rest, discriminator);
    case "array":
      return wordsAt(def.element, rest, discriminator);
    default:
      return [];
  }
}
