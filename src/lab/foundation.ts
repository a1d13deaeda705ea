/**
 * What init makes of a plan: the namespaces, and what is written in them. It works some nodes ahead while the kernel is
 * given the links of those that stand: two processes, two processors.
 */
import type { InitLine } from "../init/api.js";
import { Failure } from "../model/failure.js";
import type { NodeSockets } from "../observe/sockets.js";
import type { OperationBody } from "../plan/operation.js";
import type { LinkTable } from "./link-table.js";
import { operationFailure } from "./operation-failure.js";
import { OriginalSysctls } from "./originals.js";
import type { LabFolder } from "./state.js";
import { type SysctlWrite, withValuesBefore } from "./sysctls.js";

export type Founding = Extract<OperationBody, { readonly kind: "node.create" | "sysctl.write" }>;

export function isFounding(operation: OperationBody): operation is Founding {
  return operation.kind === "node.create" || operation.kind === "sysctl.write";
}

/** Nodes that must stand before an operation is carried out. */
export function nodesOf(operation: OperationBody): readonly string[] {
  return "ends" in operation ? operation.ends.map(({ node }) => node) : [operation.node];
}

export interface FoundationContext {
  readonly line: InitLine;
  readonly sockets: NodeSockets;
  readonly links: LinkTable;
  readonly folder: LabFolder;
  /** The node that is the machine itself, if any: what is written there stands in its journal. */
  readonly machineNode: string | undefined;
  /** What was done is added as it is done. */
  readonly done: OperationBody[];
  /** Aborted: nothing more is begun. */
  readonly signal: AbortSignal | undefined;
}

/** How many nodes init is asked for at once, and how many such requests are under way. */
const portion = 8;
const ahead = 3;

export class Foundation {
  readonly #standing = new Map<string, Promise<void>>();
  #begun: Promise<void>[] = [];
  #underWay = 0;
  #failed = false;

  readonly #originals: OriginalSysctls;

  constructor(private readonly context: FoundationContext) {
    this.#originals = new OriginalSysctls(context.folder);
  }

  /** Begins with operations; what was begun before is done before them. */
  begin(operations: readonly Founding[]): void {
    const before = Promise.all(this.#begun);
    const begun: Promise<unknown>[] = [];
    for (const part of portionsOf(operations)) {
      const laid = (begun[begun.length - ahead] ?? before).then(() => this.#lay(part));
      // Where an earlier one fails, nobody asks for it.
      laid.catch(() => (this.#failed = true)).finally(() => this.#underWay--);
      this.#underWay++;
      begun.push(laid);
      this.#begun.push(laid);
      for (const { node } of part) this.#standing.set(node, laid);
    }
  }

  /** Whether nothing is under way. */
  get stands(): boolean {
    return this.#underWay === 0;
  }

  /** Waits for what was begun in some nodes. @throws Failure where some of it cannot be done */
  async under(nodes: Iterable<string>): Promise<void> {
    for (const node of nodes) await this.#standing.get(node);
  }

  /** Waits for all that was begun. @throws Failure where some of it cannot be done */
  async whole(): Promise<void> {
    await Promise.all(this.#begun);
    this.#begun = [];
    this.#standing.clear();
  }

  /** Waits until nothing is under way any more, however it ends. */
  async atRest(): Promise<void> {
    await Promise.allSettled(this.#begun);
  }

  async #lay(operations: readonly Founding[]): Promise<void> {
    const { line, sockets, links, done, signal } = this.context;
    if (signal?.aborted === true || this.#failed) throw new Failure("interrupted", "interrupted");
    const made = operations.filter((operation) => operation.kind === "node.create");
    const writes = operations.filter((operation) => operation.kind === "sysctl.write");
    this.#originals.forget(made.map(({ node }) => node));
    const names = made.map(({ node }) => node);
    // All is sent before the first answer comes: init does one after the other.
    const creation =
      made.length === 0 ? undefined : line.createNodes(made.map(({ node, container }) => ({ name: node, container })));
    const opening = sockets.open(names, ["namespace", "route"]);
    const writing = writes.map((operation, index) => this.#write(operation, (known) => (writes[index] = known)));
    const outcomes = Promise.allSettled(writing);
    const opened = Promise.allSettled([opening]);
    try {
      await creation;
    } catch (error) {
      // What comes after it speaks of nodes that are not there.
      await Promise.all([opened, outcomes]);
      throw error;
    }
    for (const node of names) links.fresh(node);
    done.push(...made);
    // Of one that is refused, some values were written before.
    const results = await outcomes;
    done.push(...writes);
    results.forEach((outcome, index) => {
      const operation = writes[index];
      if (outcome.status === "rejected" && operation !== undefined) throw operationFailure(operation, outcome.reason);
    });
    await opening;
  }

  /** @param onKnown told what can be undone, before anything is written */
  async #write(operation: SysctlWrite, onKnown: (operation: SysctlWrite) => void): Promise<void> {
    const { line, machineNode } = this.context;
    const { node } = operation;
    // Nothing is awaited where nothing need be read: the write follows the making of its node at once.
    const known = operation.entries.some(({ asked }) => asked)
      ? await withValuesBefore(operation, line, node === machineNode ? undefined : this.#originals)
      : operation;
    onKnown(known);
    await line.writeSysctls(
      node,
      known.entries.map(({ name, value, optional }) => [name, value, optional === true]),
    );
  }
}

/** All operations of some nodes each, in the order in which the nodes first come. */
function portionsOf(operations: readonly Founding[]): Founding[][] {
  const byNode = new Map<string, Founding[]>();
  for (const operation of operations) {
    const list = byNode.get(operation.node);
    if (list === undefined) byNode.set(operation.node, [operation]);
    else list.push(operation);
  }
  const lists = [...byNode.values()];
  return Array.from({ length: Math.ceil(lists.length / portion) }, (_, index) =>
    lists.slice(index * portion, (index + 1) * portion).flat(),
  );
}
