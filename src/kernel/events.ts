/**
 * Events: multicast messages of the kernel, read in Node's event loop. A socket that listens makes no requests. It joins
 * first, and the state is read afterwards, on another socket, so that nothing is missed between.
 */
import { OverrunError, ProtocolError } from "./errors.js";
import { type Message, eachMessage } from "./framing.js";
import { Watch } from "./poll.js";
import type { NetlinkSocket, TaggedDatagram } from "./transport.js";

export interface Listener<E> {
  onEvent(event: E): void;
  /** The receive buffer overran: events were lost. What was learned from them is to be read anew; listening goes on. */
  onResync(): void;
  /** A message that could not be read, or a socket that failed. Without it, thrown. */
  onError?(error: Error): void;
}

export interface ListenOptions {
  /** False lets the process end while it listens. Default true. */
  readonly keepsAlive?: boolean;
}

/** Datagrams that are read in a row before the event loop gets its turn. */
const FAIR_SHARE = 64;

/**
 * Listens on a socket, which becomes ours, until disposed of.
 * @param read turns a message into an event; undefined for one that is of no interest
 */
export function listen<E>(
  socket: NetlinkSocket,
  groups: readonly number[],
  read: (message: Message, nsid: number | undefined) => E | undefined,
  listener: Listener<E>,
  options: ListenOptions = {},
): Disposable {
  for (const group of groups) socket.join(group);
  let closed = false;

  const dispose = () => {
    if (closed) return;
    closed = true;
    watch[Symbol.dispose]();
    socket[Symbol.dispose]();
  };
  const isClosed = () => closed;

  const fail = (what: string, cause: unknown) => {
    const error = new ProtocolError({ operation: "listen" }, what, { cause });
    if (listener.onError === undefined) throw error;
    listener.onError(error);
  };

  const messagesOf = ({ input }: TaggedDatagram) => {
    const messages: Message[] = [];
    try {
      eachMessage(input, (message) => messages.push(message));
    } catch (error) {
      fail("a datagram is malformed", error);
    }
    return messages;
  };

  const take = (message: Message, nsid: number | undefined) => {
    if (isClosed()) return;
    let event: E | undefined;
    try {
      event = read(message, nsid);
    } catch (error) {
      fail("an event could not be read", error);
      return;
    }
    if (event !== undefined) listener.onEvent(event);
  };

  /** @returns undefined where nothing is left to read */
  const next = (): TaggedDatagram | "lost" | undefined => {
    try {
      return socket.receiveTagged();
    } catch (error) {
      if (error instanceof OverrunError) return "lost";
      dispose();
      fail("the socket failed", error);
      return undefined;
    }
  };

  const drain = () => {
    for (let count = 0; count < FAIR_SHARE && !isClosed(); count++) {
      const datagram = next();
      if (datagram === undefined) return;
      if (datagram === "lost") listener.onResync();
      else for (const message of messagesOf(datagram)) take(message, datagram.nsid);
    }
  };

  const watch = new Watch(socket.fd, drain, options);
  return { [Symbol.dispose]: dispose };
}
