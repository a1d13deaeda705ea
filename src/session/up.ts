/** `up`: a lab from a topology file, or a running lab changed to match it. */
import { connectInit } from "../init/client.js";
import { withLabLock } from "../lab/lock.js";
import { publishNames } from "../lab/names.js";
import { OriginalSysctls } from "../lab/originals.js";
import { isAlive, LabFolder, type LabRecord } from "../lab/state.js";
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { agreed } from "../plan/agreed.js";
import { describeBody } from "../plan/describe.js";
import type { Operation } from "../plan/operation.js";
import { plan } from "../plan/plan.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import { abandonLab, applyTo, buildLab, planOptions } from "./build-lab.js";
import { machineRecord, MachineWork } from "./machine-work.js";
import { OpenLab } from "./open-lab.js";
import { checkReal, isReal, onTheMachine } from "./real-machine.js";
import { loadTopology } from "./topology-file.js";
import { checkUplinkWishes, uplinkChanges } from "./uplinks.js";

export interface UpOptions {
  /** Path of a topology file, or the name of one that ships. */
  readonly file: string;
  readonly name?: string;
  readonly dryRun: boolean;
  readonly strict: boolean;
  /** Build the machine's node on the machine itself. A lab that runs stays what it is. */
  readonly real: boolean;
  /** Read the lab once more when all is done, for `snapshot` of the result: a third of the processor time with 100 nodes. */
  readonly readBack?: boolean;
  /** `NAME=VALUE`. */
  readonly assignments: readonly string[];
  readonly onProgress?: (done: number, total: number) => void;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface PlannedOperation {
  readonly text: string;
  readonly reason: string;
}

export interface UpResult {
  readonly lab: string;
  readonly file: string;
  /** False where the lab ran already. */
  readonly created: boolean;
  readonly dryRun: boolean;
  /** Names, in the order of the file. */
  readonly nodes: readonly string[];
  readonly operations: readonly PlannedOperation[];
  /** After the last operation, where that was asked for; absent in a dry run of a lab that does not run. */
  readonly snapshot?: Snapshot;
}

export async function up(options: UpOptions): Promise<UpResult> {
  const { file, topology } = loadTopology(options);
  if (options.real) checkReal(topology, options.dryRun);
  const run = (): Promise<UpResult> => bring(file, topology, options);
  // A dry run changes nothing and needs no right to anything: it takes no lock.
  if (options.dryRun) return run();
  return withLabLock(topology.name, "up", run, {
    onWait: (holder) => options.onWarning(`lab '${topology.name}' is in use by ${holder}; waiting`),
  });
}

async function bring(file: string, asked: ResolvedTopology, options: UpOptions): Promise<UpResult> {
  const folder = new LabFolder(asked.name);
  const record = folder.read();
  const running = record !== undefined && isAlive(record);
  const topology = options.real || (running && isReal(record)) ? onTheMachine(asked) : asked;
  if (running && options.real && !isReal(record))
    throw new Failure("usage", `lab '${topology.name}' runs in a sandbox`, {
      hint: `end it first, yapc-net down ${topology.name}, or give this one another name: --name`,
    });
  const rootless = process.getuid?.() !== 0;
  const machine = machineRecord(topology, options.real);
  if (options.dryRun && !running)
    return result(
      file,
      topology,
      options,
      plan(topology, undefined, planOptions({ rootless, ...machine })).operations,
      true,
    );
  return running ? change(file, topology, options, folder, record) : create(file, topology, options, folder);
}

async function create(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  folder: LabFolder,
): Promise<UpResult> {
  const { lab, operations } = await buildLab(topology, file, folder, options);
  try {
    const snapshot = options.readBack === true ? await lab.snapshot() : undefined;
    folder.write({ ...lab.found.record, committed: true });
    await lab.line.commit();
    await nameNodes(lab, options);
    lab[Symbol.dispose]();
    return result(file, topology, options, operations, true, snapshot);
  } catch (error) {
    await abandonLab(lab);
    throw error;
  }
}

async function change(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  folder: LabFolder,
  record: LabRecord,
): Promise<UpResult> {
  using lab = new OpenLab({ folder, record }, await connectInit({ stateFolder: folder.path }), options.onWarning);
  const snapshot = await lab.snapshot();
  const running = new Set((await lab.line.nodes()).flatMap((node) => (node.pid === undefined ? [] : [node.name])));
  checkUplinkWishes(topology, record.machine?.node);
  const { towards, ...settled } = record;
  const remembered = towards === undefined ? record.topology : agreed(record.topology, towards);
  const before = { snapshot, topology: remembered };
  using machine = await MachineWork.prepare(lab, topology, options.onWarning, before);
  const originals = new OriginalSysctls(folder).known;
  const current = { snapshot: machine.snapshot ?? snapshot, topology: remembered, running, originals };
  const { operations } = plan(topology, current, planOptions(record, lab.line.ids));
  if (options.dryRun) return result(file, topology, options, operations, false, snapshot, record.topology);
  if (operations.length === 0 && !machine.hasWork)
    return result(file, topology, options, operations, false, snapshot, record.topology);
  folder.write({ ...settled, topology: remembered, towards: topology });
  try {
    await applyTo(lab, topology, operations, true, options, { machine, ready: true });
  } catch (error) {
    if (!(error instanceof Failure && error.code === "NOT_UNDONE")) folder.write({ ...settled, topology: remembered });
    throw error;
  }
  const { machine: _, ...rest } = settled;
  folder.write({ ...rest, ...machineRecord(topology, isReal(record)), file, topology });
  machine.settle(topology);
  const after = options.readBack === true ? await lab.snapshot() : undefined;
  await nameNodes(lab, options);
  return result(file, topology, options, operations, false, after, record.topology);
}

/** `ip netns list` shows the nodes of root's labs. */
async function nameNodes(lab: OpenLab, options: UpOptions): Promise<void> {
  const { record } = lab.found;
  if (record.rootless) return;
  const names = (await lab.line.nodes())
    .filter((node) => node.name !== record.machine?.node)
    .map((node) => ({
      name: `${record.name}-${node.name}`,
      target: `/proc/${record.pid}/fd/${node.descriptor}`,
    }));
  for (const taken of publishNames(names))
    options.onWarning(`/run/netns/${taken} is somebody else's: this node has no name there`);
}

function result(
  file: string,
  topology: ResolvedTopology,
  options: UpOptions,
  operations: readonly Operation[],
  created: boolean,
  snapshot?: Snapshot,
  before?: ResolvedTopology,
): UpResult {
  return {
    lab: topology.name,
    file,
    created,
    dryRun: options.dryRun,
    nodes: topology.nodes.map(({ name }) => name),
    operations: [
      ...operations.map((operation) => ({ text: describeBody(operation), reason: operation.reason })),
      ...uplinkChanges(topology, before),
    ],
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}
