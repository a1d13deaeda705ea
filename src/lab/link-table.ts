/**
 * Indexes of links by name, per node. New links are made with an index chosen here, so that addresses and routes can be
 * sent in the same breath, without asking the kernel which index it gave.
 */
import { links } from "../kernel/index.js";
import { Failure } from "../model/failure.js";
import type { NodeSockets } from "../observe/sockets.js";

const loopback = 1;

interface Known {
  readonly indexes: Map<string, number>;
  /** Of all that it ever had. */
  highest: number;
}

export class LinkTable {
  readonly #nodes = new Map<string, Known>();

  constructor(private readonly sockets: NodeSockets) {}

  /** A node that was just made has `lo` and nothing else. */
  fresh(node: string): void {
    this.#nodes.set(node, { indexes: new Map([["lo", loopback]]), highest: loopback });
  }

  forget(node: string): void {
    this.#nodes.delete(node);
  }

  /** @throws Failure (kernel) where the node has no such link */
  index(node: string, name: string): number {
    const index = this.#node(node).indexes.get(name);
    if (index === undefined)
      throw new Failure("kernel", `node '${node}' has no interface '${name}'`, { code: "ENODEV" });
    return index;
  }

  /** An index for a link that is about to be made. */
  reserve(node: string, name: string): number {
    const known = this.#node(node);
    known.highest += 1;
    known.indexes.set(name, known.highest);
    return known.highest;
  }

  release(node: string, name: string): void {
    this.#node(node).indexes.delete(name);
  }

  #node(node: string): Known {
    let known = this.#nodes.get(node);
    if (known === undefined) {
      const list = this.sockets.route(node).execute(links.list({ statistics: false }));
      const indexes = new Map(
        list.flatMap(({ name, altnames, index }) => [name, ...altnames].map((each) => [each, index])),
      );
      known = { indexes, highest: Math.max(...indexes.values()) };
      this.#nodes.set(node, known);
    }
    return known;
  }
}
