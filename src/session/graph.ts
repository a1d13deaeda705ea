/** `graph`: what there is to draw, of a running lab or of a topology file. */
import { existsSync, statSync } from "node:fs";
import type { Snapshot } from "../model/snapshot.js";
import { Failure } from "../model/failure.js";
import { didYouMean } from "../model/spelling.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import { findLab, runningLabs } from "./target.js";
import type { NetworkOptions } from "./traced-network.js";
import { findTopologyFile, loadTopology } from "./topology-file.js";

export interface GraphOptions {
  /** A topology file, the name of a lab that runs or of a topology that ships; absent: the lab that is meant. */
  readonly target: string | undefined;
  readonly lab: string | undefined;
  /** `NAME=VALUE`, for a file. */
  readonly assignments: readonly string[];
  readonly onWarning: (text: string) => void;
}

export type Drawn =
  | { readonly kind: "topology"; readonly topology: ResolvedTopology }
  | { readonly kind: "lab"; readonly snapshot: Snapshot };

export interface LiveGraphOptions extends Pick<
  NetworkOptions,
  "lab" | "machine" | "all" | "target" | "nodes" | "filter" | "onWarning"
> {
  /** A lab that runs; absent: the lab that is meant, or this machine. */
  readonly name: string | undefined;
}

/** What packets pass now, in a lab or on this machine. */
export async function liveGraph({ name, ...options }: LiveGraphOptions): Promise<Drawn> {
  const { atHops, listHops } = await import("./hops.js");
  const found = await listHops({ ...options, lab: name ?? options.lab, from: undefined });
  return { kind: "lab", snapshot: atHops(found) };
}

/** A file needs no root and loads nothing that talks to the kernel. */
export async function graph({ target, lab, assignments, onWarning }: GraphOptions): Promise<Drawn> {
  if (target !== undefined && meansFile(target)) {
    const { topology } = loadTopology({ file: target, strict: false, assignments, onWarning });
    return { kind: "topology", topology };
  }
  if (assignments.length > 0) throw new Failure("usage", "--set is for a topology file, not for a lab that runs");
  const names = runningLabs().map(({ record }) => record.name);
  if (target !== undefined && !names.includes(target)) {
    throw new Failure("usage", `'${target}' is neither a lab that runs nor a topology file`, {
      hint: didYouMean(target, names) ?? "yapc-net ls shows what runs",
      code: "NO_LAB",
    });
  }
  const { OpenLab } = await import("./open-lab.js");
  using open = await OpenLab.connect(findLab(target ?? lab));
  return { kind: "lab", snapshot: await open.snapshot() };
}

/** A file in this folder wins over a lab of that name, a lab that runs over a topology that ships. */
function meansFile(target: string): boolean {
  if (target.includes("/") || target.endsWith(".json")) return true;
  if (existsSync(target) && statSync(target).isFile()) return true;
  if (runningLabs().some(({ record }) => record.name === target)) return false;
  return findTopologyFile(target) !== undefined;
}
