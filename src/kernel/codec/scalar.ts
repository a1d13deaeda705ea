/** Numbers, text and bytes. */
import type { Codec, Fixed } from "./codec.js";
import { type Input, MalformedError, type Writer, littleEndian, need } from "./wire.js";

type Get = (view: DataView, at: number) => number;
type Set = (view: DataView, at: number, value: number) => void;

function number(name: string, size: number, minimum: number, maximum: number, get: Get, set: Set): Fixed<number> {
  return {
    size,
    write(out, value) {
      if (!Number.isInteger(value) || value < minimum || value > maximum) {
        throw new RangeError(`${value} is no ${name}: ${minimum} to ${maximum}`);
      }
      const at = out.reserve(size);
      set(out.view, at, value);
    },
    read(input, start, end) {
      need(start, end, size, name);
      return get(input.view, start);
    },
  };
}

export const u8 = number(
  "u8",
  1,
  0,
  0xff,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
);
export const s8 = number(
  "s8",
  1,
  -0x80,
  0x7f,
  (view, at) => view.getInt8(at),
  (view, at, value) => view.setInt8(at, value),
);

function u16In(name: string, little: boolean): Fixed<number> {
  return number(
    name,
    2,
    0,
    0xffff,
    (view, at) => view.getUint16(at, little),
    (view, at, value) => view.setUint16(at, value, little),
  );
}

function u32In(name: string, little: boolean): Fixed<number> {
  return number(
    name,
    4,
    0,
    0xffffffff,
    (view, at) => view.getUint32(at, little),
    (view, at, value) => view.setUint32(at, value, little),
  );
}

function s32In(name: string, little: boolean): Fixed<number> {
  return number(
    name,
    4,
    -0x80000000,
    0x7fffffff,
    (view, at) => view.getInt32(at, little),
    (view, at, value) => view.setInt32(at, value, little),
  );
}

/** Counters: a number, exact to 2^53, rounded above. */
function count64In(name: string, little: boolean): Fixed<number> {
  return number(
    name,
    8,
    0,
    Number.MAX_SAFE_INTEGER,
    (view, at) => {
      const high = view.getUint32(little ? at + 4 : at, little);
      const low = view.getUint32(little ? at : at + 4, little);
      return high * 0x1_0000_0000 + low;
    },
    (view, at, value) => view.setBigUint64(at, BigInt(value), little),
  );
}

export const u16 = u16In("u16", littleEndian);
export const u32 = u32In("u32", littleEndian);
export const s32 = s32In("s32", littleEndian);
export const count64 = count64In("u64", littleEndian);
export const be16 = u16In("be16", false);
export const be32 = u32In("be32", false);
export const bes32 = s32In("be s32", false);
export const beCount64 = count64In("be64", false);

export const s16 = number(
  "s16",
  2,
  -0x8000,
  0x7fff,
  (view, at) => view.getInt16(at, littleEndian),
  (view, at, value) => view.setInt16(at, value, littleEndian),
);

function big64(name: string, signed: boolean, little: boolean): Fixed<bigint> {
  const wrap = (value: bigint) => (signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
  return {
    size: 8,
    write(out, value) {
      if (wrap(value) !== value) throw new RangeError(`${value} is no ${name}`);
      const at = out.reserve(8);
      if (signed) out.view.setBigInt64(at, value, little);
      else out.view.setBigUint64(at, value, little);
    },
    read(input, start, end) {
      need(start, end, 8, name);
      return signed ? input.view.getBigInt64(start, little) : input.view.getBigUint64(start, little);
    },
  };
}

/** Exact 64-bit numbers, where every bit counts. */
export const u64 = big64("u64", false, littleEndian);
export const s64 = big64("s64", true, littleEndian);
export const be64 = big64("be64", false, false);

/** A u8 that is 0 or 1. */
export const bool8: Fixed<boolean> = {
  size: 1,
  write: (out, value) => u8.write(out, value ? 1 : 0, {}),
  read: (input, start, end) => u8.read(input, start, end, {}) !== 0,
};

/** A u32 that is 0 or 1. */
export const bool32: Fixed<boolean> = {
  size: 4,
  write: (out, value) => u32.write(out, value ? 1 : 0, {}),
  read: (input, start, end) => u32.read(input, start, end, {}) !== 0,
};

/** NLA_FLAG: says yes by being there. */
export const flag: Codec<boolean> = {
  write: () => undefined,
  read: () => true,
  isAbsent: (value) => !value,
};

const utf8 = new TextDecoder();

/** Interface names and kinds are ASCII: a plain loop is several times faster than TextDecoder on such short texts. */
function readText(input: Input, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = input.bytes[at];
    if (byte === undefined || byte === 0) break;
    if (byte > 0x7f) {
      const nul = input.bytes.indexOf(0, at);
      return utf8.decode(input.bytes.subarray(start, nul === -1 || nul > end ? end : nul));
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

/** A string that is sent with its NUL (NLA_NUL_STRING); read with or without one. */
export const cstr: Codec<string> = {
  write(out, value) {
    out.text(value);
    out.reserve(1);
  },
  read: readText,
};

/** A string that is sent without a NUL (NLA_STRING, as iproute2 sends link kinds); read with or without one. */
export const str: Codec<string> = {
  write: (out, value) => out.text(value),
  read: readText,
};

/** Bytes as they are, copied. */
export const bytes: Codec<Uint8Array> = {
  write: (out, value) => out.bytes(value),
  read: (input, start, end) => input.bytes.slice(start, end),
};

/** A fixed number of bytes. */
export function fixedBytes(size: number): Fixed<Uint8Array> {
  return {
    size,
    write(out: Writer, value: Uint8Array) {
      if (value.length !== size) throw new RangeError(`${value.length} bytes where ${size} belong`);
      out.bytes(value);
    },
    read(input, start, end) {
      if (end - start < size) throw new MalformedError(`${end - start} bytes where ${size} belong`, start);
      return input.bytes.slice(start, start + size);
    },
  };
}
