/**
 * The machine as a lab builds on it while a plan is carried out: every step is in the journal before it is taken, and
 * every link and table carries the lab's mark.
 */
import { links } from "../../kernel/index.js";
import type { NftTable } from "../../model/nft.js";
import type { OperationBody } from "../../plan/operation.js";
import type { NodeRequest } from "../node-request.js";
import { sideEffectsOf } from "./forwarding.js";
import type { Journal, Made } from "./journal.js";
import { aliasOf, altnameOf, tableNameOf, tablesForMachine } from "./mark.js";

export class MachineSite {
  /**
   * @param node the node that stands for the machine
   * @param interfaces names of the lab's interfaces on it
   * @param forwarders who forwards on the machine beside the lab
   */
  constructor(
    readonly lab: string,
    readonly node: string,
    readonly journal: Journal,
    private readonly interfaces: readonly string[],
    private readonly forwarders: readonly string[],
  ) {}

  /** To be called before a batch is carried out: what it makes goes into the journal. */
  before(batch: readonly OperationBody[]): void {
    this.journal.make(...batch.flatMap((operation) => this.#made(operation)));
  }

  /** To be called after a batch was carried out: what it took away leaves the journal. */
  after(batch: readonly OperationBody[]): void {
    this.journal.gone(...batch.flatMap((operation) => this.#unmade(operation)));
  }

  /** What a link of this node is made with; nothing for another node's. */
  group(node: string): { readonly group?: number } {
    return node === this.node ? { group: this.journal.header.group } : {};
  }

  /** Requests that mark a link that was just made. */
  mark(node: string, name: string, index: number): NodeRequest[] {
    if (node !== this.node) return [];
    return [
      { node, request: links.addAltname(index, altnameOf(this.lab, name)), later: true },
      { node, request: links.set(index, { alias: aliasOf(this.lab, node, name) }), later: true },
    ];
  }

  /** The tables of a node as they shall stand in the kernel. */
  tables(node: string, tables: readonly NftTable[]): readonly NftTable[] {
    return node === this.node ? tablesForMachine(this.lab, tables, this.interfaces) : tables;
  }

  #made(operation: OperationBody): Made[] {
    if (operation.kind === "veth.create")
      return operation.ends
        .filter((end) => end.node === this.node)
        .map((end) => ({ kind: "link", name: end.interface }));
    if (!("node" in operation) || operation.node !== this.node) return [];
    switch (operation.kind) {
      case "bridge.create":
        return [{ kind: "link", name: operation.bridge.name }];
      case "device.create":
        return [{ kind: "link", name: operation.device.name }];
      case "address.add":
        return [{ kind: "address", interface: operation.interface, address: operation.address }];
      case "route.add":
        return [{ kind: "route", route: operation.route }];
      case "rule.add":
        return [{ kind: "policy rule", rule: operation.rule }];
      case "neighbour.add":
        return [{ kind: "neighbour", neighbour: operation.neighbour }];
      case "nftables.replace":
        return operation.tables.map(({ family, name }) => ({
          kind: "table",
          family,
          name: tableNameOf(this.lab, name),
        }));
      case "sysctl.write":
        return operation.entries.flatMap(({ name, value, previous }): Made[] =>
          previous === undefined
            ? []
            : [{ kind: "sysctl", name, value, previous, beside: sideEffectsOf(name), users: this.forwarders }],
        );
      default:
        return [];
    }
  }

  #unmade(operation: OperationBody): Made[] {
    if (!("node" in operation) || operation.node !== this.node) return [];
    switch (operation.kind) {
      case "link.delete":
        return [{ kind: "link", name: operation.interface }];
      case "address.remove":
        return [{ kind: "address", interface: operation.interface, address: operation.address }];
      case "route.remove":
        return [{ kind: "route", route: operation.route }];
      case "rule.remove":
        return [{ kind: "policy rule", rule: operation.rule }];
      case "neighbour.remove":
        return [{ kind: "neighbour", neighbour: operation.neighbour }];
      default:
        return [];
    }
  }
}
