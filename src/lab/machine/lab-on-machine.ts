/** What one lab has on the machine: listed, removed. Only root can have put anything there. */
import { existsSync, readFileSync } from "node:fs";
import type { LabFolder } from "../state.js";
import { clearMachine, type Cleared } from "./clear.js";
import { type JournalContents, readJournal } from "./journal.js";
import { checkPlace, isThisBoot, Machine } from "./machine.js";
import { endProcess, processesOf, processLine } from "./marked-process.js";
import { markedLabs, remainsLines, remainsOf } from "./remains.js";

/** CAP_NET_ADMIN (linux/capability.h). */
const netAdmin = 1n << 12n;

/** Root with its rights: the root of somebody's container may have none of them, and then has made nothing here. */
function isAdministrator(): boolean {
  const [, effective = "0"] = /^CapEff:\s+(\w+)$/m.exec(readFileSync("/proc/self/status", "latin1")) ?? [];
  return process.getuid?.() === 0 && (BigInt(`0x${effective}`) & netAdmin) !== 0n;
}

/** Labs of which the machine bears marks. */
export function labsOnMachine(): string[] {
  if (!isAdministrator()) return [];
  using machine = new Machine();
  return markedLabs(machine);
}

/** One line a thing. */
export function onMachine(folder: LabFolder): string[] {
  // Without root there are the processes of uplinks, and nothing else.
  if (!isAdministrator()) return processesOf(journalOf(folder)).map(processLine);
  using machine = new Machine();
  return remainsLines(remainsOf(folder.name, machine, journalOf(folder)));
}

/** @throws Failure (usage) where the lab was built in another network namespace than this process is in */
export function checkOwnMachine(folder: LabFolder): void {
  const journal = journalOf(folder);
  if (journal !== undefined) checkPlace(journal.header);
}

/**
 * Removes what a lab has there.
 * @throws Failure (usage) where the lab was built in another network namespace than this process is in
 */
export function clearOnMachine(folder: LabFolder): Cleared {
  checkOwnMachine(folder);
  const journal = journalOf(folder);
  if (!isAdministrator()) {
    const processes = processesOf(journal);
    for (const each of processes) endProcess(each);
    return { found: processes.map(processLine), failures: [], notes: [] };
  }
  using machine = new Machine();
  return clearMachine(folder.name, machine, journal);
}

/** What a journal tells of ends with the machine's boot, but for the folder that it lies in. */
function journalOf(folder: LabFolder): JournalContents | undefined {
  if (!existsSync(folder.path)) return undefined;
  const journal = readJournal(folder.path);
  return journal !== undefined && isThisBoot(journal.header) ? journal : undefined;
}
