/**
 * Carries a plan out. Neighbouring operations of one kind go to the kernel together, one send a node; when one fails,
 * what was done is undone, last first, and the lab is as it was before.
 */
import type { InitLine } from "../init/api.js";
import { NetlinkError, nftables, type NetlinkClient, UnsupportedError, writeOffloads } from "../kernel/index.js";
import { closeQuietly, constants } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import type { NodeSockets } from "../observe/sockets.js";
import { describeBody } from "../plan/describe.js";
import type { Operation, OperationBody } from "../plan/operation.js";
import { undo } from "../plan/undo.js";
import type { ContainerRunner } from "./containers.js";
import { writeHosts } from "./hosts.js";
import { LinkTable } from "./link-table.js";
import { offloadsOf } from "./offloads.js";
import type { NodeRequest } from "./node-request.js";
import { OriginalSysctls } from "./originals.js";
import { isRouted, requestsFor } from "./requests.js";
import { applyShaping } from "./shaping.js";
import { withValuesBefore } from "./sysctls.js";
import type { MachineSite } from "./machine/site.js";
import type { LabFolder } from "./state.js";

export interface ApplyContext {
  readonly line: InitLine;
  readonly sockets: NodeSockets;
  readonly folder: LabFolder;
  readonly containers: ContainerRunner;
  /** After each batch: how many operations are done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** False for a lab that is being made: its end undoes everything. */
  readonly undo: boolean;
  /** Aborted: what was done is undone, and the Failure is `interrupted`. */
  readonly signal?: AbortSignal;
  /** Where a node is the machine itself: marks and journals what is done there. */
  readonly site?: MachineSite;
  /** The last step, when all operations are done: where it throws, they are undone as for any other. */
  readonly onApplied?: () => Promise<void>;
  /** Called when the network stands, before the first container starts. */
  readonly onNetwork?: () => void | Promise<void>;
}

/** @throws Failure; what was done before is undone by then, unless the undoing failed too, which the message says */
export async function apply(operations: readonly Operation[], context: ApplyContext): Promise<void> {
  const links = new LinkTable(context.sockets);
  const done: OperationBody[] = [];
  let networkStands = false;
  const announceNetwork = async (): Promise<void> => {
    if (!networkStands) await context.onNetwork?.();
    networkStands = true;
  };
  try {
    for (const batch of batches(operations)) {
      if (context.signal?.aborted === true) throw new Failure("interrupted", "interrupted");
      if (batch[0]?.kind === "container.start") await announceNetwork();
      await applyBatch(batch, context, links, done);
      context.onProgress?.(done.length, operations.length);
    }
    await announceNetwork();
    await context.onApplied?.();
    // Only now: until here all could be undone.
    for (const operation of operations)
      if (operation.kind === "node.remove") await context.containers.forget(operation.node);
  } catch (error) {
    if (!context.undo) throw error;
    const left = await rollBack(done, context, links);
    if (left.length === 0) throw error;
    const failure = error instanceof Failure ? error : new Failure("kernel", String(error), { cause: error });
    throw new Failure(failure.kind, `${failure.message}; and undoing failed: ${left.join("; ")}`, {
      cause: error,
      hint: "end the lab: yapc-net down",
      code: "NOT_UNDONE",
    });
  }
}

/** Runs of operations of one kind. */
function* batches(operations: readonly Operation[]): Generator<readonly Operation[]> {
  let batch: Operation[] = [];
  for (const operation of operations) {
    if (batch[0] !== undefined && batch[0].kind !== operation.kind) {
      yield batch;
      batch = [];
    }
    batch.push(operation);
  }
  if (batch.length > 0) yield batch;
}

const absent = new Set(["ENOENT", "ESRCH", "ENODEV", "EADDRNOTAVAIL"]);

async function rollBack(done: OperationBody[], context: ApplyContext, links: LinkTable): Promise<string[]> {
  const failures: string[] = [];
  // A Ctrl-C ends what was asked for, not the way back.
  const { signal: _, ...undisturbed } = context;
  for (const operation of done.toReversed())
    for (const inverse of undo(operation))
      try {
        await applyBatch([inverse], undisturbed, links, []);
      } catch (error) {
        // Setting a link down takes its IPv6 addresses and routes with it: what is gone need not be removed.
        if (error instanceof Failure && absent.has(error.code ?? "")) continue;
        failures.push(error instanceof Error ? error.message : String(error));
      }
  return failures;
}

/** Does a batch of one kind; what of it was done is added to `done`, also where it throws. */
async function applyBatch(
  batch: readonly OperationBody[],
  context: ApplyContext,
  links: LinkTable,
  done: OperationBody[],
): Promise<void> {
  context.site?.before(batch);
  await carryOut(batch, context, links, done);
  context.site?.after(batch);
}

async function carryOut(
  batch: readonly OperationBody[],
  context: ApplyContext,
  links: LinkTable,
  done: OperationBody[],
): Promise<void> {
  const [first] = batch;
  if (first === undefined) return;
  if (first.kind === "node.create") {
    const nodes = batch.flatMap((each) =>
      each.kind === "node.create" ? [{ name: each.node, container: each.container }] : [],
    );
    await context.line.createNodes(nodes);
    new OriginalSysctls(context.folder).forget(nodes.map(({ name }) => name));
    for (const { name } of nodes) links.fresh(name);
    done.push(...batch);
    await context.sockets.open(
      nodes.map(({ name }) => name),
      ["namespace", "route"],
    );
    return;
  }
  if (isRouted(first)) {
    const requests = batch
      .filter(isRouted)
      .map((operation) => requestsFor(operation, { links, sockets: context.sockets, site: context.site }));
    send(batch, requests, context.sockets, done);
    writeBatchOffloads(batch, context.line);
    return;
  }
  if (first.kind === "sysctl.write") await applyTogether(await knowingBefore(batch, context), context, links, done);
  else if (independent.has(first.kind)) await applyTogether(batch, context, links, done);
  else
    for (const operation of batch) {
      await applyOne(operation, context, links);
      done.push(operation);
    }
}

/** Writes of sysctls with the values of now, where a file asks for them: before anything is written. */
function knowingBefore(
  batch: readonly OperationBody[],
  { line, folder, site }: ApplyContext,
): Promise<readonly OperationBody[]> {
  const originals = new OriginalSysctls(folder);
  return Promise.all(
    batch.map(async (operation) =>
      operation.kind === "sysctl.write" && operation.entries.some(({ asked }) => asked)
        ? withValuesBefore(operation, line, operation.node === site?.node ? undefined : originals)
        : operation,
    ),
  );
}

/** What rtnetlink has no attribute for goes by ethtool, once the links are there. */
function writeBatchOffloads(batch: readonly OperationBody[], line: InitLine): void {
  for (const operation of batch)
    for (const { node, name, offload } of offloadsOf(operation)) {
      const descriptor = line.openSocket(node, constants.AF_INET, constants.SOCK_DGRAM, 0);
      try {
        writeOffloads(descriptor, name, offload);
      } catch (error) {
        throw operationFailure(operation, error);
      } finally {
        closeQuietly(descriptor);
      }
    }
}

/** Kinds whose operations concern one node each and mostly wait for init. */
const independent = new Set<OperationBody["kind"]>(["sysctl.write", "container.start", "container.stop"]);
/** How many of them are under way at once. */
const together = 16;

/** After a failure, or a Ctrl-C, none begins any more; those under way are waited for, so that they can be undone. */
async function applyTogether(
  batch: readonly OperationBody[],
  context: ApplyContext,
  links: LinkTable,
  done: OperationBody[],
): Promise<void> {
  const waiting = batch.values();
  let failure: unknown;
  const worker = async (): Promise<void> => {
    for (const operation of waiting) {
      try {
        await applyOne(operation, context, links);
        done.push(operation);
      } catch (error) {
        failure ??= error;
        // Some of its values were written before the one that was refused.
        if (operation.kind === "sysctl.write") done.push(operation);
      }
      if (failure !== undefined || context.signal?.aborted === true) return;
    }
  };
  await Promise.all(Array.from({ length: together }, worker));
  if (failure !== undefined) throw failure instanceof Error ? failure : new Error("no reason", { cause: failure });
  if (context.signal?.aborted === true) throw new Failure("interrupted", "interrupted");
}

/** Sends the requests of a batch, one pipeline a node, first the ones that make things, then those that need them. */
function send(
  batch: readonly OperationBody[],
  requests: readonly (readonly NodeRequest[])[],
  sockets: NodeSockets,
  done: OperationBody[],
): void {
  const failed = new Map<OperationBody, Error>();
  const made = new Set<OperationBody>();
  for (const later of [undefined, true] as const) {
    const byNode = new Map<string, { readonly operation: OperationBody; readonly request: NodeRequest["request"] }[]>();
    batch.forEach((operation, index) => {
      if (failed.has(operation)) return;
      for (const each of requests[index] ?? []) {
        if (each.later !== later) continue;
        const list = byNode.get(each.node);
        if (list === undefined) byNode.set(each.node, [{ operation, request: each.request }]);
        else list.push({ operation, request: each.request });
      }
    });
    for (const [node, list] of byNode) {
      const outcomes = sockets.route(node).pipeline(list.map(({ request }) => request));
      outcomes.forEach((outcome, index) => {
        const operation = list[index]?.operation;
        if (operation === undefined) return;
        if (outcome.ok) made.add(operation);
        else if (!failed.has(operation)) failed.set(operation, outcome.error);
      });
    }
  }
  done.push(...batch.filter((operation) => made.has(operation)));
  const [failure] = failed;
  if (failure !== undefined) throw operationFailure(failure[0], failure[1]);
}

async function applyOne(operation: OperationBody, context: ApplyContext, links: LinkTable): Promise<void> {
  const { line, sockets, folder } = context;
  try {
    switch (operation.kind) {
      case "node.remove":
        sockets.forget(operation.node);
        links.forget(operation.node);
        await line.removeNode(operation.node);
        return;
      case "sysctl.write":
        await line.writeSysctls(
          operation.node,
          operation.entries.map(({ name, value, optional }) => [name, value, optional === true]),
        );
        return;
      case "nftables.replace":
        replaceTables(
          sockets.netfilter(operation.node),
          context.site?.tables(operation.node, operation.tables) ?? operation.tables,
          context.site?.tables(operation.node, operation.previous) ?? operation.previous,
        );
        return;
      case "shaping.set":
        applyShaping(
          sockets.route(operation.node),
          links.index(operation.node, operation.interface),
          operation.shaping,
        );
        return;
      case "hosts.write":
        writeHosts(folder, operation.node, operation.hosts);
        return;
      case "container.start":
        await context.containers.start(operation.node, operation.container);
        return;
      case "container.stop":
        await context.containers.stop(operation.node);
        return;
      default:
        throw new Error(`${operation.kind} is done by route netlink`);
    }
  } catch (error) {
    throw operationFailure(operation, error);
  }
}

function replaceTables(
  client: NetlinkClient,
  tables: Extract<OperationBody, { kind: "nftables.replace" }>["tables"],
  previous: typeof tables,
): void {
  const kept = new Set(tables.map(({ family, name }) => `${family} ${name}`));
  nftables.replaceTables(client, [...tables], {
    absent: previous.filter(({ family, name }) => !kept.has(`${family} ${name}`)),
  });
}

function operationFailure(operation: OperationBody, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const kind = error instanceof UnsupportedError ? "machine" : "kernel";
  return new Failure(kind, `${describeBody(operation)}: ${reason}`, {
    ...(error instanceof NetlinkError ? { code: error.code } : {}),
    cause: error,
  });
}
