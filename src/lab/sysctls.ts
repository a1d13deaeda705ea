/** Writes of sysctls, made ready so that they can be taken back: at once by undoing, or when the file no longer asks. */
import type { InitLine } from "../init/api.js";
import type { OperationBody } from "../plan/operation.js";
import type { OriginalSysctls } from "./originals.js";

export type SysctlWrite = Extract<OperationBody, { readonly kind: "sysctl.write" }>;

/**
 * The same write, with the values that those have now that a file asks for.
 * @param originals where they are remembered; absent for the machine itself, whose journal does
 */
export async function withValuesBefore(
  operation: SysctlWrite,
  line: InitLine,
  originals: OriginalSysctls | undefined,
): Promise<SysctlWrite> {
  const { node } = operation;
  const unread = operation.entries.filter(({ asked, previous }) => asked && previous === undefined);
  const names = unread.map(({ name }) => name);
  const values = names.length === 0 ? [] : await line.readSysctls(node, names);
  const now = new Map(names.map((name, index) => [name, values[index]]));
  const entries = operation.entries.map((entry) => {
    const previous = entry.previous ?? now.get(entry.name);
    return previous === undefined ? entry : { ...entry, previous };
  });
  const asked: Record<string, string> = {};
  for (const entry of entries) if (entry.asked && entry.previous !== undefined) asked[entry.name] = entry.previous;
  originals?.remember(node, asked);
  return { ...operation, entries };
}
