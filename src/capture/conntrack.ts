/** Follows the connection tracking of a node: what NAT does to a flow, told by the kernel itself. */
import type { NodeLine } from "../init/api.js";
import { conntrack, NETLINK_NETFILTER, NetlinkClient, NetlinkSocket } from "../kernel/index.js";
import type { ConntrackEvent } from "../model/conntrack.js";
import { toFlow } from "../observe/flows.js";

/** Room for a burst of events: each takes about 1 KiB of it. The kernel may give less in a user namespace. */
const receiveBuffer = 4 << 20;

/**
 * Listens to the flows of a node until disposed of. After an overrun the table is read anew, so that flows whose events
 * were lost are told as updates.
 */
export function followConntrack(line: NodeLine, node: string, onEvent: (event: ConntrackEvent) => void): Disposable {
  const socket = new NetlinkSocket(line.openNetlink(node, NETLINK_NETFILTER), NETLINK_NETFILTER, { receiveBuffer });
  return conntrack.listenFlows(
    socket,
    {
      onEvent: ({ kind, flow }) => onEvent({ kind, node, flow: toFlow(flow) }),
      onResync: () => {
        using client = NetlinkClient.adopt(line.openNetlink(node, NETLINK_NETFILTER), NETLINK_NETFILTER, { node });
        for (const flow of client.execute(conntrack.flows.list()))
          onEvent({ kind: "update", node, flow: toFlow(flow) });
      },
    },
    { keepsAlive: false },
  );
}
