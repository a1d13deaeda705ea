/** Names as a user writes them, `[LAB/]NODE[:IFACE]`, and the lab they mean when none is given. */
import path from "node:path";
import { isAlive, labNames, LabFolder, type LabRecord } from "../lab/state.js";
import { didYouMean } from "../model/spelling.js";
import { Failure } from "../model/failure.js";

export interface Target {
  readonly lab?: string;
  readonly node: string;
  readonly interface?: string;
}

export function parseTarget(text: string): Target {
  const match = /^(?:([^/:]+)\/)?([^/:]+)(?::(.+))?$/.exec(text);
  const node = match?.[2];
  if (match === null || node === undefined)
    throw new Failure("usage", `'${text}' is not a name of the form [LAB/]NODE[:INTERFACE]`);
  return {
    node,
    ...(match[1] === undefined ? {} : { lab: match[1] }),
    ...(match[3] === undefined ? {} : { interface: match[3] }),
  };
}

export interface FoundLab {
  readonly folder: LabFolder;
  readonly record: LabRecord;
}

/** All labs whose init runs. */
export function runningLabs(): FoundLab[] {
  return labNames().flatMap((name) => {
    const folder = new LabFolder(name);
    const record = folder.read();
    return record !== undefined && isAlive(record) ? [{ folder, record }] : [];
  });
}

/**
 * The lab that a command means: the one that is named, else the one whose file lies in the current folder, else the
 * only one that runs.
 */
export function findLab(name: string | undefined): FoundLab {
  const labs = runningLabs();
  if (name !== undefined) {
    const found = labs.find((lab) => lab.record.name === name);
    if (found !== undefined) return found;
    if (labNames().includes(name))
      throw new Failure("usage", `lab '${name}' has ended: its yapc-init is gone`, {
        hint: `yapc-net up starts it anew, yapc-net down ${name} removes what is left`,
        code: "INIT_GONE",
      });
    throw new Failure("usage", `no lab '${name}' runs`, { hint: listHint(labs, name), code: "NO_LAB" });
  }
  const [first] = labs;
  if (first === undefined)
    throw new Failure("usage", "no lab runs", {
      hint: "start one: yapc-net up topologies/docker-bridge.json",
      code: "NO_LAB",
    });
  if (labs.length === 1) return first;
  const here = labs.filter((lab) => lab.record.file !== undefined && path.dirname(lab.record.file) === process.cwd());
  if (here.length === 1 && here[0] !== undefined) return here[0];
  throw new Failure("usage", `${labs.length} labs run, and it is not clear which one is meant`, {
    hint: `${listHint(labs)}: name it with --lab or $YAPC_NET_LAB`,
    code: "AMBIGUOUS_LAB",
  });
}

function listHint(labs: readonly FoundLab[], wanted?: string): string {
  const names = labs.map((lab) => lab.record.name);
  const near = wanted === undefined ? undefined : didYouMean(wanted, names);
  if (near !== undefined) return near;
  return names.length === 0 ? "no lab runs" : `running: ${names.join(", ")}`;
}

/** The node of a lab that a name means, or an error that names the ones there are. */
export function checkNode(record: LabRecord, node: string): string {
  const names = record.topology.nodes.map((each) => each.name);
  if (names.includes(node)) return node;
  throw new Failure("usage", `lab '${record.name}' has no node '${node}'`, {
    hint: `${didYouMean(node, names) ?? ""} nodes: ${names.join(", ")}`.trimStart(),
    code: "NO_NODE",
  });
}
