/** Expressions -> matches: a load, perhaps a mask, and what the register is compared with. */
import type { NftFamily, NftField, NftRange, NftStatement } from "../../model/nft.js";
import * as k from "./constants.js";
import type { Expression, ExpressionData } from "./expressions.js";
import { type DataType, type Known, fieldOf, fields } from "./fields.js";
import { compareBytes, fromElements, intervalPrefix, prefixLength } from "./intervals.js";
import type { SetElement } from "./messages.js";

type Match = Extract<NftStatement, { kind: "match" }>;

/** Elements of a set that a rule looks in. */
export interface SetContents {
  readonly flags: number;
  readonly elements: readonly SetElement[];
}

/** A statement, and how many expressions it took. */
export type Step = readonly [statement: NftStatement, expressions: number];
export const familyProtocols: Partial<Record<NftFamily, number>> = { ip: k.NFPROTO_IPV4, ip6: k.NFPROTO_IPV6 };

/** Below IP the EtherType stands for the protocol family, where a field of that family follows. */
export function readEtherType(family: NftFamily, [load, test, next]: readonly Expression[]): Step | undefined {
  if (family !== "bridge" && family !== "netdev") return undefined;
  if (load?.data?.meta?.key !== k.NFT_META_PROTOCOL || test?.data?.cmp?.op !== k.NFT_CMP_EQ) return undefined;
  const [high, low] = test.data.cmp.data?.value ?? [];
  const value =
    high === 0x08 && low === 0x00 ? k.NFPROTO_IPV4 : high === 0x86 && low === 0xdd ? k.NFPROTO_IPV6 : undefined;
  if (value === undefined || next === undefined || fieldOf(next, { nfproto: value }) === undefined) return undefined;
  return [{ kind: "match", field: "nfproto", op: "==", value }, 2];
}

/** A load, perhaps a mask, and what the register is compared with. */
export function readMatch(
  [load, second, third]: readonly Expression[],
  sets: ReadonlyMap<string, SetContents>,
  known: Known,
): Step | undefined {
  if (load === undefined || second === undefined) return undefined;
  const field = fieldOf(load, known);
  if (field === undefined) return undefined;
  const { type } = fields[field];
  const { cmp, range, lookup, bitwise } = second.data ?? {};
  if (cmp !== undefined) return readComparison(field, type, load, cmp, third?.data?.cmp);
  if (range?.from?.value !== undefined && range.to?.value !== undefined) {
    const value = { from: type.decode(range.from.value), to: type.decode(range.to.value) };
    return [{ kind: "match", field, op: range.op === k.NFT_CMP_NEQ ? "!=" : "==", value }, 2];
  }
  if (lookup !== undefined) {
    const contents = sets.get(lookup.set ?? "");
    if (contents === undefined || lookup.dreg !== undefined) return undefined;
    const op = ((lookup.flags ?? 0) & k.NFT_LOOKUP_F_INV) === 0 ? "==" : "!=";
    return [{ kind: "match", field, op, value: readSet(type, contents) }, 2];
  }
  if (bitwise !== undefined && third?.data?.cmp !== undefined) {
    const match = readMasked(field, type, bitwise, third.data.cmp);
    return match === undefined ? undefined : [match, 3];
  }
  return undefined;
}

type Cmp = NonNullable<ExpressionData["cmp"]>;
type Bitwise = NonNullable<ExpressionData["bitwise"]>;

function readComparison(
  field: NftField,
  type: DataType,
  load: Expression,
  cmp: Cmp,
  next: Cmp | undefined,
): Step | undefined {
  const value = cmp.data?.value;
  const op = operatorOf(cmp.op);
  if (value === undefined || op === undefined) return undefined;
  const upper = next?.data?.value;
  if (cmp.op === k.NFT_CMP_GTE && next?.op === k.NFT_CMP_LTE && upper !== undefined) {
    return [{ kind: "match", field, op: "==", value: { from: type.decode(value), to: type.decode(upper) } }, 3];
  }
  const length = load.data?.payload?.length ?? type.size;
  if (length < type.size) {
    const whole = new Uint8Array(type.size);
    whole.set(value.subarray(0, type.size));
    return [{ kind: "match", field, op, value: `${type.decode(whole)}/${8 * length}` }, 2];
  }
  return [{ kind: "match", field, op, value: type.decode(value) }, 2];
}

/** `ct state established,related`, or `ip saddr 10.0.0.0/12`. */
function readMasked(field: NftField, type: DataType, bitwise: Bitwise, cmp: Cmp): Match | undefined {
  const mask = bitwise.mask?.value;
  const value = cmp.data?.value;
  const op = operatorOf(cmp.op);
  const plain = bitwise.xor?.value?.every((byte) => byte === 0) ?? true;
  if (mask === undefined || value === undefined || !plain || (op !== "==" && op !== "!=")) return undefined;
  if (type.prefixes === true) {
    const length = prefixLength(mask);
    return length === undefined ? undefined : { kind: "match", field, op, value: `${type.decode(value)}/${length}` };
  }
  if (type.bits === undefined || value.some((byte) => byte !== 0)) return undefined;
  const set = type.decode(mask);
  const names = bitNames(type.bits, Number(set));
  if (names === undefined) return undefined;
  const [only] = names;
  return {
    kind: "match",
    field,
    op: op === "!=" ? "==" : "!=",
    value: names.length === 1 && only !== undefined ? only : names,
  };
}

/** @returns undefined where a bit has no name */
function bitNames(bits: Readonly<Record<string, number>>, mask: number): string[] | undefined {
  const names = Object.entries(bits).filter(([, bit]) => (mask & bit) !== 0);
  const covered = names.reduce((all, [, bit]) => all | bit, 0);
  return covered === mask && names.length > 0 ? names.map(([name]) => name) : undefined;
}

function readSet(type: DataType, { flags, elements }: SetContents): (string | number | NftRange)[] {
  if ((flags & k.NFT_SET_INTERVAL) === 0) {
    // A hash gives them in any order.
    const keys = elements.flatMap(({ key }) => (key?.value === undefined ? [] : [key.value]));
    return keys.sort(compareBytes).map((key) => readElement(type, key));
  }
  return fromElements(elements).map((interval) => {
    const from = type.decode(interval.from);
    const length = type.prefixes === true ? intervalPrefix(interval) : undefined;
    if (length !== undefined) return length === 8 * type.size ? from : `${from}/${length}`;
    const to = type.decode(interval.to);
    return from === to ? from : { from, to };
  });
}

function readElement(type: DataType, value: Uint8Array): string | number {
  const number = type.decode(value);
  const names = type.bits === undefined ? undefined : bitNames(type.bits, Number(number));
  return names?.length === 1 ? (names[0] ?? number) : number;
}

function operatorOf(number: number | undefined): Match["op"] | undefined {
  return (Object.entries(k.comparisons) as [Match["op"], number][]).find(([, value]) => value === number)?.[0];
}
