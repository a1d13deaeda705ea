/**
 * Netlink attributes (struct nlattr, linux/netlink.h): length u16 with the header, type u16, value, padding to four.
 *
 * A schema is data: `attributes({ name: [IFLA_IFNAME, cstr], mtu: [IFLA_MTU, u32] })`. The order of the fields is the
 * order on the wire, so that the same value always gives the same bytes. Reading goes by the schema and not by
 * NLA_F_NESTED, which the kernel leaves out of many nests. Attributes that the schema does not know are kept.
 */
import type { Codec, Infer } from "./codec.js";
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

/** Writes one attribute: the header, what `value` writes, the padding. */
export function writeAttribute(out: Writer, type: number, nested: boolean, value: () => void): void {
  const at = out.reserve(ATTRIBUTE_HEADER);
  value();
  const length = out.length - at;
  if (length > LONGEST) throw new RangeError(`attribute ${type} of ${length} bytes: 65,535 is the most`);
  out.view.setUint16(at, length, littleEndian);
  out.view.setUint16(at + 2, nested ? type | NLA_F_NESTED : type, littleEndian);
  out.pad4();
}

export function attributes<F extends Fields>(fields: F): Attributes<AttributesOf<F>> {
  type T = AttributesOf<F>;
  const entries = Object.entries(fields).map(([name, [type, codec]]) => ({ name, type, codec }));
  const byType: ((typeof entries)[number] | undefined)[] = [];
  for (const entry of entries) byType[entry.type] = entry;

  const read = (input: Input, start: number, end: number): T => {
    const value: Record<string, unknown> = {};
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
      const entry = byType[type];
      if (entry === undefined) {
        (unknown ??= []).push({ type, nested: (tag & NLA_F_NESTED) !== 0, bytes: input.bytes.slice(from, to) });
      } else if (entry.codec.each === undefined) {
        value[entry.name] = entry.codec.read(input, from, to, value);
      } else {
        const list = value[entry.name];
        const element = entry.codec.each.read(input, from, to, value);
        if (Array.isArray(list)) list.push(element);
        else value[entry.name] = [element];
      }
    }
    if (unknown !== undefined) value.unknown = unknown;
    return value as T; // `entries` are the fields of F, each read by its own codec
  };

  return {
    types: entries.map(({ name, type }) => [name, type] as const),
    nameOf: (type) => byType[type]?.name,
    isNested: () => true,
    write(out, value) {
      for (const { name, type, codec } of entries) {
        const field: unknown = value[name];
        if (field === undefined || codec.isAbsent?.(field) === true) continue;
        const each = codec.each;
        const occurrences: readonly unknown[] = each !== undefined && Array.isArray(field) ? field : [field];
        const one = each ?? codec;
        for (const occurrence of occurrences) {
          writeAttribute(out, type, one.isNested?.(occurrence) ?? false, () => one.write(out, occurrence, value));
        }
      }
      for (const { type, nested, bytes } of value.unknown ?? []) {
        writeAttribute(out, type, nested, () => out.bytes(bytes));
      }
    },
    read,
    pathAt(input, start, end, offset) {
      const siblings: Record<string, unknown> = {};
      let path: string[] = [];
      eachAttribute(input, start, end, (type, from, to) => {
        const entry = byType[type];
        if (offset >= from - ATTRIBUTE_HEADER && offset < from + Math.max(align4(to - from), 1)) {
          const name = entry?.name ?? `attribute ${type}`;
          const codec = entry?.codec.each ?? entry?.codec;
          path = [name, ...(offset >= from ? (codec?.pathAt?.(input, from, to, offset, siblings) ?? []) : [])];
        } else if (entry?.codec.pathAt === undefined && entry !== undefined && offset >= to) {
          siblings[entry.name] = entry.codec.read(input, from, to, siblings);
        }
      });
      return path;
    },
  };
}

/** The same, sent without NLA_F_NESTED: where iproute2 leaves it out, so do we. */
export function unflagged<T>(codec: Codec<T>): Codec<T> {
  return { ...codec, isNested: () => false };
}
