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

  const fail = (cause: unknown) => {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    const wrapped = new ProtocolError({ operation: "listen" }, "an event could not be read", { cause: error });
    if (listener.onError === undefined) throw wrapped;
    listener.onError(wrapped);
  };

  const take = (message: Message, nsid: number | undefined) => {
    let event: E | undefined;
    try {
      event = read(message, nsid);
    } catch (error) {
      fail(error);
      return;
    }
    if (event !== undefined && !isDisposed()) listener.onEvent(event);
  };
  const isDisposed = () => closed;

  const drain = () => {
    for (let count = 0; count < FAIR_SHARE && !isDisposed(); count++) {
      let datagram: TaggedDatagram | undefined;
      try {
        datagram = socket.receiveTagged();
      } catch (error) {
        if (!(error instanceof OverrunError)) throw error;
        listener.onResync();
        continue;
      }
      if (datagram === undefined) return;
      const { bytes, nsid } = datagram;
      eachMessage(bytes, (message) => take(message, nsid));
    }
  };

  const watch = new Watch(socket.fd, drain, options);
  return {
    [Symbol.dispose]() {
      if (closed) return;
      closed = true;
      watch[Symbol.dispose]();
      socket[Symbol.dispose]();
    },
  };
}
