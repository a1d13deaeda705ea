/** Interfaces that come and go in a node after a trace has begun: taps are where interfaces were. */
import type { NodeLine } from "../init/api.js";
import { groups, links, listenRoute, NETLINK_ROUTE, NetlinkClient, NetlinkSocket } from "../kernel/index.js";

export interface LinkNews {
  /** Told once, when it is up: before, it may still be moved elsewhere, as the container's end of a pair that Docker makes. */
  readonly onLink: (name: string) => void;
  /** An interface was removed, or moved to another namespace. */
  readonly onGone: (index: number) => void;
}

/**
 * Listens to the links of a node until disposed of.
 * @param known indexes of the interfaces that are no news
 */
export function followLinks(
  line: NodeLine,
  node: string,
  known: Iterable<number>,
  { onLink, onGone }: LinkNews,
): Disposable {
  const told = new Set(known);
  const tell = (index: number, name: string, up: boolean): void => {
    if (!up || told.has(index)) return;
    told.add(index);
    onLink(name);
  };
  const socket = new NetlinkSocket(line.openNetlink(node, NETLINK_ROUTE), NETLINK_ROUTE);
  return listenRoute(
    socket,
    {
      onEvent(event) {
        if (event.kind !== "link") return;
        const { index, name, up } = event.link;
        if (!event.removed) tell(index, name, up);
        // AF_BRIDGE tells of a port that leaves its bridge in the same words; the link itself is told of as AF_UNSPEC.
        else if (told.delete(index)) onGone(index);
      },
      onResync() {
        using client = NetlinkClient.adopt(line.openNetlink(node, NETLINK_ROUTE), NETLINK_ROUTE, { node });
        for (const { index, name, up } of client.execute(links.list())) tell(index, name, up);
      },
    },
    { groups: [groups.RTNLGRP_LINK], keepsAlive: false },
  );
}
