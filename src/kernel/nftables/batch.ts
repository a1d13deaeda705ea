/**
 * A batch: what the kernel commits wholly or not at all (nfnetlink.c). Its messages stand between two brackets; without
 * the second nothing is committed, though every message is acknowledged.
 */
import type { Codec, Headed } from "../codec/index.js";
import { NETLINK_NETFILTER, NLM_F_ACK } from "../framing.js";
import { type Request, type RequestSpecification, request } from "../request.js";
import * as k from "./constants.js";
import { batchMessage, nfgenmsg } from "./messages.js";

type Header = typeof nfgenmsg.zero;

export interface Change<A> {
  /** NFT_MSG_*. */
  readonly type: number;
  /** NLM_F_CREATE and the like. */
  readonly flags: number;
  /** NFPROTO_*. */
  readonly family: number;
  readonly schema: Codec<Headed<Header, A>>;
  readonly attributes: A;
  readonly operation: string;
  readonly object?: string | undefined;
}

/**
 * A message that belongs between the brackets. It asks for no acknowledgement: the kernel reports every failure anyway,
 * and only 256 acknowledgements fit a receive buffer.
 */
export function change<A>({ type, flags, family, schema, attributes, operation, object }: Change<A>): Request<void> {
  return silent({
    protocol: NETLINK_NETFILTER,
    type,
    flags,
    schema,
    value: { header: { ...nfgenmsg.zero, family }, attributes },
    operation,
    object,
    result: () => undefined,
  });
}

/** A request that is answered only when it fails. */
function silent<V>(specification: RequestSpecification<V, never, never, void>): Request<void> {
  return { ...request(specification), answer: "silence" };
}

/**
 * Puts the brackets around changes: for `NetlinkClient.transact`.
 * @param generation of the ruleset that the changes were made for: if it has changed, the batch fails with ERESTART
 */
export function batch(changes: readonly Request<unknown>[], generation?: number): Request<unknown>[] {
  const last = changes.length - 1;
  return [
    bracket(k.NFNL_MSG_BATCH_BEGIN, generation),
    ...changes.map((each, index) => (index === last ? acknowledged(each) : each)),
    bracket(k.NFNL_MSG_BATCH_END),
  ];
}

function acknowledged<T>(made: Request<T>): Request<T> {
  return { ...made, flags: made.flags | NLM_F_ACK, answer: "ack" };
}

function bracket(type: number, generation?: number): Request<void> {
  return silent({
    protocol: NETLINK_NETFILTER,
    type,
    flags: 0,
    schema: batchMessage,
    value: {
      header: { ...nfgenmsg.zero, resource: k.NFNL_SUBSYS_NFTABLES },
      attributes: { generation },
    },
    operation: type === k.NFNL_MSG_BATCH_BEGIN ? "nftables.begin" : "nftables.commit",
    needs: { name: "nf_tables", symbol: "CONFIG_NF_TABLES" },
    result: () => undefined,
  });
}
