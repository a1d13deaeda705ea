/** Building a lab from nothing, and taking one down again that was never committed. */
import { startInit } from "../init/client.js";
import { apply } from "../lab/apply.js";
import { ContainerRunner } from "../lab/containers.js";
import { bootId, type LabFolder, type LabRecord } from "../lab/state.js";
import { sweep } from "../lab/sweep.js";
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../model/snapshot.js";
import type { PlanOptions } from "../plan/current.js";
import type { Operation } from "../plan/operation.js";
import { plan } from "../plan/plan.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import { OpenLab } from "./open-lab.js";
import { machineRecord, RealMachine } from "./real-machine.js";
import { waitUntilReady } from "./ready.js";

export interface BuildOptions {
  /** A limit that the machine cannot enforce is an error, not a warning. */
  readonly strict: boolean;
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
  readonly snapshot: Snapshot;
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
  sweep(folder);
  folder.make();
  const line = await startInit({ stateFolder: folder.path }).catch((error: unknown) => {
    folder.remove();
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
    ...(options.real === true ? { machine: machineRecord(topology) } : {}),
    committed: false,
    topology,
  };
  folder.write(record);
  const lab = new OpenLab({ folder, record }, line, options.onWarning);
  try {
    if (options.real === true) {
      const { snapshot, real } = await RealMachine.enter(lab, topology, options.onWarning);
      using machine = real;
      const current = { snapshot: machine.visible(snapshot) };
      const { operations } = plan(topology, current, planOptions(record));
      await applyTo(lab, topology, operations, false, options, machine);
      return { lab, operations, snapshot: await whenReady(lab, topology, options) };
    }
    const { operations } = plan(topology, undefined, planOptions(record));
    await applyTo(lab, topology, operations, false, options);
    return { lab, operations, snapshot: await whenReady(lab, topology, options) };
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
  sweep(lab.found.folder);
}

export function planOptions(record: Pick<LabRecord, "rootless" | "machine">): PlanOptions {
  return {
    ...(record.rootless ? { soleGroup: process.getgid?.() ?? 0 } : {}),
    ...(record.machine?.node === undefined ? {} : { real: true, owns: isLabKind }),
  };
}

/** Of the machine a plan sees nothing but the lab's own. */
function isLabKind(_: NodeSnapshot, { kind }: InterfaceSnapshot): boolean {
  return kind === "veth" || kind === "bridge";
}

export function applyTo(
  lab: OpenLab,
  topology: ResolvedTopology,
  operations: readonly Operation[],
  undo: boolean,
  options: BuildOptions,
  machine?: RealMachine,
): Promise<void> {
  return apply(operations, {
    undo,
    line: lab.line,
    sockets: lab.sockets,
    folder: lab.found.folder,
    containers: new ContainerRunner(lab.line, lab.found.folder, topology, options),
    signal: options.signal,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...machine?.context,
  });
}

/** @returns what there is then */
export async function whenReady(lab: OpenLab, topology: ResolvedTopology, options: BuildOptions): Promise<Snapshot> {
  await waitUntilReady(lab, topology, options.signal);
  return lab.snapshot();
}
