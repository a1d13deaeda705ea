/** Defaults: objects merge key by key, everything else is replaced as a whole. */

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function merge<T extends object>(
  defaults: { readonly [K in keyof T]?: T[K] | undefined } | undefined,
  own: T,
): T {
  if (defaults === undefined) return own;
  const merged: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(own)) {
    const below = merged[key];
    merged[key] = isObject(below) && isObject(value) ? merge(below, value) : value;
  }
  return merged as T; // every key is from `defaults` or `own`, which have T's types
}

/** One or several values, always as a list. */
export function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T]; // Array.isArray does not narrow a readonly list
}
