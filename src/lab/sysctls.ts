/** Writes of sysctls, made ready so that they can be taken back: at once by undoing, or when the file no longer asks. */
import type { InitLine } from "../init/api.js";
import type { OperationBody } from "../plan/operation.js";
import type { MachineSite } from "./machine/site.js";
import { OriginalSysctls } from "./originals.js";
import type { LabFolder } from "./state.js";

type SysctlWrite = Extract<OperationBody, { readonly kind: "sysctl.write" }>;

export interface SysctlSite {
  readonly line: InitLine;
  readonly folder: LabFolder;
  /** What is written on the machine itself stands in its journal. */
  readonly site?: MachineSite;
}

/** The same writes, with the values that those have now that a file asks for, which are remembered in the lab's folder. */
export async function withValuesBefore(
  batch: readonly OperationBody[],
  { line, folder, site }: SysctlSite,
): Promise<readonly OperationBody[]> {
  const originals = new OriginalSysctls(folder);
  return Promise.all(
    batch.map(async (operation) => {
      if (operation.kind !== "sysctl.write" || !operation.entries.some(({ asked }) => asked)) return operation;
      const known = await readBefore(operation, line);
      if (operation.node !== site?.node) originals.remember(operation.node, valuesBefore(known));
      return known;
    }),
  );
}

async function readBefore(operation: SysctlWrite, line: InitLine): Promise<SysctlWrite> {
  const unread = operation.entries.filter(({ asked, previous }) => asked && previous === undefined);
  const names = unread.map(({ name }) => name);
  const values = names.length === 0 ? [] : await line.readSysctls(operation.node, names);
  const now = new Map(names.map((name, index) => [name, values[index]]));
  const entries = operation.entries.map((entry) => {
    const previous = entry.previous ?? now.get(entry.name);
    return previous === undefined ? entry : { ...entry, previous };
  });
  return { ...operation, entries };
}

function valuesBefore({ entries }: SysctlWrite): Readonly<Record<string, string>> {
  const asked: Record<string, string> = {};
  for (const entry of entries) if (entry.asked && entry.previous !== undefined) asked[entry.name] = entry.previous;
  return asked;
}
