/** The way of datagrams: a netlink socket, or what stands for one in a test (`stand-ins.ts`). */
import { Input } from "./codec/wire.js";
import { OverrunError, TruncatedError } from "./errors.js";
import { NETLINK_ROUTE } from "./framing.js";
import { MessageBlock } from "./message-block.js";
import * as sys from "./syscalls.js";
import { SystemCallError } from "./system-error.js";

const { constants } = sys;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_LISTEN_ALL_NSID = 8;

/** What a send buffer holds besides the datagram (af_netlink.c, netlink_sendmsg: 32 bytes; skb bookkeeping). */
const SEND_OVERHEAD = 1024;
const EAGAIN = 11;

/** The kernel makes parts of a dump no larger than this, whatever the buffer (af_netlink.c, netlink_recvmsg). */
export const RECEIVE_CAPACITY = 32 * 1024;

/** A datagram with where it came from. */
export interface TaggedDatagram {
  /** Valid until the next one is received. */
  readonly input: Input;
  /** The namespace that an event comes from; undefined for the socket's own. */
  readonly nsid: number | undefined;
}

export interface Transport extends Disposable {
  /** Bytes of the socket's receive buffer, as the kernel accounts them: bounds how many answers may be under way. */
  readonly receiveBuffer: number;
  send(datagram: Uint8Array): void;
  /**
   * @returns the next datagram, valid until the next call on any transport; undefined where none is queued. The kernel
   *   works on a request inside send, so what it answers is queued when that returns.
   *   Throws `OverrunError` where the kernel dropped some, `TruncatedError` for one that is too long.
   */
  receive(): Input | undefined;
}

export interface SocketOptions {
  /** Bytes that may wait to be received. An ordinary user cannot go beyond net.core.rmem_max. */
  readonly receiveBuffer?: number;
}

/** struct sockaddr_nl: family u16, pad u16, port u32, groups u32. All zero but the family: the kernel. */
function kernelAddress(): Uint8Array {
  const address = new Uint8Array(12);
  new DataView(address.buffer).setUint16(0, constants.AF_NETLINK, sys.littleEndian);
  return address;
}

/**
 * What requests are answered with is taken in before anything else is asked, on whichever socket: a lab of 1,000 nodes
 * has 3,000 of them.
 */
const answers = new Input(new Uint8Array(RECEIVE_CAPACITY));

/** A netlink socket, driven without waiting. It acts in the network namespace in which the descriptor was opened. */
export class NetlinkSocket implements Transport {
  readonly receiveBuffer: number;
  /** For events: what they set off may ask something of another socket while some of them are still unread. */
  #inbox: Input | undefined;
  /** Where events tell their namespace: recvmsg gives that, and costs more than recv. */
  #block: MessageBlock | undefined;
  #fd: number | undefined;
  #sendBuffer: number;

  /**
   * Adopts a descriptor, wherever it was opened: it is closed by `Symbol.dispose`, and here where this throws. An open one
   * also keeps its namespace alive.
   * @param protocol NETLINK_*
   */
  constructor(fd: number, protocol: number, options: SocketOptions = {}) {
    this.#fd = fd;
    try {
      sys.setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      sys.setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      if (protocol === NETLINK_ROUTE) sys.setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
      if (options.receiveBuffer !== undefined) growReceiveBuffer(fd, options.receiveBuffer);
      this.receiveBuffer = sys.getsockoptInt(fd, constants.SOL_SOCKET, constants.SO_RCVBUF);
      this.#sendBuffer = sys.getsockoptInt(fd, constants.SOL_SOCKET, constants.SO_SNDBUF) - SEND_OVERHEAD;
      // Connected to the kernel, a socket takes datagrams from nobody else.
      sys.connect(fd, kernelAddress());
    } catch (error) {
      sys.closeQuietly(fd);
      throw error;
    }
  }

  /** A new socket in the namespace of this thread. */
  static open(protocol: number, options: SocketOptions = {}): NetlinkSocket {
    const fd = sys.socket(constants.AF_NETLINK, constants.SOCK_RAW | constants.SOCK_NONBLOCK, protocol);
    return new NetlinkSocket(fd, protocol, options);
  }

  /**
   * A new socket in the namespace of a descriptor. The thread is in there only while the socket is made, and nothing
   * else of it runs meanwhile; what cannot come back ends the process. The product does not use this: yapc-init opens
   * its sockets. Needs CAP_SYS_ADMIN in both namespaces.
   */
  static openIn(netnsFd: number, protocol: number, options: SocketOptions = {}): NetlinkSocket {
    const own = sys.open("/proc/thread-self/ns/net", constants.O_RDONLY);
    try {
      sys.setns(netnsFd, constants.CLONE_NEWNET);
      try {
        return NetlinkSocket.open(protocol, options);
      } finally {
        returnTo(own);
      }
    } finally {
      sys.close(own);
    }
  }

  get fd(): number {
    if (this.#fd === undefined) throw new Error("this netlink socket is closed");
    return this.#fd;
  }

  send(datagram: Uint8Array): void {
    // The kernel accounts for a copy and its bookkeeping: what is larger than the send buffer is refused (EMSGSIZE).
    if (datagram.length > this.#sendBuffer) this.#sendBuffer = growSendBuffer(this.fd, 2 * datagram.length);
    if (sys.send(this.fd, datagram, constants.MSG_DONTWAIT) === undefined) {
      throw new SystemCallError(EAGAIN, "send", "netlink socket");
    }
  }

  receive(): Input | undefined {
    return this.#receiveInto(answers);
  }

  #receiveInto(inbox: Input): Input | undefined {
    const length = overrunning(() => sys.recv(this.fd, inbox.bytes, constants.MSG_DONTWAIT | constants.MSG_TRUNC));
    if (length === undefined) return undefined;
    if (length > inbox.bytes.length) throw new TruncatedError(length, inbox.bytes.length);
    inbox.length = length;
    return inbox;
  }

  /** As `receive`, with the namespace id after `listenEverywhere`. */
  receiveTagged(): TaggedDatagram | undefined {
    const block = this.#block;
    if (block === undefined) {
      const input = this.#receiveInto((this.#inbox ??= new Input(new Uint8Array(RECEIVE_CAPACITY))));
      return input === undefined ? undefined : { input, nsid: undefined };
    }
    const message = overrunning(() => block.receive(this.fd, constants.MSG_DONTWAIT));
    if (message === undefined) return undefined;
    if ((message.flags & constants.MSG_TRUNC) !== 0) throw new TruncatedError(block.capacity + 1, block.capacity);
    const tag = message.control.find(({ level, type }) => level === SOL_NETLINK && type === NETLINK_LISTEN_ALL_NSID);
    return { input: new Input(message.bytes), nsid: tag === undefined ? undefined : readNsid(tag.bytes) };
  }

  /** Joins a multicast group (RTNLGRP_*, NFNLGRP_*): by number, not by bit. */
  join(group: number): void {
    sys.setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  /** Events of every namespace that has an nsid in this one (CAP_NET_BROADCAST). Each carries its nsid. */
  listenEverywhere(): void {
    sys.setsockopt(this.fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
    this.#block ??= new MessageBlock(RECEIVE_CAPACITY);
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    sys.closeQuietly(this.#fd);
    this.#fd = undefined;
    this.#block?.[Symbol.dispose]();
  }
}

/** A process whose main thread stays in a foreign namespace would do everything else in the wrong place. */
function returnTo(own: number): void {
  try {
    sys.setns(own, constants.CLONE_NEWNET);
  } catch (error) {
    process.stderr.write(`netlink: cannot return to the own network namespace: ${String(error)}\n`);
    process.abort();
  }
}

/** ENOBUFS: the kernel dropped what did not fit the receive buffer. */
function overrunning<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENOBUFS") throw new OverrunError();
    throw error;
  }
}

function readNsid(bytes: Uint8Array): number | undefined {
  const nsid = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(0, sys.littleEndian);
  return nsid < 0 ? undefined : nsid;
}

function growReceiveBuffer(fd: number, bytes: number): void {
  grow(fd, constants.SO_RCVBUFFORCE, constants.SO_RCVBUF, bytes);
}

/** @returns the datagram that fits now */
function growSendBuffer(fd: number, bytes: number): number {
  grow(fd, constants.SO_SNDBUFFORCE, constants.SO_SNDBUF, bytes);
  return sys.getsockoptInt(fd, constants.SOL_SOCKET, constants.SO_SNDBUF) - SEND_OVERHEAD;
}

/** Past the limit of the machine where that is allowed (CAP_NET_ADMIN in the first user namespace), else up to it. */
function grow(fd: number, forced: number, limited: number, bytes: number): void {
  try {
    sys.setsockopt(fd, constants.SOL_SOCKET, forced, bytes);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== "EPERM") throw error;
    sys.setsockopt(fd, constants.SOL_SOCKET, limited, bytes);
  }
}
