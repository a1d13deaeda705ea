/** Values whose form depends on another attribute. */
import { type Codec, type Infer, type Siblings, unnamed } from "./codec.js";

type Variants = Readonly<Record<string, Codec<unknown>>>;

/** `{ bridge: … }` or `{ veth: … }`: the key is the variant. `other` holds the bytes of one that the schema does not know. */
type VariantOf<V extends Variants> = { readonly [K in keyof V]?: Infer<V[K]> | undefined } & {
  readonly other?: Uint8Array | undefined;
};

/**
 * A value whose form depends on a sibling: IFLA_INFO_KIND decides about IFLA_INFO_DATA. The selector has to stand
 * before it in the schema, and does so in what the kernel sends.
 * @param selector the sibling's name; `../kind` is one beside the nest that the value is in, `../../kind` one further out
 */
export function variant<V extends Variants>(selector: string, variants: V): Codec<VariantOf<V>> {
  type T = VariantOf<V>;
  const known = new Map(Object.entries(variants));
  const steps = selector.split("../");
  const name = steps.pop() ?? selector;
  const selected = (siblings: Siblings): [string, Codec<unknown>] | undefined => {
    let scope: Siblings | undefined = siblings;
    for (const _ of steps) scope = scope?.around;
    const key = scope?.values?.[name];
    const codec = typeof key === "string" || typeof key === "number" ? known.get(String(key)) : undefined;
    return codec === undefined ? undefined : [String(key), codec];
  };
  const chosen = (value: T): [Codec<unknown>, unknown] | undefined => {
    for (const [key, codec] of known) {
      const part: unknown = value[key];
      if (part !== undefined) return [codec, part];
    }
    return undefined;
  };
  return {
    isNested(value) {
      const choice = chosen(value);
      return choice?.[0].isNested?.(choice[1]) ?? false;
    },
    write(out, value, siblings) {
      const choice = chosen(value);
      if (choice !== undefined) choice[0].write(out, choice[1], siblings);
      else if (value.other !== undefined) out.bytes(value.other);
    },
    read(input, start, end, siblings) {
      const choice = selected(siblings);
      const value: Record<string, unknown> =
        choice === undefined
          ? { other: input.bytes.slice(start, end) }
          : { [choice[0]]: choice[1].read(input, start, end, siblings) };
      return value as T; // the key is one of V, its value what that codec read
    },
    nameOf(type, siblings) {
      const choice = selected(siblings);
      return choice === undefined
        ? [unnamed(type)]
        : [choice[0], ...(choice[1].nameOf?.(type, siblings) ?? [unnamed(type)])];
    },
    pathAt(input, start, end, sought, siblings) {
      const choice = selected(siblings);
      if (choice === undefined) return [];
      return [choice[0], ...(choice[1].pathAt?.(input, start, end, sought, siblings) ?? [])];
    },
  };
}
