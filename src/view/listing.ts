/** `ls`: which labs run. */
import { columns } from "./columns.js";
import { noInk, type Ink } from "./ink.js";
import { count } from "./quantity.js";
import { visibleDeep } from "./width.js";

export interface LabListing {
  readonly name: string;
  /** `broken`: its init is gone; `gc` takes what is left. */
  readonly state: "running" | "broken";
  readonly nodes: number;
  readonly containers: number;
  /** `sandbox`: in namespaces of its own; `rootless`: those of an ordinary user; `real`: partly on the machine itself. */
  readonly mode: "sandbox" | "rootless" | "real";
  /** PID of its init, as seen from the machine. */
  readonly pid?: number;
  /** Milliseconds since 1970. */
  readonly startedAt?: number;
  /** Path of the topology file. */
  readonly file?: string;
}

/** @param now milliseconds since 1970 */
export function labLines(labs: readonly LabListing[], now: number, ink: Ink = noInk): string[] {
  if (labs.length === 0) return ["No lab runs."];
  return columns(
    [
      { title: "lab" },
      { title: "state" },
      { title: "nodes", align: "right" },
      { title: "containers", align: "right" },
      { title: "mode" },
      { title: "init", align: "right" },
      { title: "up", align: "right" },
      { title: "file" },
    ],
    visibleDeep(labs).map((lab) => [
      lab.name,
      ink(lab.state === "running" ? "good" : "bad", lab.state),
      String(lab.nodes),
      String(lab.containers),
      lab.mode,
      lab.pid === undefined ? "" : String(lab.pid),
      lab.startedAt === undefined ? "" : age(now - lab.startedAt),
      lab.file ?? "",
    ]),
    { heading: (line) => ink("dim", line) },
  );
}

/** `12 s`, `5 min`, `3 h`, `2 days`. @param milliseconds age */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return count(Math.floor(seconds / 86_400), "day");
}

/**
 * `up --dry-run`: what would be done and why, numbered, one operation a line.
 * @param operations each in words of the topology, with its reason, in the order in which they would be carried out
 */
export function planLines(
  operations: readonly { readonly text: string; readonly reason: string }[],
  ink: Ink = noInk,
): string[] {
  if (operations.length === 0) return ["Nothing to do: the lab is as its topology says."];
  const lines = columns(
    [{ title: "#", align: "right" }, { title: "operation" }, { title: "reason" }],
    visibleDeep(operations).map(({ text, reason }, index) => [String(index + 1), text, ink("dim", reason)]),
    { heading: (line) => ink("dim", line) },
  );
  return [...lines, "", `${count(operations.length, "operation")}; nothing was changed.`];
}
