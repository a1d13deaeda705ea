/** Sockets of a namespace, listed and destroyed (sock_diag(7); linux/inet_diag.h; `ss`, `ss -K`). */
import type { NetlinkClient } from "./client.js";
import {
  type Codec,
  type Infer,
  attributes,
  be16,
  fixedBytes,
  formatIpv4,
  formatIpv6,
  headed,
  struct,
  u32,
  u8,
} from "./codec/index.js";
import type { Feature } from "./errors.js";
import { NETLINK_SOCK_DIAG, NLM_F_ACK, NLM_F_DUMP } from "./framing.js";
import { type Request, request } from "./request.js";

const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const INET_DIAG_SKV6ONLY = 11;
const AF_INET = 2;
const AF_INET6 = 10;
const protocols = { tcp: 6, udp: 17 } as const;

/** struct inet_diag_sockid. The cookie names the socket for ever: ports alone may be used again. */
const socketId = struct(48, {
  sourcePort: [0, be16],
  destinationPort: [2, be16],
  source: [4, fixedBytes(16)],
  destination: [20, fixedBytes(16)],
  index: [36, u32],
  cookie: [40, fixedBytes(8)],
});
const none = attributes({});
/** struct inet_diag_req_v2. */
const inetRequest = headed(
  struct(56, { family: [0, u8], protocol: [1, u8], extensions: [2, u8], states: [4, u32], id: [8, socketId] }),
  none,
);
/** struct inet_diag_msg. */
export const inetMessage = headed(
  struct(72, {
    family: [0, u8],
    state: [1, u8],
    timer: [2, u8],
    retransmissions: [3, u8],
    id: [4, socketId],
    expires: [52, u32],
    receiveQueue: [56, u32],
    sendQueue: [60, u32],
    uid: [64, u32],
    inode: [68, u32],
  }),
  attributes({ v6only: [INET_DIAG_SKV6ONLY, u8] }),
);

/** enum of net/tcp_states.h. */
const states = [
  "unknown",
  "established",
  "syn_sent",
  "syn_recv",
  "fin_wait1",
  "fin_wait2",
  "time_wait",
  "close",
  "close_wait",
  "last_ack",
  "listen",
  "closing",
  "new_syn_recv",
] as const;
export type SocketState = (typeof states)[number];

export interface InetSocket {
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  readonly state: SocketState;
  readonly address: string;
  readonly port: number;
  readonly peerAddress: string;
  readonly peerPort: number;
  /** Bytes that wait to be read; of a TCP listener, connections that wait to be accepted. */
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly uid: number;
  /** As in /proc/PID/fd: 0 where no process holds it. */
  readonly inode: number;
  /** Index of the interface that it is bound to. */
  readonly boundTo?: number;
  /** Of IPv6: takes no IPv4. */
  readonly v6only?: true;
  /** Names the socket to the kernel. */
  readonly id: Infer<typeof socketId>;
}

export interface SocketFilter {
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  /** Default: all. */
  readonly states?: readonly SocketState[];
}

const diag: Feature = { name: "socket diagnosis", symbol: "CONFIG_INET_DIAG" };
const diagDestroy: Feature = { name: "destruction of sockets", symbol: "CONFIG_INET_DIAG_DESTROY" };

export function list({ protocol, family, states: wanted }: SocketFilter): Request<InetSocket[]> {
  return request({
    protocol: NETLINK_SOCK_DIAG,
    type: SOCK_DIAG_BY_FAMILY,
    flags: NLM_F_DUMP,
    reads: true,
    schema: inetRequest,
    value: {
      header: {
        family: family === 4 ? AF_INET : AF_INET6,
        protocol: protocols[protocol],
        extensions: 0,
        states:
          wanted === undefined ? 0xffffffff : wanted.reduce((mask, name) => mask | (1 << states.indexOf(name)), 0),
        id: socketId.zero,
      },
      attributes: {},
    },
    operation: "socket.list",
    object: `${protocol}${family}`,
    needs: diag,
    replySchema: inetMessage,
    reply: inetMessage,
    item: ({ header, attributes: { v6only } }) => toSocket(header, protocol, v6only === 1),
    result: (all) => all,
  });
}

/** Sockets that wait for others: TCP listeners, and UDP sockets that are not connected. */
export function listListeners(client: NetlinkClient): InetSocket[] {
  return families.flatMap((family) => [
    ...client.execute(list({ protocol: "tcp", family, states: ["listen"] })),
    ...client.execute(list({ protocol: "udp", family, states: ["close"] })),
  ]);
}

/** Ends a connection as if it had been reset: its process sees ECONNABORTED, and nothing lingers. Throws ENOENT where it is gone. */
export function destroy({ protocol, family, state, id, port }: InetSocket): Request<void> {
  return request({
    protocol: NETLINK_SOCK_DIAG,
    type: SOCK_DESTROY,
    flags: NLM_F_ACK,
    schema: inetRequest,
    value: {
      header: {
        family: family === 4 ? AF_INET : AF_INET6,
        protocol: protocols[protocol],
        extensions: 0,
        states: 1 << states.indexOf(state),
        id,
      },
      attributes: {},
    },
    operation: "socket.destroy",
    object: `${protocol} port ${port}`,
    needs: diagDestroy,
    result: () => undefined,
  });
}

const families = [4, 6] as const;

/**
 * Destroys every TCP and UDP socket of the client's namespace: one with unsent data holds a namespace for minutes.
 * @returns how many; what went by itself meanwhile is not counted
 */
export function destroyAll(client: NetlinkClient): number {
  const all = families.flatMap((family) => [
    ...client.execute(list({ protocol: "tcp", family })),
    ...client.execute(list({ protocol: "udp", family })),
  ]);
  let destroyed = 0;
  for (const outcome of client.pipeline(all.map(destroy))) {
    if (outcome.ok) destroyed++;
    else if (!("code" in outcome.error) || outcome.error.code !== "ENOENT") throw outcome.error;
  }
  return destroyed;
}

type Header = typeof inetMessage extends Codec<{ readonly header: infer H }> ? H : never;

export function toSocket(header: Header, protocol: "tcp" | "udp", v6only = false): InetSocket {
  const family = header.family === AF_INET6 ? 6 : 4;
  const format = family === 4 ? formatIpv4 : formatIpv6;
  const { id, receiveQueue, sendQueue, uid, inode } = header;
  return {
    protocol,
    family,
    state: states[header.state] ?? "unknown",
    address: format(id.source),
    port: id.sourcePort,
    peerAddress: format(id.destination),
    peerPort: id.destinationPort,
    receiveQueue,
    sendQueue,
    uid,
    inode,
    ...(id.index === 0 ? {} : { boundTo: id.index }),
    ...(v6only ? { v6only: true as const } : {}),
    id,
  };
}
