/**
 * A client of the kernel's networking: rtnetlink, nf_tables, connection tracking, sock_diag. Requests are values;
 * a `NetlinkClient` sends them. docs/netlink.md is the way in.
 */
export {
  NetlinkClient,
  type ClientOptions,
  type OpenOptions,
  type Outcome,
  type Outcomes,
  type Warning,
} from "./client.js";
export { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG } from "./framing.js";
export { NetlinkSocket, type SocketOptions, type Transport } from "./transport.js";
export type { Request } from "./request.js";
export * from "./errors.js";
export { MalformedError } from "./codec/index.js";
export { SystemCallError } from "./system-error.js";
export type { ListenOptions, Listener } from "./events.js";
export * from "./rtnetlink/index.js";
export * as nftables from "./nftables/index.js";
export * as conntrack from "./conntrack/index.js";
export * as sockets from "./sockdiag.js";
export { readOffloads, writeOffloads, type Offload } from "./offload.js";
export { FakeTransport, RecordingTransport, ReplayTransport, type RecordedExchange } from "./stand-ins.js";
