/** Building a lab from nothing, and taking one down again that was never committed. */
import type { MappedIds } from "../init/api.js";
import { startInit } from "../init/client.js";
import { removeTree } from "../init/remove-tree.js";
import { apply } from "../lab/apply.js";
import { ContainerRunner } from "../lab/containers.js";
import { labsOnMachine } from "../lab/machine/lab-on-machine.js";
import { isUplink } from "../lab/machine/uplink-network.js";
import { bootId, type LabFolder, type LabRecord } from "../lab/state.js";
import { sweep } from "../lab/sweep.js";
import type { InterfaceSnapshot, NodeSnapshot } from "../model/snapshot.js";
import type { PlanOptions } from "../plan/current.js";
import { ownKinds } from "../plan/doomed.js";
import type { Operation } from "../plan/operation.js";
import { plan } from "../plan/plan.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import { machineRecord, MachineWork } from "./machine-work.js";
import { OpenLab } from "./open-lab.js";
import { waitUntilReady } from "./ready.js";
import { checkUplinkWishes } from "./uplinks.js";

export interface BuildOptions {
  /** A limit that the machine cannot enforce is an error, not a warning. */
  readonly strict: boolean;
  /** Without root: the user namespace to live in, instead of a new one. Stays the caller's. */
  readonly userNamespace?: number;
  /** The machine's node is the machine itself. */
  readonly real?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onWarning: (text: string) => void;
  /** Aborted: what was built is taken down, and the Failure is `interrupted`. */
  readonly signal: AbortSignal;
}

export interface BuiltLab {
  readonly lab: OpenLab;
  readonly operations: readonly Operation[];
}

/**
 * A lab of its own, ready to be used. Until it is committed it ends with this process, however that ends; the caller
 * commits it, or gives it to `abandonLab`.
 */
export async function buildLab(
  topology: ResolvedTopology,
  file: string | undefined,
  folder: LabFolder,
  options: BuildOptions,
): Promise<BuiltLab> {
  checkUplinkWishes(topology, options.real === true ? topology.machine : undefined);
  if (folder.exists() || labsOnMachine().includes(folder.name)) await sweep(folder);
  folder.make();
  const line = await startInit({
    stateFolder: folder.path,
    ...(options.userNamespace === undefined ? {} : { userNamespace: options.userNamespace }),
  }).catch(async (error: unknown) => {
    await removeTree(folder.path);
    throw error;
  });
  const record: LabRecord = {
    version: 1,
    name: topology.name,
    ...(file === undefined ? {} : { file }),
    created: new Date().toISOString(),
    pid: line.pid,
    startTime: line.startTime,
    bootId: bootId(),
    rootless: line.rootless,
    ...machineRecord(topology, options.real === true),
    committed: false,
    topology,
  };
  folder.write(record);
  const lab = new OpenLab({ folder, record }, line, options.onWarning);
  try {
    using machine = await MachineWork.prepare(lab, topology, options.onWarning);
    const current = machine.snapshot === undefined ? undefined : { snapshot: machine.snapshot };
    const { operations } = plan(topology, current, planOptions(record, line.ids));
    await applyTo(lab, topology, operations, false, options, { machine, ready: true });
    return { lab, operations };
  } catch (error) {
    await abandonLab(lab);
    throw error;
  }
}

/** Ends a lab and removes what it left on the machine. */
export async function abandonLab(lab: OpenLab): Promise<void> {
  lab.sockets[Symbol.dispose]();
  await lab.line.shutdown().catch(() => undefined);
  lab.line[Symbol.dispose]();
  await sweep(lab.found.folder);
}

/** @param ids what the lab's init maps; absent for a lab that is not made: the user's own group then */
export function planOptions(record: Pick<LabRecord, "rootless" | "machine">, ids?: MappedIds): PlanOptions {
  const ownGroup = process.getgid?.() ?? 0;
  return {
    ...(record.rootless ? { groupSpan: ids?.groupSpan ?? [ownGroup, ownGroup] } : {}),
    ...(record.machine?.node === undefined ? {} : { real: true }),
    owns: isTopologys,
  };
}

/** What the topology can have made: the kinds of link that it knows, without the uplinks, which are not in a plan. */
function isTopologys(_: NodeSnapshot, member: InterfaceSnapshot): boolean {
  return ownKinds.has(member.kind) && !isUplink(member);
}

export function applyTo(
  lab: OpenLab,
  topology: ResolvedTopology,
  operations: readonly Operation[],
  undo: boolean,
  options: BuildOptions,
  {
    machine,
    ready = false,
  }: {
    /** Absent: nothing of the lab is on the machine itself. */
    readonly machine?: MachineWork;
    /** Whether it is done only when the lab can be used: one that does not become so is undone. */
    readonly ready?: boolean;
  } = {},
): Promise<void> {
  return apply(operations, {
    undo,
    line: lab.line,
    sockets: lab.sockets,
    folder: lab.found.folder,
    containers: new ContainerRunner(lab.line, lab.found.folder, topology, options),
    signal: options.signal,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(ready ? { onApplied: () => waitUntilReady(lab, topology, options.signal) } : {}),
    ...machine?.context,
  });
}
