/** Events of connection tracking. */
import { type ListenOptions, type Listener, listen } from "../events.js";
import { NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE } from "../nftables/constants.js";
import type { NetlinkSocket } from "../transport.js";
import { type Flow, type FlowEventKind, eventKind, toFlow } from "./flows.js";
import { conntrackMessage } from "./messages.js";

export interface FlowEvent {
  readonly kind: FlowEventKind;
  readonly flow: Flow;
}

/** NEW, UPDATE and DESTROY of every flow in the socket's namespace. The socket (NETLINK_NETFILTER) becomes ours. */
export function listenFlows(socket: NetlinkSocket, listener: Listener<FlowEvent>, options?: ListenOptions): Disposable {
  return listen(
    socket,
    [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY],
    ({ type, flags, input, start, end }) => {
      const kind = eventKind(type, flags);
      const flow = kind === undefined ? undefined : toFlow(conntrackMessage.read(input, start, end, {}));
      return kind === undefined || flow === undefined ? undefined : { kind, flow };
    },
    listener,
    options,
  );
}
