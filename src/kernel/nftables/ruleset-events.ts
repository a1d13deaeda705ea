/** Changes of the ruleset (`nft monitor`): enough to know when what was read is out of date. */
import { type ListenOptions, type Listener, listen } from "../events.js";
import type { NetlinkSocket } from "../transport.js";
import * as k from "./constants.js";
import { generationMessage } from "./messages.js";

/** A transaction was committed. */
export interface RulesetEvent {
  readonly generation: number;
  /** Of the process that did it, as its own namespace numbers it. */
  readonly processId: number | undefined;
  readonly processName: string | undefined;
}

/** The socket (NETLINK_NETFILTER) becomes ours. */
export function listenRuleset(
  socket: NetlinkSocket,
  listener: Listener<RulesetEvent>,
  options?: ListenOptions,
): Disposable {
  return listen(
    socket,
    [k.NFNLGRP_NFTABLES],
    ({ type, input, start, end }) => {
      // Last of each transaction.
      if (type !== k.NFT_MSG_NEWGEN) return undefined;
      const { id = 0, processId, processName } = generationMessage.read(input, start, end, {}).attributes;
      return { generation: id, processId, processName };
    },
    listener,
    options,
  );
}
