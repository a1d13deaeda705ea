/** Removes what a lab has on the machine, from its journal and its marks. Goes on past what is already gone. */
import { addresses, links, nftables, routes, rules } from "../../kernel/index.js";
import { closeDoors, removeLegacyRule } from "./doors.js";
import { forwardersOf, lowerSysctl, unknownForwarding } from "./forwarding.js";
import { Journal, type JournalContents, madeOf, readJournal } from "./journal.js";
import type { Machine } from "./machine.js";
import { endProcess } from "./marked-process.js";
import { remainsLines, remainsOf, type Remains } from "./remains.js";

export interface Cleared {
  /** What there was. */
  readonly found: readonly string[];
  /** What could not be removed, and why. */
  readonly failures: readonly string[];
  /** What was left as it is on purpose, and why. */
  readonly notes: readonly string[];
}

const gone = new Set(["ENOENT", "ENODEV", "ESRCH", "EADDRNOTAVAIL"]);

export function clearMachine(lab: string, machine: Machine, journal: JournalContents | undefined): Cleared {
  const remains = remainsOf(lab, machine, journal);
  const failures: string[] = [];
  const notes: string[] = [];
  const step = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && gone.has(String(error.code))))
        failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  for (const each of remains.processes) step(() => endProcess(each));
  step(() => closeDoors(machine.netfilter, lab));
  for (const rule of remains.legacyRules) step(() => removeLegacyRule(rule));
  for (const { family, name } of remains.tables)
    step(() => machine.netfilter.transact(nftables.batch(nftables.removeTable({ family, name }))));
  for (const { rule } of remains.policyRules)
    step(() => machine.route.execute(rules.remove({ ...policyRule(rule), action: "lookup" })));
  for (const { route } of remains.routes)
    step(() => {
      const { destination, type, gateway, metric, table } = route;
      machine.route.execute(
        routes.remove({
          destination,
          type,
          ...(gateway === undefined ? {} : { gateway }),
          ...(metric === undefined ? {} : { metric }),
          ...(table === undefined ? {} : { table }),
        }),
      );
    });
  for (const { address, interface: name } of remains.addresses)
    step(() => {
      const { index } = machine.route.execute(links.get(name));
      machine.route.execute(addresses.remove({ index, ...address }));
    });
  removeLinks(machine, remains, step);
  const found = remainsLines(remains);
  step(() => {
    if (journal !== undefined) notes.push(...lowerSysctls(machine, journal));
    else if (found.length > 0) notes.push(...unknownForwarding(lab, forwardersOf(machine.links(), machine.tables())));
  });
  return { found, failures, notes };
}

function policyRule({ from, to, ...rule }: Remains["policyRules"][number]["rule"]) {
  return { ...rule, ...(from === undefined ? {} : { source: from }), ...(to === undefined ? {} : { destination: to }) };
}

/** All at once by their group, which costs one waiting of the kernel instead of one a link; unless a stranger is in it. */
function removeLinks(machine: Machine, { links: own }: Remains, step: (action: () => void) => void): void {
  const [first] = own;
  if (first === undefined) return;
  step(() => {
    const members = machine.links().filter(({ group }) => group === first.group);
    const known = new Set(own.map(({ index }) => index));
    if (members.length > 0 && members.every(({ index }) => known.has(index)))
      machine.route.execute(links.removeGroup(first.group));
    else for (const { index } of own) step(() => machine.route.execute(links.remove(index)));
  });
}

function lowerSysctls(machine: Machine, journal: JournalContents): string[] {
  const now = forwardersOf(machine.links(), machine.tables());
  const raised = madeOf(journal.made, "sysctl");
  return raised.toReversed().flatMap((each) => lowerSysctl(journal.header, each, now) ?? []);
}

/**
 * For a lab that goes on: gives back what was raised for it and what it no longer needs, unless somebody else does; then
 * `down` asks again. @param folder the lab's state folder @param needs sysctls that the lab relies on now
 */
export function lowerUnneeded(machine: Machine, folder: string, needs: readonly string[]): void {
  const known = readJournal(folder);
  if (known === undefined) return;
  const raised = madeOf(known.made, "sysctl").filter(({ name }) => !needs.includes(name));
  if (raised.length === 0) return;
  using journal = Journal.open(folder, known.header);
  const now = forwardersOf(machine.links(), machine.tables());
  for (const each of raised.toReversed()) if (lowerSysctl(known.header, each, now) === undefined) journal.gone(each);
}
