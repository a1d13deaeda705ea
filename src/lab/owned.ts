/** The count that `down` ends with: what on this machine still belongs to a lab. */
import { existsSync } from "node:fs";
import { findHierarchies, labCgroups } from "../init/cgroup.js";
import { listNames } from "./names.js";
import { isAlive, LabFolder, type LabRecord } from "./state.js";

/** @returns one line for each thing that is left; empty when the lab is gone without a trace */
export function countOwned(name: string, record: LabRecord | undefined): string[] {
  const folder = new LabFolder(name);
  return [
    ...(record !== undefined && isAlive(record) ? [`process ${record.pid} (its init)`] : []),
    ...(record === undefined ? [] : listNames(record.pid).map((each) => `/run/netns/${each}`)),
    ...labCgroups(findHierarchies(), name),
    ...(existsSync(folder.path) ? [folder.path] : []),
  ];
}
