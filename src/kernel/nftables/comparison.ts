/** What a field is compared with: values, prefixes, ranges, bits -> expressions on register 1. */
import type { NftRange, NftStatement } from "../../model/nft.js";
import * as k from "./constants.js";
import { type Expression, make } from "./expressions.js";
import type { DataType } from "./fields.js";
import { type Interval, compareBytes, prefixInterval, prefixMask } from "./intervals.js";

export type Operator = Extract<NftStatement, { kind: "match" }>["op"];
export const REG_1 = k.NFT_REG_1;

export function compare(op: Operator, value: Uint8Array): Expression {
  return make("cmp", { sreg: REG_1, op: k.comparisons[op], data: { value } });
}

function and(mask: Uint8Array): Expression {
  return make("bitwise", {
    sreg: REG_1,
    dreg: REG_1,
    length: mask.length,
    mask: { value: mask },
    xor: { value: new Uint8Array(mask.length) },
  });
}

/** `ct state established,related`: one of these bits is set; with != none of them. */
export function maskTest(type: DataType, op: "==" | "!=", names: readonly string[]): Expression[] {
  const bits = names.reduce((mask, name) => {
    const bit = type.bits?.[name];
    if (bit === undefined) throw new RangeError(`"${name}" is none of ${Object.keys(type.bits ?? {}).join(", ")}`);
    return mask | bit;
  }, 0);
  return [and(type.encode(bits)), compare(op === "==" ? "!=" : "==", new Uint8Array(type.size))];
}

export function valueTest(
  type: DataType,
  load: (length: number) => Expression,
  op: Operator,
  value: string | number,
): Expression[] {
  const text = String(value);
  const ordered = op !== "==" && op !== "!=";
  if (ordered && type.byteOrder === "host" && type.size > 1)
    throw new RangeError(`this field is not compared with ${op}`);
  if (type.wildcards === true && text.endsWith("*")) {
    return [load(type.size), compare(op, new TextEncoder().encode(text.slice(0, -1)))];
  }
  const [address = "", length] = type.prefixes === true ? text.split("/") : [text];
  if (length === undefined) return [load(type.size), compare(op, encodeScalar(type, value))];
  const bits = prefixBits(type, length);
  const { from } = prefixInterval(type.encode(address), bits);
  if (bits === 8 * type.size) return [load(type.size), compare(op, from)];
  // A prefix of whole bytes loads only those.
  if (bits % 8 === 0 && bits > 0) return [load(bits / 8), compare(op, from.subarray(0, bits / 8))];
  return [load(type.size), and(prefixMask(type.size, bits)), compare(op, from)];
}

export function rangeTest(type: DataType, op: Operator, range: NftRange): Expression[] {
  if (type.byteOrder === "host") throw new RangeError("this field takes no ranges");
  const { from, to } = intervalOf(type, range);
  if (op === "==") return [compare(">=", from), compare("<=", to)];
  if (op === "!=") {
    return [make("range", { sreg: REG_1, op: k.comparisons["!="], from: { value: from }, to: { value: to } })];
  }
  throw new RangeError(`a range is compared with == or !=, not ${op}`);
}

export function intervalOf(type: DataType, value: string | number | NftRange): Interval {
  if (typeof value === "object") {
    const [from, to] = [encodeScalar(type, value.from), encodeScalar(type, value.to)];
    if (compareBytes(from, to) > 0) throw new RangeError(`the range ${value.from}-${value.to} runs backwards`);
    return { from, to };
  }
  const [address = "", length] = String(value).split("/");
  if (length !== undefined && type.prefixes === true) {
    return prefixInterval(type.encode(address), prefixBits(type, length));
  }
  const only = encodeScalar(type, value);
  return { from: only, to: only };
}

function prefixBits(type: DataType, length: string): number {
  const bits = Number(length);
  if (!/^\d+$/.test(length) || bits > 8 * type.size) throw new RangeError(`/${length} is no prefix length here`);
  return bits;
}

export function encodeScalar(type: DataType, value: string | number | NftRange): Uint8Array {
  if (typeof value === "object") throw new RangeError("this field takes no ranges");
  return type.encode(value);
}
