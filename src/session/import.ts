/** `import`: a lab that runs, or this machine, as a topology file. */
import { openSync, writeFileSync, closeSync } from "node:fs";
import os from "node:os";
import { Failure, fileFailure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { type Imported, importSnapshot } from "../topology/import/import.js";
import { OpenLab } from "./open-lab.js";
import { OpenMachine } from "./open-machine.js";
import { findLab } from "./target.js";

export interface ImportOptions {
  /** A lab that runs. */
  readonly lab: string | undefined;
  /** This machine. */
  readonly live: boolean;
  /** On the machine: what has no link to it, too. */
  readonly all: boolean;
  /** The lab's name in the file. */
  readonly name: string | undefined;
  readonly onWarning: (text: string) => void;
}

/** Reads the machine or the lab; changes nothing. */
export async function importTopology(options: ImportOptions): Promise<Imported> {
  if (options.live && options.lab !== undefined)
    throw new Failure("usage", "--live means this machine, not a lab", { hint: "leave out --live, or the lab" });
  return options.live ? importMachine(options) : importLab(options);
}

async function importLab({ lab: wanted, name }: ImportOptions): Promise<Imported> {
  const found = findLab(wanted);
  const { record } = found;
  using lab = await OpenLab.connect(found);
  const snapshot = await lab.snapshot();
  return importSnapshot(snapshot, {
    name: name ?? record.name,
    heading: [`The lab ${record.name} as it was at ${snapshot.takenAt} (yapc-net import ${record.name}).`],
    lab: record.topology,
  });
}

async function importMachine({ all, name, onWarning }: ImportOptions): Promise<Imported> {
  await using machine = await OpenMachine.open({ all, onWarning });
  const snapshot = await machine.snapshot();
  return importSnapshot(snapshot, {
    name: name ?? os.hostname(),
    heading: [
      `The network of ${os.hostname()} as it was at ${snapshot.takenAt} (yapc-net import --live).`,
      ...containerLines(snapshot),
    ],
  });
}

function containerLines(snapshot: Snapshot): string[] {
  return snapshot.nodes.flatMap(({ name, containers = [] }) =>
    containers.map(({ runtime, image, compose, networks = [] }) =>
      [
        `${name}: a container of ${runtime}`,
        ...(image === undefined ? [] : [`image ${image}`]),
        ...(compose === undefined ? [] : [`service ${compose.service} of ${compose.project}`]),
        ...(networks.length === 0 ? [] : [`network ${networks.join(", ")}`]),
      ].join(", "),
    ),
  );
}

/** @param force writes over a file that is there. @throws Failure (usage) where it is not to be written */
export function writeTopology(file: string, text: string, force: boolean): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, force ? "w" : "wx");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST")
      throw new Failure("usage", `${file} is there already`, { hint: "--force writes over it", code: "EEXIST" });
    throw fileFailure(`write ${file}`, error);
  }
  try {
    writeFileSync(descriptor, text);
  } catch (error) {
    throw fileFailure(`write ${file}`, error);
  } finally {
    closeSync(descriptor);
  }
}
