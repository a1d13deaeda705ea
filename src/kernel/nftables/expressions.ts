/** Schemas of the expressions that rules are made of (NFTA_EXPR_*; linux/netfilter/nf_tables.h). All big-endian. */
import { type Infer, attributes, be16, be32, beCount64, bes32, bytes, cstr, u8, variant } from "../codec/index.js";

/** NFTA_VERDICT_*. */
export const verdict = attributes({ code: [1, bes32], chain: [2, cstr] });
/** NFTA_DATA_*: a register's value, in the byte order of what it is compared with, or a verdict. */
export const data = attributes({ value: [1, bytes], verdict: [2, verdict] });

export const expressionSchemas = {
  meta: attributes({ key: [2, be32], dreg: [1, be32], sreg: [3, be32] }),
  payload: attributes({
    dreg: [1, be32],
    base: [2, be32],
    offset: [3, be32],
    length: [4, be32],
    sreg: [5, be32],
    checksumType: [6, be32],
    checksumOffset: [7, be32],
    checksumFlags: [8, be32],
  }),
  cmp: attributes({ sreg: [1, be32], op: [2, be32], data: [3, data] }),
  range: attributes({ sreg: [1, be32], op: [2, be32], from: [3, data], to: [4, data] }),
  bitwise: attributes({
    sreg: [1, be32],
    dreg: [2, be32],
    length: [3, be32],
    op: [6, be32],
    mask: [4, data],
    xor: [5, data],
    data: [7, data],
  }),
  ct: attributes({ key: [2, be32], dreg: [1, be32], direction: [3, u8], sreg: [4, be32] }),
  fib: attributes({ flags: [3, be32], result: [2, be32], dreg: [1, be32] }),
  immediate: attributes({ dreg: [1, be32], data: [2, data] }),
  counter: attributes({ bytes: [1, beCount64], packets: [2, beCount64] }),
  lookup: attributes({ sreg: [2, be32], set: [1, cstr], dreg: [3, be32], setId: [4, be32], flags: [5, be32] }),
  nat: attributes({
    type: [1, be32],
    family: [2, be32],
    addressMinimum: [3, be32],
    addressMaximum: [4, be32],
    portMinimum: [5, be32],
    portMaximum: [6, be32],
    flags: [7, be32],
  }),
  masq: attributes({ flags: [1, be32], portMinimum: [2, be32], portMaximum: [3, be32] }),
  redir: attributes({ portMinimum: [1, be32], portMaximum: [2, be32], flags: [3, be32] }),
  // The group is a be16 on the wire, whatever the header's comment says (nft_log.c).
  log: attributes({
    group: [1, be16],
    prefix: [2, cstr],
    snapshotLength: [3, be32],
    queueThreshold: [4, be16],
    level: [5, be32],
    flags: [6, be32],
  }),
  limit: attributes({
    rate: [1, beCount64],
    unit: [2, beCount64],
    burst: [3, be32],
    type: [4, be32],
    flags: [5, be32],
  }),
  reject: attributes({ type: [1, be32], code: [2, u8] }),
  // iptables-nft's own matches and targets (nft_compat.c): name, revision and a struct that only they can read.
  match: attributes({ name: [1, cstr], revision: [2, be32], info: [3, bytes] }),
  target: attributes({ name: [1, cstr], revision: [2, be32], info: [3, bytes] }),
};

/** NFTA_EXPR_*: a name, and attributes that depend on it. */
export const expression = attributes({ name: [1, cstr], data: [2, variant("name", expressionSchemas)] });
export type Expression = Infer<typeof expression>;
export type ExpressionData = NonNullable<Expression["data"]>;
type ExpressionName = keyof typeof expressionSchemas;

/** `make("meta", { key: 6, dreg: 1 })`. */
export function make<N extends ExpressionName>(name: N, value: Infer<(typeof expressionSchemas)[N]>): Expression {
  return { name, data: { [name]: value } };
}
