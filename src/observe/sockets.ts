/** The netlink sockets of a lab's nodes: opened by init in the node when first asked for, driven from here. */
import type { InitLine } from "../init/api.js";
import { NetlinkClient } from "../kernel/client.js";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG } from "../kernel/framing.js";
import { closeQuietly } from "../kernel/syscalls.js";

export class NodeSockets implements Disposable {
  readonly #clients = new Map<string, NetlinkClient>();
  readonly #namespaces = new Map<string, number>();

  constructor(
    private readonly line: InitLine,
    private readonly onWarning: (text: string) => void = () => undefined,
  ) {}

  route(node: string): NetlinkClient {
    return this.#client(node, NETLINK_ROUTE);
  }

  netfilter(node: string): NetlinkClient {
    return this.#client(node, NETLINK_NETFILTER);
  }

  diagnosis(node: string): NetlinkClient {
    return this.#client(node, NETLINK_SOCK_DIAG);
  }

  /** Descriptor of the node's network namespace. Stays ours. */
  namespace(node: string): number {
    let descriptor = this.#namespaces.get(node);
    if (descriptor === undefined) {
      descriptor = this.line.openNamespace(node);
      this.#namespaces.set(node, descriptor);
    }
    return descriptor;
  }

  /** Closes what is open in a node: an open socket would keep its namespace alive. */
  forget(node: string): void {
    for (const protocol of [NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_SOCK_DIAG]) {
      this.#clients.get(key(node, protocol))?.[Symbol.dispose]();
      this.#clients.delete(key(node, protocol));
    }
    const descriptor = this.#namespaces.get(node);
    if (descriptor !== undefined) closeQuietly(descriptor);
    this.#namespaces.delete(node);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
    for (const descriptor of this.#namespaces.values()) closeQuietly(descriptor);
    this.#clients.clear();
    this.#namespaces.clear();
  }

  #client(node: string, protocol: number): NetlinkClient {
    let client = this.#clients.get(key(node, protocol));
    if (client === undefined) {
      client = NetlinkClient.adopt(this.line.openNetlink(node, protocol), protocol, {
        node,
        onWarning: ({ operation, object, text }) =>
          this.onWarning(`${operation}${object === undefined ? "" : ` ${object}`} in ${node}: ${text}`),
      });
      this.#clients.set(key(node, protocol), client);
    }
    return client;
  }
}

function key(node: string, protocol: number): string {
  return `${protocol} ${node}`;
}
