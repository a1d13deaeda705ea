/** Expressions -> statements that are no matches: verdicts, NAT, counters, logs, limits. */
import type { NftStatement } from "../../model/nft.js";
import { formatIpv4, formatIpv6 } from "../codec/index.js";
import * as k from "./constants.js";
import type { Step } from "./decompile-match.js";
import type { Expression, ExpressionData } from "./expressions.js";
import { type Known, fields } from "./fields.js";
import { DEFAULT_BURST, limitUnits, rejections } from "./vocabulary.js";

/** What is no match. */
export function readStatement(rest: readonly Expression[], { nfproto }: Known): Step | undefined {
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
