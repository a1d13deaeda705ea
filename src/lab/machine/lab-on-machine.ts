/** What one lab has on the machine: listed, removed. Only root can have put anything there. */
import { existsSync } from "node:fs";
import type { LabFolder } from "../state.js";
import { clearMachine, type Cleared } from "./clear.js";
import { type JournalContents, readJournal } from "./journal.js";
import { checkPlace, isThisBoot, Machine } from "./machine.js";
import { endProcess, processesOf, processLine } from "./marked-process.js";
import { markedLabs, remainsLines, remainsOf } from "./remains.js";

/** Labs of which the machine bears marks. */
export function labsOnMachine(): string[] {
  if (process.getuid?.() !== 0) return [];
  using machine = new Machine();
  return markedLabs(machine);
}

/** One line a thing. */
export function onMachine(folder: LabFolder): string[] {
  // Without root there are the processes of uplinks, and nothing else.
  if (process.getuid?.() !== 0) return processesOf(journalOf(folder)).map(processLine);
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
export function clearOnMachine(folder: LabFolder): Pick<Cleared, "failures" | "notes"> {
  checkOwnMachine(folder);
  const journal = journalOf(folder);
  if (process.getuid?.() !== 0) {
    for (const each of processesOf(journal)) endProcess(each);
    return { failures: [], notes: [] };
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
