/**
 * Netlink attributes (struct nlattr, linux/netlink.h): length u16 with the header, type u16, value, padding to four.
 *
 * A schema is data: `attributes({ name: [IFLA_IFNAME, cstr], mtu: [IFLA_MTU, u32] })`. The order of the fields is the
 * order on the wire, so that the same value always gives the same bytes. Reading goes by the schema and not by
 * NLA_F_NESTED, which the kernel leaves out of many nests. Attributes that the schema does not know are kept.
 */
import type { Codec, Infer, Siblings } from "./codec.js";
import { type Input, MalformedError, type Writer, align4, littleEndian } from "./wire.js";

const HEADER = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const MAXIMUM_VALUE = 0xffff - HEADER;

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
  while (end - at >= HEADER) {
    const length = checkedLength(view, at, end);
    const type = view.getUint16(at + 2, littleEndian);
    visit(type & NLA_TYPE_MASK, at + HEADER, at + length, (type & NLA_F_NESTED) !== 0);
    at += align4(length);
  }
}

/** The length of the attribute that begins at `at`, its header included. */
function checkedLength(view: DataView, at: number, end: number): number {
  const length = view.getUint16(at, littleEndian);
  if (length < HEADER || length > end - at) {
    throw new MalformedError(`attribute of length ${length}, ${end - at} bytes are left`, at);
  }
  return length;
}

/** Writes one attribute: the header, what `value` writes, the padding. */
export function writeAttribute(out: Writer, type: number, nested: boolean, value: () => void): void {
  const at = out.reserve(HEADER);
  value();
  const length = out.length - at;
  if (length > HEADER + MAXIMUM_VALUE) throw new RangeError(`attribute ${type} of ${length} bytes: 65,535 is the most`);
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
    for (let at = start; end - at >= HEADER;) {
      const length = checkedLength(view, at, end);
      const tag = view.getUint16(at + 2, littleEndian);
      const type = tag & NLA_TYPE_MASK;
      const from = at + HEADER;
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
        if (offset >= from - HEADER && offset < from + Math.max(align4(to - from), 1)) {
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

/** An attribute that may stand several times: its value is the list of all. */
export function multi<T>(each: Codec<T>): Codec<readonly T[]> {
  return {
    each,
    write(out, value, siblings) {
      for (const element of value) each.write(out, element, siblings);
    },
    read: (input, start, end, siblings) => [each.read(input, start, end, siblings)],
  };
}

/** A nest of attributes that all have the same type (NFTA_LIST_ELEM). */
export function list<T>(type: number, element: Codec<T>): Codec<readonly T[]> {
  return sequence(() => type, element);
}

/** A nest of attributes whose types only count, from `first`. */
export function indexed<T>(element: Codec<T>, first = 1): Codec<readonly T[]> {
  return sequence((index) => first + index, element);
}

function sequence<T>(typeOf: (index: number) => number, element: Codec<T>): Codec<readonly T[]> {
  return {
    isNested: () => true,
    write(out, value, siblings) {
      value.forEach((item, index) => {
        const nested = element.isNested?.(item) ?? false;
        writeAttribute(out, typeOf(index), nested, () => element.write(out, item, siblings));
      });
    },
    read(input, start, end, siblings) {
      const items: T[] = [];
      eachAttribute(input, start, end, (_type, from, to) => {
        items.push(element.read(input, from, to, siblings));
      });
      return items;
    },
    pathAt(input, start, end, offset, siblings) {
      let path: string[] = [];
      let index = 0;
      eachAttribute(input, start, end, (_type, from, to) => {
        if (offset >= from - HEADER && offset < from + align4(to - from)) {
          path = [String(index), ...(element.pathAt?.(input, from, to, offset, siblings) ?? [])];
        }
        index++;
      });
      return path;
    },
  };
}

/** The same, sent without NLA_F_NESTED: where iproute2 leaves it out, so do we. */
export function unflagged<T>(codec: Codec<T>): Codec<T> {
  return { ...codec, isNested: () => false };
}

type Variants = Readonly<Record<string, Codec<unknown>>>;

/** `{ bridge: … }` or `{ veth: … }`: the key is the variant. `other` holds the bytes of one that the schema does not know. */
type VariantOf<V extends Variants> = { readonly [K in keyof V]?: Infer<V[K]> | undefined } & {
  readonly other?: Uint8Array | undefined;
};

/**
 * A value whose form depends on a sibling: IFLA_INFO_KIND decides about IFLA_INFO_DATA. The selector has to stand
 * before it in the schema, and does so in what the kernel sends.
 * @param spelling what the selector says for a key, where that is not the key itself
 */
export function variant<V extends Variants>(selector: string, variants: V): Codec<VariantOf<V>> {
  type T = VariantOf<V>;
  const known = new Map(Object.entries(variants));
  const selected = (siblings: Siblings): [string, Codec<unknown>] | undefined => {
    const key = siblings[selector];
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
    pathAt(input, start, end, offset, siblings) {
      const choice = selected(siblings);
      if (choice === undefined) return [];
      return [choice[0], ...(choice[1].pathAt?.(input, start, end, offset, siblings) ?? [])];
    },
  };
}

export interface Headed<H, A> {
  readonly header: H;
  readonly attributes: A;
}

/** A struct and attributes after it: every rtnetlink message, a veth's peer, netem's options. */
export interface HeadedCodec<H, C extends Codec<unknown>> extends Codec<Headed<H, Infer<C>>> {
  readonly body: C;
}

export function headed<H, C extends Codec<unknown>>(
  header: Codec<H> & { readonly size: number },
  body: C,
): HeadedCodec<H, C> {
  const bodyAt = align4(header.size);
  return {
    body,
    write(out, value, siblings) {
      header.write(out, value.header, siblings);
      out.pad4();
      body.write(out, value.attributes, siblings);
    },
    read(input, start, end, siblings) {
      return {
        header: header.read(input, start, end, siblings),
        attributes: body.read(input, Math.min(start + bodyAt, end), end, siblings) as Infer<C>, // what C reads
      };
    },
    pathAt(input, start, end, offset, siblings) {
      return offset < start + bodyAt
        ? (header.pathAt?.(input, start, end, offset, siblings) ?? [])
        : (body.pathAt?.(input, start + bodyAt, end, offset, siblings) ?? []);
    },
  };
}
