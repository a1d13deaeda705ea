/**
 * Netlink attributes (struct nlattr, linux/netlink.h): length u16 with the header, type u16, value, padding to four.
 *
 * A schema is data: `attributes({ name: [IFLA_IFNAME, cstr], mtu: [IFLA_MTU, u32] })`. The order of the fields is the
 * order on the wire, so that the same value always gives the same bytes. Reading goes by the schema and not by
 * NLA_F_NESTED, which the kernel leaves out of many nests. Attributes that the schema does not know are kept.
 */
import { type Codec, type Infer, type Siblings, type Sought, unnamed } from "./codec.js";
import { bytes as plain } from "./scalar.js";
import { type Input, MalformedError, type Writer, align4, littleEndian } from "./wire.js";

/** Bytes of length and type before each value. */
export const ATTRIBUTE_HEADER = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
/** Its length is a u16. */
const LONGEST = 0xffff;

/** An attribute that the schema has no name for: it survives being read and written. */
export interface UnknownAttribute {
  readonly type: number;
  readonly nested: boolean;
  readonly bytes: Uint8Array;
}

type Fields = Readonly<Record<string, readonly [type: number, codec: Codec<unknown>]>>;

type AttributesOf<F extends Fields> = { readonly [K in keyof F]?: Infer<F[K][1]> | undefined } & {
  readonly unknown?: readonly UnknownAttribute[] | undefined;
};

export interface Attributes<T> extends Codec<T> {
  /** Name and type of each field, for tests that compare them with the kernel's headers. */
  readonly types: readonly (readonly [name: string, type: number])[];
  /**
   * The same with these fields alone, which passes over what else it meets instead of keeping it. For replies of which
   * not all is wanted: to copy each of the sixty attributes of a link costs as much as to ask the kernel for them.
   */
  only<K extends keyof T & string>(...names: readonly K[]): Attributes<Pick<T, K>>;
}

/** Calls back for each attribute between start and end. Throws `MalformedError` for lengths that do not fit. */
export function eachAttribute(
  input: Input,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number, nested: boolean) => void,
): void {
  const { view } = input;
  let at = start;
  while (end - at >= ATTRIBUTE_HEADER) {
    const length = checkedLength(view, at, end);
    const type = view.getUint16(at + 2, littleEndian);
    visit(type & NLA_TYPE_MASK, at + ATTRIBUTE_HEADER, at + length, (type & NLA_F_NESTED) !== 0);
    at += align4(length);
  }
}

/** The length of the attribute that begins at `at`, its header included. */
function checkedLength(view: DataView, at: number, end: number): number {
  const length = view.getUint16(at, littleEndian);
  if (length < ATTRIBUTE_HEADER || length > end - at) {
    throw new MalformedError(`attribute of length ${length}, ${end - at} bytes are left`, at);
  }
  return length;
}

/** Writes one attribute: the header, the value, the padding. */
export function writeAttribute<T>(out: Writer, type: number, codec: Codec<T>, value: T, siblings: Siblings): void {
  const at = out.reserve(ATTRIBUTE_HEADER);
  codec.write(out, value, siblings);
  const length = out.length - at;
  if (length > LONGEST) throw new RangeError(`attribute ${type} of ${length} bytes: 65,535 is the most`);
  const tag = codec.isNested?.(value) === true ? type | NLA_F_NESTED : type;
  out.view.setUint16(at, length, littleEndian);
  out.view.setUint16(at + 2, tag, littleEndian);
  out.pad4();
}

export function attributes<F extends Fields>(fields: F): Attributes<AttributesOf<F>> {
  return attributesOf(
    Object.entries(fields).map(([name, [type, codec]]) => ({ name, type, codec })),
    true,
  );
}

interface Field {
  readonly name: string;
  readonly type: number;
  readonly codec: Codec<unknown>;
}

/** @param keepsUnknown whether what `entries` do not name is kept, or passed over */
function attributesOf<
  T extends Record<string, unknown> & { readonly unknown?: readonly UnknownAttribute[] | undefined },
>(entries: readonly Field[], keepsUnknown: boolean): Attributes<T> {
  // Without holes, and never read past its end: either makes each look-up several times slower.
  const byType = new Array<Field | undefined>(Math.max(0, ...entries.map(({ type }) => type + 1))).fill(undefined);
  for (const entry of entries) byType[entry.type] = entry;
  const fieldOf = (type: number): Field | undefined => (type < byType.length ? byType[type] : undefined);

  const read = (input: Input, start: number, end: number, around: Siblings): T => {
    const value: Record<string, unknown> = {};
    const siblings = { values: value, around };
    let unknown: UnknownAttribute[] | undefined;
    // `eachAttribute` written out: a callback for each attribute makes dumps a third slower.
    const { view } = input;
    for (let at = start; end - at >= ATTRIBUTE_HEADER;) {
      const length = checkedLength(view, at, end);
      const tag = view.getUint16(at + 2, littleEndian);
      const type = tag & NLA_TYPE_MASK;
      const from = at + ATTRIBUTE_HEADER;
      const to = at + length;
      at += align4(length);
      const entry = fieldOf(type);
      if (entry === undefined) {
        if (!keepsUnknown) continue;
        (unknown ??= []).push({ type, nested: (tag & NLA_F_NESTED) !== 0, bytes: input.bytes.slice(from, to) });
      } else if (entry.codec.each === undefined) {
        value[entry.name] = entry.codec.read(input, from, to, siblings);
      } else {
        const list = value[entry.name];
        const element = entry.codec.each.read(input, from, to, siblings);
        if (Array.isArray(list)) list.push(element);
        else value[entry.name] = [element];
      }
    }
    if (unknown !== undefined) value.unknown = unknown;
    return value as T; // `entries` are the fields of T, each read by its own codec
  };

  return {
    types: entries.map(({ name, type }) => [name, type] as const),
    only<K extends keyof T & string>(...names: readonly K[]) {
      const wanted = new Set<string>(names);
      return attributesOf<Pick<T, K>>(
        entries.filter(({ name }) => wanted.has(name)),
        false,
      );
    },
    nameOf: (type) => [fieldOf(type)?.name ?? unnamed(type)],
    isNested: () => true,
    write(out, value, around) {
      const siblings = { values: value, around };
      for (const { name, type, codec } of entries) {
        const field: unknown = value[name];
        if (field === undefined || codec.isAbsent?.(field) === true) continue;
        const { each } = codec;
        if (each === undefined) writeAttribute(out, type, codec, field, siblings);
        // Where a codec has `each`, its value is the list of all (`multi`).
        else for (const one of field as readonly unknown[]) writeAttribute(out, type, each, one, siblings);
      }
      for (const { type, nested, bytes } of value.unknown ?? []) {
        writeAttribute(out, type, nested ? nest : plain, bytes, siblings);
      }
    },
    read,
    pathAt(input, start, end, sought, around) {
      const values: Record<string, unknown> = {};
      const siblings = { values, around };
      let path: string[] = [];
      eachAttribute(input, start, end, (type, from, to) => {
        const entry = fieldOf(type);
        if (lies(sought, from, to)) {
          const codec = entry?.codec.each ?? entry?.codec;
          path = [entry?.name ?? unnamed(type), ...pathInside(codec, input, from, to, sought, siblings)];
        } else if (entry?.codec.pathAt === undefined && entry !== undefined && sought.offset >= to) {
          values[entry.name] = entry.codec.read(input, from, to, siblings);
        }
      });
      return path;
    },
  };
}

/** Whether what is sought lies in an attribute whose value stands between start and end: in that, its header or its padding. */
export function lies({ offset }: Sought, start: number, end: number): boolean {
  return offset >= start - ATTRIBUTE_HEADER && offset < start + Math.max(align4(end - start), 1);
}

/** Names of what is sought inside an attribute in which it lies. */
export function pathInside(
  codec: Codec<unknown> | undefined,
  input: Input,
  start: number,
  end: number,
  sought: Sought,
  siblings: Siblings,
): string[] {
  const { offset, missing } = sought;
  if (offset >= start) return codec?.pathAt?.(input, start, end, sought, siblings) ?? [];
  // The attribute itself is meant, or one that is missing in it.
  return missing === undefined ? [] : (codec?.nameOf?.(missing, siblings) ?? [unnamed(missing)]);
}

/** The bytes of an unknown attribute that came with the flag. */
const nest: Codec<Uint8Array> = { ...plain, isNested: () => true };

/** The same, sent without NLA_F_NESTED: where iproute2 leaves it out, so do we. */
export function unflagged<T>(codec: Codec<T>): Codec<T> {
  return { ...codec, isNested: () => false };
}
