/** What on the machine belongs to a lab: found by the marks, and by the journal where there is one. */
import { routes, rules, type Link, type PolicyRule, type Route } from "../../kernel/index.js";
import type { NftTable } from "../../model/nft.js";
import { foreignRules, hasLegacyRule } from "./doors.js";
import { readSysctl } from "./forwarding.js";
import { type JournalContents, type MadeOf, madeOf } from "./journal.js";
import type { Machine } from "./machine.js";
import { type MarkedProcess, processesOf, processLine } from "./marked-process.js";
import { isLinkOf, isTableOf, labOfLink, labOfText } from "./mark.js";

export interface Remains {
  readonly links: readonly Link[];
  readonly tables: readonly NftTable[];
  /** In chains of others, as `table ip filter, chain DOCKER-USER: COMMENT`. */
  readonly chainRules: readonly string[];
  readonly legacyRules: readonly MadeOf<"legacy rule">[];
  readonly routes: readonly MadeOf<"route">[];
  readonly policyRules: readonly MadeOf<"policy rule">[];
  readonly addresses: readonly MadeOf<"address">[];
  readonly sysctls: readonly MadeOf<"sysctl">[];
  readonly processes: readonly MarkedProcess[];
}

/** @param journal absent where the state folder is lost: the marks tell most of it */
export function remainsOf(lab: string, machine: Machine, journal: JournalContents | undefined): Remains {
  const made = journal?.made ?? [];
  const names = new Set(madeOf(made, "link").map(({ name }) => name));
  const group = journal?.header.group;
  const list = machine.links();
  const own = list.filter((link) =>
    group === undefined ? labOfLink(link) === lab : isLinkOf(link, lab, group, names),
  );
  const ownNames = new Set(own.map(({ name }) => name));
  const tables = machine.tables();
  // A machine may have a million routes: they are read only where the journal asks for one.
  const [ownRoutes, ownRules] = [madeOf(made, "route"), madeOf(made, "policy rule")];
  const existingRoutes = ownRoutes.length === 0 ? [] : machine.route.execute(routes.list());
  const existingRules = ownRules.length === 0 ? [] : machine.route.execute(rules.list());
  return {
    links: own,
    tables: tables.filter((table) => isTableOf(table, lab)),
    chainRules: foreignRules(tables, lab).map(
      ({ table, chain, comment }) => `table ${table.family} ${table.name}, chain ${chain}: ${comment}`,
    ),
    legacyRules: madeOf(made, "legacy rule").filter(hasLegacyRule),
    // What lies on a link of the lab goes with it.
    routes: ownRoutes.filter(
      ({ route }) => route.interface === undefined && existingRoutes.some((each) => isRoute(each, route)),
    ),
    policyRules: ownRules.filter(({ rule }) => existingRules.some((each) => isRule(each, rule))),
    addresses: madeOf(made, "address").filter(({ interface: name }) => name === "lo" && !ownNames.has(name)),
    sysctls: madeOf(made, "sysctl").filter(({ name, value }) => readSysctl(name) === value),
    processes: processesOf(journal),
  };
}

function isRoute(route: Route, own: MadeOf<"route">["route"]): boolean {
  return (
    route.family === own.family &&
    route.destination === own.destination &&
    route.type === own.type &&
    route.table === (own.table ?? 254) &&
    route.nexthops[0]?.gateway === own.gateway
  );
}

function isRule(rule: PolicyRule, own: MadeOf<"policy rule">["rule"]): boolean {
  return (
    rule.family === own.family &&
    rule.priority === own.priority &&
    rule.table === own.table &&
    rule.source === own.from &&
    rule.destination === own.to
  );
}

/** One line a thing, for people. Sysctls are told by who keeps them, not here. */
export function remainsLines(remains: Remains): string[] {
  return [
    ...remains.links.map(({ name }) => `link ${name}`),
    ...remains.tables.map(({ family, name }) => `table ${family} ${name}`),
    ...remains.chainRules,
    ...remains.legacyRules.map(({ program, chain, specification }) => `${program} ${chain} ${specification.join(" ")}`),
    ...remains.routes.map(({ route }) => `route ${route.destination}`),
    ...remains.policyRules.map(({ rule }) => `policy rule ${rule.priority}`),
    ...remains.addresses.map(({ interface: name, address }) => `address ${address.address} on ${name}`),
    ...remains.processes.map(processLine),
  ];
}

/** Labs that have marks on the machine, whether or not there is a state folder of theirs. */
export function markedLabs(machine: Machine): string[] {
  const tables = machine.tables();
  const found = [
    ...machine.links().map(labOfLink),
    ...tables.map((table) => {
      const lab = labOfText(table.comment);
      return lab !== undefined && isTableOf(table, lab) ? lab : undefined;
    }),
    ...tables.flatMap((table) =>
      table.chains.flatMap(({ rules: list }) => list.map(({ comment }) => labOfText(comment))),
    ),
  ];
  return [...new Set(found.filter((lab) => lab !== undefined))].sort();
}
