/** What the rules did with packets that a rule marked (`meta nftrace set 1`; `nft monitor trace`). */
import type { NftFamily } from "../../model/nft.js";
import { type ListenOptions, type Listener, listen } from "../events.js";
import type { NetlinkSocket } from "../transport.js";
import * as k from "./constants.js";
import { type TraceMessage, traceMessage } from "./messages.js";
import { familyName } from "./ruleset.js";

export type TraceVerdict =
  | { readonly kind: "accept" | "drop" | "queue" | "stolen" | "continue" | "break" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

/** One step of a packet. Headers and interfaces come with the first step in each hook only. */
export interface TraceEvent {
  /** The same for all steps of one packet in one namespace. */
  readonly id: number;
  readonly family: NftFamily | undefined;
  readonly table: string;
  readonly chain: string;
  /** `rule`: one was met. `policy`: the chain's own verdict. `return`: the chain's end was met. */
  readonly kind: "rule" | "policy" | "return" | "unknown";
  /** Of the rule that was met; absent at the end of a chain (6.18 tells that as a rule without one). */
  readonly ruleHandle: number | undefined;
  readonly verdict: TraceVerdict | undefined;
  readonly inputIndex: number | undefined;
  readonly outputIndex: number | undefined;
  readonly mark: number | undefined;
  /** Bytes of the headers, as far as the kernel copied them. */
  readonly linkHeader: Uint8Array | undefined;
  readonly networkHeader: Uint8Array | undefined;
  readonly transportHeader: Uint8Array | undefined;
  /** Since 6.16. `id` is that of ctnetlink; state 0 means none. */
  readonly conntrack:
    | {
        readonly id: number;
        readonly direction: number | undefined;
        readonly status: number | undefined;
        readonly state: number | undefined;
      }
    | undefined;
}

/** Steps of traced packets in the socket's namespace. The socket (NETLINK_NETFILTER) becomes ours. */
export function listenTrace(
  socket: NetlinkSocket,
  listener: Listener<TraceEvent>,
  options?: ListenOptions,
): Disposable {
  return listen(
    socket,
    [k.NFNLGRP_NFTRACE],
    ({ type, input, start, end }) =>
      type === k.NFT_MSG_TRACE ? toTraceEvent(traceMessage.read(input, start, end, {})) : undefined,
    listener,
    options,
  );
}

const kinds = ["unknown", "policy", "return", "rule"] as const;

export function toTraceEvent({ header, attributes: a }: TraceMessage): TraceEvent {
  const kind = kinds[a.type ?? 0] ?? "unknown";
  return {
    id: a.id ?? 0,
    family: familyName(header.family),
    table: a.table ?? "",
    chain: a.chain ?? "",
    kind,
    ruleHandle: a.ruleHandle,
    verdict: kind === "policy" ? toVerdict(a.policy, undefined) : toVerdict(a.verdict?.code, a.verdict?.chain),
    inputIndex: a.inputIndex,
    outputIndex: a.outputIndex,
    mark: a.mark,
    linkHeader: a.linkHeader,
    networkHeader: a.networkHeader,
    transportHeader: a.transportHeader,
    conntrack:
      a.conntrackId === undefined
        ? undefined
        : {
            id: a.conntrackId,
            direction: a.conntrackDirection,
            status: a.conntrackStatus,
            state: a.conntrackState,
          },
  };
}

function toVerdict(code: number | undefined, chain: string | undefined): TraceVerdict | undefined {
  if (code === k.NFT_JUMP || code === k.NFT_GOTO) {
    return { kind: code === k.NFT_JUMP ? "jump" : "goto", chain: chain ?? "" };
  }
  const kind = code === undefined ? undefined : verdicts.get(code);
  return kind === undefined ? undefined : { kind };
}

const verdicts = new Map<number, Exclude<TraceVerdict["kind"], "jump" | "goto">>([
  [k.NF_DROP, "drop"],
  [k.NF_ACCEPT, "accept"],
  [2, "stolen"],
  [3, "queue"],
  [k.NFT_CONTINUE, "continue"],
  [-2, "break"],
  [k.NFT_RETURN, "return"],
]);
