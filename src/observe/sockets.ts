/** The netlink sockets of a lab's nodes: opened by init in the node when first asked for, driven from here. */
import type { NodeLine } from "../init/api.js";
import { NetlinkClient } from "../kernel/client.js";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG } from "../kernel/framing.js";
import { closeQuietly } from "../kernel/syscalls.js";

const protocols = { route: NETLINK_ROUTE, netfilter: NETLINK_NETFILTER, diagnosis: NETLINK_SOCK_DIAG } as const;

export type SocketKind = keyof typeof protocols;
const kinds: readonly SocketKind[] = ["route", "netfilter", "diagnosis"];

export class NodeSockets implements Disposable {
  readonly #clients: Readonly<Record<SocketKind, Map<string, NetlinkClient>>> = {
    route: new Map(),
    netfilter: new Map(),
    diagnosis: new Map(),
  };
  readonly #namespaces = new Map<string, number>();
  #disposed = false;

  constructor(
    private readonly line: NodeLine,
    private readonly onWarning: (text: string) => void = () => undefined,
  ) {}

  /**
   * Opens what will be asked for soon in many nodes at once: a round trip to init for 250 of them, where the first use
   * of each would be one of its own, behind whatever else init has been asked. What is open stays.
   */
  async open(nodes: readonly string[], wanted: readonly (SocketKind | "namespace")[]): Promise<void> {
    await Promise.all(
      wanted.map(async (kind) => {
        const held = kind === "namespace" ? this.#namespaces : this.#clients[kind];
        const missing = nodes.filter((node) => !held.has(node));
        if (missing.length === 0) return;
        const opened = await (kind === "namespace"
          ? this.line.openNamespaces(missing)
          : this.line.openNetlinks(missing, protocols[kind]));
        missing.forEach((node, index) => this.#keep(node, kind, opened[index]));
      }),
    );
  }

  route(node: string): NetlinkClient {
    return this.#client(node, "route");
  }

  netfilter(node: string): NetlinkClient {
    return this.#client(node, "netfilter");
  }

  diagnosis(node: string): NetlinkClient {
    return this.#client(node, "diagnosis");
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
    for (const kind of kinds) {
      this.#clients[kind].get(node)?.[Symbol.dispose]();
      this.#clients[kind].delete(node);
    }
    const descriptor = this.#namespaces.get(node);
    if (descriptor !== undefined) closeQuietly(descriptor);
    this.#namespaces.delete(node);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const kind of kinds) {
      for (const client of this.#clients[kind].values()) client[Symbol.dispose]();
      this.#clients[kind].clear();
    }
    for (const descriptor of this.#namespaces.values()) closeQuietly(descriptor);
    this.#namespaces.clear();
  }

  /** Takes over a descriptor that was opened ahead, unless it came too late. */
  #keep(node: string, kind: SocketKind | "namespace", descriptor: number | undefined): void {
    if (descriptor === undefined) return;
    const held = kind === "namespace" ? this.#namespaces : this.#clients[kind];
    if (this.#disposed || held.has(node)) closeQuietly(descriptor);
    else if (kind === "namespace") this.#namespaces.set(node, descriptor);
    else this.#clients[kind].set(node, this.#adopt(node, kind, descriptor));
  }

  #client(node: string, kind: SocketKind): NetlinkClient {
    let client = this.#clients[kind].get(node);
    if (client === undefined) {
      client = this.#adopt(node, kind, this.line.openNetlink(node, protocols[kind]));
      this.#clients[kind].set(node, client);
    }
    return client;
  }

  #adopt(node: string, kind: SocketKind, descriptor: number): NetlinkClient {
    return NetlinkClient.adopt(descriptor, protocols[kind], {
      node,
      onWarning: ({ operation, object, text }) =>
        this.onWarning(`${operation}${object === undefined ? "" : ` ${object}`} in ${node}: ${text}`),
    });
  }
}
