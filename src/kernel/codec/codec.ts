/**
 * A codec describes one value on the wire, once: writing, reading and the way from an offset to a name all follow from
 * it. The TypeScript type of the value is inferred (`Infer<typeof codec>`).
 */
import { Input, type Writer } from "./wire.js";

/** The attributes beside the one that is being read or written, and those around the nest that it is in: what selects a variant. */
export interface Siblings {
  readonly values?: Readonly<Record<string, unknown>>;
  readonly around?: Siblings;
}

/** A place in an input. */
export interface Sought {
  readonly offset: number;
  /** The type of an attribute that is missing in the nest which begins at the offset: it is that one's name that is sought. */
  readonly missing?: number | undefined;
}

// Methods rather than function properties, so that a Codec<number> is a Codec<unknown> (TypeScript compares parameters
// of methods bivariantly): a table of fields holds codecs of every type.
export interface Codec<T> {
  write(out: Writer, value: T, siblings: Siblings): void;
  /** Reads the bytes from start to end, which lie within the input. Throws `MalformedError`. */
  read(input: Input, start: number, end: number, siblings: Siblings): T;
  /** Names of what is sought in the input, from the outside in; empty where the value has no parts. */
  pathAt?(input: Input, start: number, end: number, sought: Sought, siblings: Siblings): string[];
  /** Names of an attribute of a type at the top level of the value, whether it is there or not. */
  nameOf?(type: number, siblings: Siblings): string[];
  /** Whether its attribute carries NLA_F_NESTED when sent. Nothing is made of the flag in what is read. */
  isNested?(value: T): boolean;
  /** Whether a value is sent by leaving the attribute out (a flag that is off). */
  isAbsent?(value: T): boolean;
  /** The codec of each occurrence, where an attribute may stand several times. */
  readonly each?: Codec<unknown>;
}

/** A codec whose value always has the same size, so that it can be part of a struct. */
export interface Fixed<T> extends Codec<T> {
  readonly size: number;
}

/** The type of a codec's value. */
export type Infer<C> = C extends Codec<infer T> ? T : never;

const alone: Siblings = {};

/** Reads a whole buffer. Throws `MalformedError`. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.read(new Input(bytes), 0, bytes.length, alone);
}

/** Writes to the end of what is there. */
export function encodeInto<T>(out: Writer, codec: Codec<T>, value: T): void {
  codec.write(out, value, alone);
}

/**
 * The name of what lies at an offset of a buffer: `info.data.bridge.ageingTime`.
 * @returns undefined where nothing is named there
 */
export function pathAt(codec: Codec<unknown>, bytes: Uint8Array, offset: number): string | undefined {
  return pathOf(codec, bytes, { offset });
}

/**
 * The name of an attribute that is not there but ought to be, as the kernel says it (NLMSGERR_ATTR_MISS_TYPE and _NEST).
 * @param nest offset of the nest in which it is missing; undefined for the message itself
 */
export function pathOfMissing(codec: Codec<unknown>, bytes: Uint8Array, type: number, nest?: number): string {
  const path = nest === undefined ? codec.nameOf?.(type, alone).join(".") : undefined;
  const nested = nest === undefined ? undefined : pathOf(codec, bytes, { offset: nest, missing: type });
  return path ?? nested ?? unnamed(type);
}

/** What an attribute is called that a schema does not know. */
export function unnamed(type: number): string {
  return `attribute ${type}`;
}

function pathOf(codec: Codec<unknown>, bytes: Uint8Array, sought: Sought): string | undefined {
  const path = codec.pathAt?.(new Input(bytes), 0, bytes.length, sought, alone) ?? [];
  return path.length === 0 ? undefined : path.join(".");
}
