/**
 * What sysctls of a node read before the lab first wrote them, for those that a file asks for: they come back when it no
 * longer does. A file in the lab's state folder, only appended to; what was read first holds.
 */
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import type { LabFolder } from "./state.js";

/** Dotted names and values. */
type Values = Readonly<Record<string, string>>;

/** A line of the file. Without values: the node was made anew, and has those of a new namespace. */
interface Entry {
  readonly node: string;
  readonly values?: Values;
}

export class OriginalSysctls {
  readonly #file: string;
  #known: Map<string, Values> | undefined;

  constructor(folder: LabFolder) {
    this.#file = path.join(folder.path, "sysctls");
  }

  /** By node. */
  get known(): ReadonlyMap<string, Values> {
    return this.#read();
  }

  /** To be called before they are written: a command that is killed in between has not lost them. */
  remember(node: string, values: Values): void {
    const before = this.#read().get(node) ?? {};
    const fresh = Object.entries(values).filter(([name]) => before[name] === undefined);
    if (fresh.length === 0) return;
    this.#append({ node, values: Object.fromEntries(fresh) });
    this.#read().set(node, { ...before, ...Object.fromEntries(fresh) });
  }

  /** To be called for nodes that are made anew. */
  forget(nodes: readonly string[]): void {
    for (const node of nodes) if (this.#read().delete(node)) this.#append({ node });
  }

  #append(entry: Entry): void {
    // A crash may have left half a line: what comes now shall not be read as its end.
    appendFileSync(this.#file, `\n${JSON.stringify(entry)}`, { mode: 0o600 });
  }

  #read(): Map<string, Values> {
    if (this.#known !== undefined) return this.#known;
    const known = new Map<string, Values>();
    for (const { node, values } of this.#entries())
      if (values === undefined) known.delete(node);
      else known.set(node, { ...known.get(node), ...values });
    return (this.#known = known);
  }

  #entries(): Entry[] {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch {
      return []; // no file of this lab asked for any
    }
    return text.split("\n").flatMap((line) => {
      try {
        return [JSON.parse(line) as Entry]; // written by `#append`
      } catch {
        return []; // torn by a crash: it was not written then
      }
    });
  }
}
