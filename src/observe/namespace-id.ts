/** Ids that one namespace has for others (RTM_GETNSID, rtnetlink(7)): what IFLA_LINK_NETNSID refers to. */
import { NETLINK_ROUTE } from "../kernel/framing.js";
import { type Request, request } from "../kernel/request.js";
import { RTM_GETNSID } from "../kernel/rtnetlink/constants.js";
import { nsidMessage, rtgenmsg } from "../kernel/rtnetlink/messages.js";

/** The id that the socket's namespace has for the one of a descriptor; undefined where it has none. */
export function namespaceId(fd: number): Request<number | undefined> {
  return request({
    protocol: NETLINK_ROUTE,
    type: RTM_GETNSID,
    flags: 0,
    reads: true,
    schema: nsidMessage,
    value: { header: rtgenmsg.zero, attributes: { fd } },
    operation: "nsid.get",
    reply: nsidMessage,
    result: ([reply]) => {
      const id = reply?.value.attributes.nsid;
      return id === undefined || id < 0 ? undefined : id;
    },
  });
}
