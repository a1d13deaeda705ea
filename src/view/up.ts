/** What `up` says when it is done. */
import { noInk, type Ink } from "./ink.js";
import { count } from "./quantity.js";

export interface UpSummary {
  readonly lab: string;
  readonly created: boolean;
  readonly operations: readonly unknown[];
  /** Their names. */
  readonly nodes: readonly string[];
}

/** A sentence, and what to type next. */
export function upLines({ lab, created, operations, nodes }: UpSummary, ink: Ink = noInk): string[] {
  if (!created && operations.length === 0) return [`lab '${lab}' is as its topology says; nothing was changed`];
  const done = created ? "is up" : "is changed";
  const first = `lab '${lab}' ${done}: ${count(nodes.length, "node")}, ${count(operations.length, "operation")}`;
  const [from] = nodes;
  return [
    first,
    ...(from === undefined || !created
      ? []
      : [
          ink("dim", `next: yapc-net inspect ${lab} · yapc-net trace --from ${from} -- COMMAND · yapc-net down ${lab}`),
        ]),
  ];
}
