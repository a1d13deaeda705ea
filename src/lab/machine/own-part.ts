/** What of a snapshot of the machine belongs to a lab: all that a plan for it gets to see, and so all it can change. */
import type { InterfaceSnapshot, NodeSnapshot, PolicyRuleSnapshot } from "../../model/snapshot.js";
import type { ResolvedPolicyRule } from "../../topology/resolved.js";
import { type JournalContents, madeOf } from "./journal.js";
import { isLinkOf, tablesFromMachine } from "./mark.js";

export function ownPart(machine: NodeSnapshot, lab: string, journal: JournalContents): NodeSnapshot {
  const journalled = new Set(madeOf(journal.made, "link").map(({ name }) => name));
  const isOwn = (link: InterfaceSnapshot) => isLinkOf(link, lab, journal.header.group, journalled);
  const interfaces = machine.interfaces.filter((link) => link.kind === "loopback" || isOwn(link));
  const names = new Set(machine.interfaces.filter(isOwn).map(({ name }) => name));
  const routes = madeOf(journal.made, "route");
  const rules = madeOf(journal.made, "policy rule");
  return {
    ...machine,
    interfaces,
    routes: machine.routes.filter(
      (route) =>
        route.nexthops.some((hop) => hop.interface !== undefined && names.has(hop.interface)) ||
        (route.nexthops.length === 0 &&
          routes.some(({ route: own }) => own.destination === route.destination && own.type === route.type)),
    ),
    rules: machine.rules.filter((rule) => rules.some(({ rule: own }) => isRule(rule, own))),
    neighbours: machine.neighbours.filter((entry) => names.has(entry.interface)),
    fdb: machine.fdb.filter((entry) => names.has(entry.interface)),
    nftables: tablesFromMachine(lab, machine.nftables),
  };
}

function isRule(rule: PolicyRuleSnapshot, own: ResolvedPolicyRule): boolean {
  return (
    rule.family === own.family &&
    rule.priority === own.priority &&
    rule.table === own.table &&
    rule.source === own.from &&
    rule.destination === own.to &&
    rule.inputInterface === own.inputInterface &&
    (rule.mark ?? 0) === (own.mark ?? 0)
  );
}
