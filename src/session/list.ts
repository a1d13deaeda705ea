/** `ls`: the labs of this user, those that run and the remains of those that do not. */
import { isAlive, labNames, LabFolder } from "../lab/state.js";

export interface ListedLab {
  readonly name: string;
  /** `broken`: its init is gone; `gc` or `down` takes what is left. */
  readonly state: "running" | "broken";
  readonly nodes: number;
  readonly containers: number;
  readonly mode: "sandbox" | "rootless" | "real";
  readonly pid?: number;
  /** Milliseconds since 1970. */
  readonly startedAt?: number;
  readonly file?: string;
}

export function listLabs(): ListedLab[] {
  return labNames().map((name) => {
    const record = new LabFolder(name).read();
    const mode = process.getuid?.() === 0 ? "sandbox" : "rootless";
    if (record === undefined) return { name, state: "broken", nodes: 0, containers: 0, mode };
    const alive = isAlive(record);
    return {
      name,
      state: alive ? "running" : "broken",
      nodes: record.topology.nodes.length,
      containers: record.topology.nodes.filter((node) => node.container !== undefined).length,
      mode: record.rootless ? "rootless" : record.machine?.node === undefined ? "sandbox" : "real",
      ...(alive ? { pid: record.pid } : {}),
      startedAt: Date.parse(record.created),
      ...(record.file === undefined ? {} : { file: record.file }),
    };
  });
}
