/** C structs: fields at fixed offsets. */
import type { Fixed, Infer, Siblings } from "./codec.js";
import { Input, need } from "./wire.js";

type StructFields = Readonly<Record<string, readonly [offset: number, codec: Fixed<unknown>]>>;
type StructOf<F extends StructFields> = { readonly [K in keyof F]: Infer<F[K][1]> };

export interface Struct<T> extends Fixed<T> {
  /** Every field zero: spread it and set what matters. */
  readonly zero: T;
}

/**
 * A struct of the given size, its fields in the order of their offsets; what lies between them is padding.
 * @param minimum what is read may be this short (an older kernel): numbers that are missing read as zero. More than
 *   `size` is always accepted (a newer kernel), and the rest ignored.
 */
export function struct<F extends StructFields>(size: number, fields: F, minimum = size): Struct<StructOf<F>> {
  type T = StructOf<F>;
  const entries = Object.entries(fields).map(([name, [offset, codec]]) => ({ name, offset, codec }));

  const read = (input: Input, start: number, end: number, siblings: Siblings): T => {
    need(start, end, minimum, "struct");
    const value: Record<string, unknown> = {};
    for (const { name, offset, codec } of entries) {
      const at = start + offset;
      value[name] = at + codec.size <= end ? codec.read(input, at, at + codec.size, siblings) : 0;
    }
    return value as T; // `entries` are the fields of F, each read by its own codec
  };

  return {
    size,
    zero: read(new Input(new Uint8Array(size)), 0, size, {}),
    write(out, value, siblings) {
      const start = out.length;
      for (const { name, offset, codec } of entries) {
        out.reserve(start + offset - out.length);
        codec.write(out, value[name], siblings);
      }
      out.reserve(start + size - out.length);
    },
    read,
    pathAt(_input, start, _end, { offset }) {
      const found = entries.find((entry) => {
        const at = start + entry.offset;
        return offset >= at && offset < at + entry.codec.size;
      });
      return found === undefined ? [] : [found.name];
    },
  };
}
