/**
 * The marks of what a lab makes on the machine. By these, and by the journal, `down` and `gc` know what is a lab's own;
 * whatever carries none is never changed and never removed.
 *
 * | object | mark |
 * |---|---|
 * | link | group number of the lab, altname `yapc-net.LAB.NAME`, alias `yapc-net LAB NODE:NAME` |
 * | nf_tables table | name `yapc_LAB_…`, comment `yapc-net LAB` |
 * | rule in somebody else's chain | comment `yapc-net LAB …` |
 */
import type { NftRule, NftTable } from "../../model/nft.js";

const word = "yapc-net";
/** First and last number of the link groups that labs take: out of the way of those that people give. */
const groups = { first: 0x79000000, count: 0x00ffffff } as const;

export function aliasOf(lab: string, node: string, name: string): string {
  return `${word} ${lab} ${node}:${name}`;
}

/** Unique in the namespace as a name is; at most 127 bytes (ALTIFNAMSIZ - 1), without `/`, `:` and blanks. */
export function altnameOf(lab: string, name: string): string {
  return `${word}.${lab}.${name}`;
}

/** The comment of a table, or of a rule (`what` says of what). */
export function commentOf(lab: string, what?: string): string {
  return what === undefined ? `${word} ${lab}` : `${word} ${lab} ${what}`;
}

/** The lab that an alias or a comment names; undefined for one that is no mark. */
export function labOfText(text: string | undefined): string | undefined {
  return /^yapc-net ([a-zA-Z0-9][a-zA-Z0-9_.-]{0,47})(?: .+)?$/.exec(text ?? "")?.[1];
}

interface MarkedLink {
  readonly name: string;
  readonly group: number;
  readonly alias?: string | undefined;
  readonly altnames: readonly string[];
}

/** The lab that a link is marked for: by its alias and an altname. One of them alone may be a stranger's jest. */
export function labOfLink({ alias, altnames, group }: MarkedLink): string | undefined {
  const lab = labOfText(alias);
  if (lab === undefined || group < groups.first) return undefined;
  return altnames.some((name) => name.startsWith(altnameOf(lab, ""))) ? lab : undefined;
}

/**
 * Whether a link is the lab's. The group comes with the link in one request, alias and altname in the next: for a lab
 * that was killed between the two, group and journal together are the mark.
 * @param journalled names of links that the lab's journal holds
 */
export function isLinkOf(link: MarkedLink, lab: string, group: number, journalled: ReadonlySet<string>): boolean {
  return link.group === group && (labOfLink(link) === lab || journalled.has(link.name));
}

/** A link group for a lab: the same from run to run where it is free. @param taken numbers in use on the machine */
export function groupFor(lab: string, taken: ReadonlySet<number>): number {
  let state = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(lab)) state = Math.imul(state ^ byte, 0x01000193);
  for (let attempt = 0; ; attempt += 1) {
    const group = groups.first + (((state >>> 0) + attempt) % groups.count);
    if (!taken.has(group)) return group;
  }
}

/** `yapc_nat` of a sandbox is `yapc_LAB_nat` on the machine, where two labs may meet. */
export function tableNameOf(lab: string, name: string): string {
  return `yapc_${lab}_${name.replace(/^yapc_/, "")}`;
}

/** Whether a table is the lab's: by name and comment. */
export function isTableOf({ name, comment }: Pick<NftTable, "name" | "comment">, lab: string): boolean {
  return name.startsWith(tableNameOf(lab, "")) && comment === commentOf(lab);
}

/** Rule with which a chain on the machine lets pass what is not the lab's. */
const confinement = "not of this lab";

/**
 * The tables of the machine's node as they stand on the machine: named for the lab, marked, and with filter chains that
 * judge only what comes or goes by the lab's own interfaces; all else of the machine is none of its business.
 */
export function tablesForMachine(lab: string, tables: readonly NftTable[], interfaces: readonly string[]): NftTable[] {
  return tables.map((table) => ({
    ...table,
    name: tableNameOf(lab, table.name),
    comment: commentOf(lab),
    chains: table.chains.map((chain) =>
      chain.hook?.type === "filter"
        ? { ...chain, rules: [confine(lab, chain.hook.hook, interfaces), ...chain.rules] }
        : chain,
    ),
  }));
}

function confine(lab: string, hook: string, interfaces: readonly string[]): NftRule {
  const fields = hook === "output" ? ["oifname"] : hook === "input" ? ["iifname"] : ["iifname", "oifname"];
  const outside = fields.map((field) => ({
    kind: "match" as const,
    field: field as "iifname" | "oifname",
    op: "!=" as const,
    value: interfaces,
  }));
  return { statements: [...outside, { kind: "accept" }], comment: commentOf(lab, confinement) };
}

/** Back again: the lab's tables of a snapshot of the machine, as its topology would write them. */
export function tablesFromMachine(lab: string, tables: readonly NftTable[]): NftTable[] {
  return tables
    .filter((table) => isTableOf(table, lab) && table.name !== tableNameOf(lab, "uplink"))
    .map((table) => ({
      family: table.family,
      name: `yapc_${table.name.slice(tableNameOf(lab, "").length)}`,
      chains: table.chains.map((chain) => ({
        ...chain,
        rules: chain.rules.filter((rule) => rule.comment !== commentOf(lab, confinement)),
      })),
    }));
}
