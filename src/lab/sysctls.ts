/** Writes of sysctls, made ready so that they can be taken back: at once by undoing, or when the file no longer asks. */
import type { InitLine } from "../init/api.js";
import type { OperationBody } from "../plan/operation.js";
import type { MachineSite } from "./machine/site.js";
import { OriginalSysctls } from "./originals.js";
import type { LabFolder } from "./state.js";

type SysctlWrite = Extract<OperationBody, { kind: "sysctl.write" }>;

export interface SysctlSite {
  readonly line: InitLine;
  readonly folder: LabFolder;
  /** What is written on the machine itself stands in its journal. */
  readonly site?: MachineSite;
}

/** How many nodes are read at once. */
const together = 16;

/**
 * The same writes, with the values that those have now that a file asks for, which are remembered in the lab's folder;
 * and without those that the kernel does not have.
 */
export async function withValuesBefore(
  batch: readonly OperationBody[],
  { line, folder, site }: SysctlSite,
): Promise<readonly OperationBody[]> {
  const originals = new OriginalSysctls(folder);
  const prepare = async (operation: SysctlWrite): Promise<SysctlWrite> => {
    const { node, entries } = operation;
    const unread = entries.filter(({ optional, asked, previous }) => optional ?? (asked && previous === undefined));
    if (unread.length === 0 && !entries.some(({ asked }) => asked)) return operation;
    const names = unread.map(({ name }) => name);
    const values = await line.readSysctls(node, names);
    const now = new Map(names.map((name, index) => [name, values[index]]));
    const written = entries
      .filter(({ name, optional }) => optional === undefined || now.get(name) !== undefined)
      .map((entry) => {
        const previous = entry.previous ?? (entry.asked ? now.get(entry.name) : undefined);
        return previous === undefined ? entry : { ...entry, previous };
      });
    const asked: Record<string, string> = {};
    for (const entry of written) if (entry.asked && entry.previous !== undefined) asked[entry.name] = entry.previous;
    if (node !== site?.node) originals.remember(node, asked);
    return { ...operation, entries: written };
  };
  const prepared = [...batch];
  const waiting = batch.entries();
  const worker = async (): Promise<void> => {
    for (const [index, operation] of waiting)
      if (operation.kind === "sysctl.write") prepared[index] = await prepare(operation);
  };
  await Promise.all(Array.from({ length: together }, worker));
  return prepared;
}
