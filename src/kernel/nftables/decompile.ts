/** Expressions of the kernel -> statements of nft(8). What is not understood is shown, never lost. */
import type { NftFamily, NftField, NftRange, NftStatement } from "../../model/nft.js";
import { formatIpv4, formatIpv6, print } from "../codec/index.js";
import { readCompat } from "./compat.js";
import * as k from "./constants.js";
import { DEFAULT_BURST, limitUnits, rejections } from "./compile.js";
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
type Step = readonly [statement: NftStatement, expressions: number];

/** @param sets elements of the sets that the rule looks in, by name */
export function decompileRule(
  family: NftFamily,
  expressions: readonly Expression[],
  sets: ReadonlyMap<string, SetContents> = new Map<string, SetContents>(),
): NftStatement[] {
  const statements: NftStatement[] = [];
  let at = 0;
  while (at < expressions.length) {
    const rest = expressions.slice(at);
    const [first] = rest;
    if (first === undefined) break;
    const known = {
      nfproto: familyProtocols[family] ?? last(statements, "nfproto"),
      l4proto: last(statements, "l4proto"),
    };
    const compat = readCompat(first, known);
    if (compat !== undefined) {
      statements.push(...compat);
      at += 1;
      continue;
    }
    const step =
      readEtherType(family, rest) ??
      readMatch(rest, sets, known) ??
      readStatement(rest, known) ??
      ([unknown(first), 1] as const);
    statements.push(step[0]);
    at += step[1];
  }
  return withoutDependencies(statements);
}

const familyProtocols: Partial<Record<NftFamily, number>> = { ip: k.NFPROTO_IPV4, ip6: k.NFPROTO_IPV6 };

/** What the rule has made sure of so far. */
function last(statements: readonly NftStatement[], field: "l4proto" | "nfproto"): number | undefined {
  const found = statements.findLast((statement) => statement.kind === "match" && statement.field === field);
  return found?.kind === "match" && found.op === "==" && typeof found.value === "number" ? found.value : undefined;
}

/** Below IP the EtherType stands for the protocol family, where a field of that family follows. */
function readEtherType(family: NftFamily, [load, test, next]: readonly Expression[]): Step | undefined {
  if (family !== "bridge" && family !== "netdev") return undefined;
  if (load?.data?.meta?.key !== k.NFT_META_PROTOCOL || test?.data?.cmp?.op !== k.NFT_CMP_EQ) return undefined;
  const [high, low] = test.data.cmp.data?.value ?? [];
  const value =
    high === 0x08 && low === 0x00 ? k.NFPROTO_IPV4 : high === 0x86 && low === 0xdd ? k.NFPROTO_IPV6 : undefined;
  if (value === undefined || next === undefined || fieldOf(next, { nfproto: value }) === undefined) return undefined;
  return [{ kind: "match", field: "nfproto", op: "==", value }, 2];
}

/** Drops what nft would put before the next field by itself, as nft does when it lists a rule. */
function withoutDependencies(statements: readonly NftStatement[]): NftStatement[] {
  return statements.filter((statement, index) => {
    if (statement.kind !== "match" || statement.op !== "==") return true;
    if (statement.field !== "nfproto" && statement.field !== "l4proto") return true;
    // A dependency may stand before another one: nfproto, l4proto, icmp type.
    const next = statements.slice(index + 1).find((later) => !isProtocol(later));
    const between = statements.slice(index + 1).findIndex((later) => !isProtocol(later));
    if (next === undefined || between > 1) return true;
    return !needsOf(next).some((need) => need.field === statement.field && need.value === statement.value);
  });
}

function isProtocol(statement: NftStatement): boolean {
  return statement.kind === "match" && statement.field === "l4proto" && statement.op === "==";
}

function needsOf(statement: NftStatement) {
  if (statement.kind === "match") return fields[statement.field].needs ?? [];
  if (statement.kind !== "reject") return [];
  const { needs } = rejections[statement.with];
  return needs === undefined ? [] : [needs];
}

function unknown({ name = "", data }: Expression): NftStatement {
  const compat = data?.match ?? data?.target;
  if (compat !== undefined) return { kind: "unknown", name, text: `xt ${name} "${compat.name ?? ""}"` };
  return { kind: "unknown", name, text: `${name} ${print(Object.values(data ?? {})[0] ?? {})}`.trim() };
}

/** A load, perhaps a mask, and what the register is compared with. */
function readMatch(
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

/** What is no match. */
function readStatement(rest: readonly Expression[], { nfproto }: Known): Step | undefined {
  const data = rest[0]?.data ?? {};
  if (data.immediate !== undefined) {
    return data.immediate.data?.verdict === undefined ? readRegisters(rest) : readVerdict(data.immediate.data.verdict);
  }
  const { counter, masq, redir, log, limit, reject } = data;
  if (counter !== undefined) {
    return [{ kind: "counter", packets: counter.packets ?? 0, bytes: counter.bytes ?? 0 }, 1];
  }
  if (masq !== undefined) return readMasquerade(masq);
  if (redir !== undefined) return redir.portMinimum === undefined ? [{ kind: "redirect" }, 1] : undefined;
  if (log !== undefined) return readLog(log);
  if (limit !== undefined) return readLimit(limit);
  if (reject !== undefined) return readReject(reject, nfproto);
  return undefined;
}

function readVerdict({
  code,
  chain = "",
}: {
  readonly code?: number | undefined;
  readonly chain?: string | undefined;
}): Step | undefined {
  switch (code) {
    case k.NF_ACCEPT:
      return [{ kind: "accept" }, 1];
    case k.NF_DROP:
      return [{ kind: "drop" }, 1];
    case k.NFT_RETURN:
      return [{ kind: "return" }, 1];
    case k.NFT_CONTINUE:
      return [{ kind: "continue" }, 1];
    case k.NFT_JUMP:
      return [{ kind: "jump", chain }, 1];
    case k.NFT_GOTO:
      return [{ kind: "goto", chain }, 1];
    default:
      return undefined;
  }
}

/** Values put into registers, and the expression that uses them. */
function readRegisters(rest: readonly Expression[]): Step | undefined {
  const registers = new Map<number, Uint8Array>();
  let count = 0;
  for (const { data } of rest) {
    const value = data?.immediate?.data?.value;
    if (value === undefined || data?.immediate?.dreg === undefined) break;
    registers.set(data.immediate.dreg, value);
    count++;
  }
  const { nat, redir, meta } = rest[count]?.data ?? {};
  if (nat !== undefined) return withCount(readNat(nat, registers), count + 1);
  if (redir !== undefined) {
    // The kernel shows the one port as both ends of a range.
    const single = redir.portMaximum === undefined || redir.portMaximum === redir.portMinimum;
    if (!single || redir.flags !== k.NF_NAT_RANGE_PROTO_SPECIFIED) return undefined;
    return withCount({ kind: "redirect", ...portAt("port", registers, redir.portMinimum) }, count + 1);
  }
  if (meta?.sreg !== undefined) return withCount(readMetaSet(meta.key, registers.get(meta.sreg)), count + 1);
  return undefined;
}

function withCount(statement: NftStatement | undefined, count: number): Step | undefined {
  return statement === undefined ? undefined : [statement, count];
}

function readMetaSet(key: number | undefined, value: Uint8Array | undefined): NftStatement | undefined {
  if (value === undefined) return undefined;
  if (key === k.NFT_META_NFTRACE) return { kind: "meta set", key: "nftrace", value: value[0] ?? 0 };
  if (key === k.NFT_META_MARK) return { kind: "meta set", key: "mark", value: Number(fields.mark.type.decode(value)) };
  return undefined;
}

function readNat(
  nat: NonNullable<ExpressionData["nat"]>,
  registers: ReadonlyMap<number, Uint8Array>,
): NftStatement | undefined {
  const { type, family, addressMinimum, addressMaximum, portMinimum, portMaximum, flags = 0 } = nat;
  const otherFlags = flags & ~(k.NF_NAT_RANGE_PROTO_SPECIFIED | NF_NAT_RANGE_MAP_IPS);
  if ((addressMaximum !== undefined && addressMaximum !== addressMinimum) || otherFlags !== 0) return undefined;
  const address = addressMinimum === undefined ? undefined : registers.get(addressMinimum);
  const last = portMaximum === portMinimum ? undefined : portMaximum;
  return {
    kind: type === k.NFT_NAT_SNAT ? "snat" : "dnat",
    family: family === k.NFPROTO_IPV6 ? 6 : 4,
    ...(address === undefined ? {} : { address: address.length === 16 ? formatIpv6(address) : formatIpv4(address) }),
    ...portAt("port", registers, portMinimum),
    ...portAt("toPort", registers, last),
  };
}

/** The kernel adds it where there is an address. */
const NF_NAT_RANGE_MAP_IPS = 1;

function portAt<N extends string>(
  name: N,
  registers: ReadonlyMap<number, Uint8Array>,
  register: number | undefined,
): Partial<Record<N, number>> {
  const value = register === undefined ? undefined : registers.get(register);
  if (value === undefined) return {};
  const found: Partial<Record<string, number>> = { [name]: ((value[0] ?? 0) << 8) | (value[1] ?? 0) };
  return found; // the one key is `name`
}

function readMasquerade({ flags = 0, portMinimum }: NonNullable<ExpressionData["masq"]>): Step | undefined {
  if (portMinimum !== undefined || (flags & ~k.NF_NAT_RANGE_PROTO_RANDOM) !== 0) return undefined;
  return [flags === 0 ? { kind: "masquerade" } : { kind: "masquerade", random: true }, 1];
}

function readLog({ prefix, group, level }: NonNullable<ExpressionData["log"]>): Step {
  return [
    {
      kind: "log",
      ...(prefix === undefined ? {} : { prefix }),
      ...(group === undefined ? {} : { group }),
      ...(level === undefined || level === DEFAULT_LOG_LEVEL ? {} : { level }),
    },
    1,
  ];
}

/** LOGLEVEL_WARNING: the kernel sets it where none is given. */
const DEFAULT_LOG_LEVEL = 4;

function readLimit({ rate, unit, burst, type, flags }: NonNullable<ExpressionData["limit"]>): Step | undefined {
  const per = (Object.keys(limitUnits) as (keyof typeof limitUnits)[]).find((name) => limitUnits[name] === unit);
  // Type 1 counts bytes; flag 1 is "over".
  if (per === undefined || rate === undefined || (type ?? 0) !== 0 || (flags ?? 0) !== 0) return undefined;
  const spelled = burst === undefined || burst === DEFAULT_BURST ? {} : { burst };
  return [{ kind: "limit", rate, per, ...spelled }, 1];
}

function readReject(
  { type, code = 0 }: NonNullable<ExpressionData["reject"]>,
  nfproto: number | undefined,
): Step | undefined {
  const kinds = (Object.keys(rejections) as (keyof typeof rejections)[]).filter(
    (kind) => rejections[kind].type === type,
  );
  // ICMP and ICMPv6 share a type: the rule has looked at the protocol, or its table has one only.
  const kind = kinds.find((candidate) => rejections[candidate].needs?.value === nfproto) ?? kinds[0];
  if (kind === undefined) return undefined;
  return [{ kind: "reject", with: kind, ...(code === rejections[kind].code ? {} : { code }) }, 1];
}
