/**
 * The journal of what a lab makes on the machine: JSON Lines in its state folder, only ever appended to, each entry on
 * the disk before the step that it tells of. Whoever finds it after a crash knows everything that may be there.
 */
import { closeSync, existsSync, fdatasyncSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import path from "node:path";
import type { NftFamily } from "../../model/nft.js";
import type { ResolvedAddress, ResolvedNeighbour, ResolvedPolicyRule, ResolvedRoute } from "../../topology/resolved.js";

/** First line of a journal: which machine it speaks of. */
export interface JournalHeader {
  readonly version: 1;
  readonly lab: string;
  /** /proc/sys/kernel/random/boot_id: of another boot nothing is left. */
  readonly bootId: string;
  /** Inode of the machine's network namespace. */
  readonly netns: string;
  /** Link group of the lab. */
  readonly group: number;
}

/** One thing that a lab makes, or changes, on the machine. */
export type Made =
  | { readonly kind: "link"; readonly name: string }
  | { readonly kind: "address"; readonly interface: string; readonly address: ResolvedAddress }
  | { readonly kind: "route"; readonly route: ResolvedRoute }
  | { readonly kind: "policy rule"; readonly rule: ResolvedPolicyRule }
  | { readonly kind: "neighbour"; readonly neighbour: ResolvedNeighbour }
  | { readonly kind: "table"; readonly family: NftFamily; readonly name: string }
  /** A rule in a chain of somebody else; its comment is the mark. */
  | {
      readonly kind: "chain rule";
      readonly family: NftFamily;
      readonly table: string;
      readonly chain: string;
      readonly comment: string;
    }
  /** The same in the tables of iptables-legacy: `iptables-legacy -D CHAIN SPECIFICATION` takes it away. */
  | {
      readonly kind: "legacy rule";
      readonly program: string;
      readonly chain: string;
      readonly specification: readonly string[];
    }
  | {
      readonly kind: "sysctl";
      readonly name: string;
      readonly value: string;
      readonly previous: string;
      /** What the kernel changes along with it, as it was before. */
      readonly beside: Readonly<Record<string, string>>;
      /** Who forwarded on the machine before. */
      readonly users: readonly string[];
    }
  /** A process outside the lab's PID namespace, known by the path of its PID file, which is one of its arguments. */
  | { readonly kind: "process"; readonly program: string; readonly pidFile: string };

export type MadeOf<K extends Made["kind"]> = Extract<Made, { readonly kind: K }>;

interface Entry {
  /** `gone`: taken away again, or handed to another lab. */
  readonly done: "make" | "gone";
  readonly what: Made;
}

const fileName = "journal";

export class Journal implements Disposable {
  readonly #descriptor: number;

  private constructor(
    readonly header: JournalHeader,
    file: string,
    fresh: boolean,
  ) {
    this.#descriptor = openSync(file, "a+", 0o600);
    if (fresh) this.#append(JSON.stringify(header));
    // A crash may have left half a line: what comes now shall not be read as its end.
    else if (!endsWithNewline(this.#descriptor)) writeSync(this.#descriptor, "\n");
  }

  /** The journal of a lab, begun where there is none. @param folder the lab's state folder */
  static open(folder: string, header: Omit<JournalHeader, "version">): Journal {
    const file = path.join(folder, fileName);
    const known = readJournal(folder)?.header;
    return new Journal(known ?? { version: 1, ...header }, file, known === undefined);
  }

  /** To be called before things are made. One write and one flush for all of them. */
  make(...things: readonly Made[]): void {
    this.#write("make", things);
  }

  /** To be called after things are gone. */
  gone(...things: readonly Made[]): void {
    this.#write("gone", things);
  }

  #write(done: Entry["done"], things: readonly Made[]): void {
    if (things.length > 0) this.#append(things.map((what) => JSON.stringify({ done, what })).join("\n"));
  }

  #append(text: string): void {
    writeSync(this.#descriptor, `${text}\n`);
    fdatasyncSync(this.#descriptor);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

function endsWithNewline(descriptor: number): boolean {
  const { size } = fstatSync(descriptor);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] === 0x0a;
}

export interface JournalContents {
  readonly header: JournalHeader;
  /** What was made and not taken away again, in the order of its making, each once. */
  readonly made: readonly Made[];
}

/** @returns undefined where there is no journal, or only half of its first line: then nothing was made */
export function readJournal(folder: string): JournalContents | undefined {
  const file = path.join(folder, fileName);
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "utf8").split("\n");
  // Every whole line was written by the class above: its form is ours. A torn one tells of a step that was not taken.
  const [header, ...entries] = lines.map((line) => parse(line));
  if (header === undefined) return undefined;
  const made = new Map<string, Made>();
  for (const entry of entries as (Entry | undefined)[]) {
    if (entry === undefined) continue;
    const key = JSON.stringify(entry.what);
    if (entry.done === "make") made.set(key, entry.what);
    else made.delete(key);
  }
  return { header: header as JournalHeader, made: [...made.values()] };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function madeOf<K extends Made["kind"]>(made: readonly Made[], kind: K): MadeOf<K>[] {
  return made.filter((each): each is MadeOf<K> => each.kind === kind);
}
