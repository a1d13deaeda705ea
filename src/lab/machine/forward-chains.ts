/**
 * What stands between a lab on the machine and the packets that the machine forwards for it: base chains of somebody
 * else on hook forward. A packet passes only when none of them drops it, so that an accept in a table of our own helps
 * nothing. Docker has a chain for the rules of others, DOCKER-USER; everyone else is asked first.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { NftChain, NftFamily, NftRule, NftStatement, NftTable } from "../../model/nft.js";
import { commentOf, labOfText } from "./mark.js";

/** Docker's chain for rules of the machine's owner, in a table that would else drop. */
export type OpenDoor =
  | { readonly kind: "nft"; readonly family: NftFamily; readonly table: string }
  | { readonly kind: "legacy"; readonly program: string };

export interface ClosedDoor {
  /** `table inet firewalld, chain filter_FORWARD`. */
  readonly where: string;
  /** The command that opens it for the lab's interfaces. */
  readonly line: string;
}

export interface ForwardChains {
  readonly open: readonly OpenDoor[];
  readonly closed: readonly ClosedDoor[];
}

export const dockerChain = "DOCKER-USER";

/**
 * @param families that the lab forwards
 * @param interfaces of the lab on the machine that packets are forwarded to and from
 */
export function forwardChains(
  tables: readonly NftTable[],
  families: ReadonlySet<4 | 6>,
  interfaces: readonly string[],
): ForwardChains {
  const open: OpenDoor[] = [];
  const closed: ClosedDoor[] = [];
  for (const table of tables) {
    if (labOfText(table.comment) !== undefined || !concerns(table.family, families)) continue;
    const { family, name } = table;
    const dropping = table.chains.filter(isForward).find(drops);
    if (dropping === undefined || interfaces.every((each) => letsPass(table, dropping, each))) continue;
    if (dropping.rules.some((rule) => rule.statements.some((each) => jumpsTo(each, dockerChain))))
      open.push({ kind: "nft", family, table: name });
    else
      closed.push({
        where: `table ${family} ${name}, chain ${dropping.name}`,
        line: openingLine(table, dropping, interfaces),
      });
  }
  for (const family of families) {
    const legacy = legacyDoor(family, interfaces);
    if (legacy === undefined) continue;
    if ("kind" in legacy) open.push(legacy);
    else closed.push(legacy);
  }
  return { open, closed };
}

function concerns(family: NftFamily, families: ReadonlySet<4 | 6>): boolean {
  return family === "inet" || (family === "ip" && families.has(4)) || (family === "ip6" && families.has(6));
}

function isForward({ hook }: NftChain): boolean {
  return hook?.type === "filter" && hook.hook === "forward";
}

/** By its policy, or by a last rule that lets nothing through (firewalld). */
function drops({ hook, rules }: NftChain): boolean {
  const last = rules.at(-1)?.statements ?? [];
  const all = last.every(({ kind }) => kind === "counter" || kind === "log" || kind === "drop" || kind === "reject");
  return hook?.policy === "drop" || (all && last.some(({ kind }) => kind === "drop" || kind === "reject"));
}

function jumpsTo(statement: NftStatement, chain: string): boolean {
  return (statement.kind === "jump" || statement.kind === "goto") && statement.chain === chain;
}

/** Whether the owner of the table has opened it for an interface already, in this chain or one that it jumps to. */
function letsPass(table: NftTable, base: NftChain, name: string): boolean {
  const rules = chainsFrom(table, base)
    .flatMap((chain) => chain.rules)
    .filter((rule) => labOfText(rule.comment) === undefined);
  const says = (field: "iifname" | "oifname") => rules.some((rule) => accepts(rule, field, name));
  // firewalld tells by zone where a packet comes from; the zone says the rest.
  return says("iifname") && (table.name === "firewalld" || says("oifname"));
}

function chainsFrom(table: NftTable, base: NftChain): NftChain[] {
  const found = new Set([base]);
  for (const chain of found)
    for (const statement of chain.rules.flatMap((rule) => rule.statements)) {
      if (statement.kind !== "jump" && statement.kind !== "goto") continue;
      const next = table.chains.find((each) => each.name === statement.chain);
      if (next !== undefined) found.add(next);
    }
  return [...found];
}

function accepts({ statements }: NftRule, field: string, name: string): boolean {
  const matches = statements.filter((each) => each.kind === "match");
  return (
    matches.length === 1 &&
    matches.every((each) => each.field === field && each.op === "==" && each.value === name) &&
    statements.every(({ kind }) => kind !== "unknown") &&
    statements.some(({ kind }) => kind === "accept" || kind === "goto" || kind === "jump")
  );
}

function openingLine(table: NftTable, chain: NftChain, interfaces: readonly string[]): string {
  const join = (line: (name: string) => readonly string[]) => interfaces.flatMap(line).join(" && ");
  if (table.name === "firewalld") return join((name) => [`firewall-cmd --zone=trusted --add-interface=${name}`]);
  if (table.chains.some(({ name }) => name.startsWith("ufw")))
    return join((name) => [`ufw route allow in on ${name}`, `ufw route allow out on ${name}`]);
  if (table.name === "filter" && chain.name === "FORWARD") {
    const program = table.family === "ip6" ? "ip6tables" : "iptables";
    return join((name) => [`${program} -I FORWARD -i ${name} -j ACCEPT`, `${program} -I FORWARD -o ${name} -j ACCEPT`]);
  }
  const place = `nft insert rule ${table.family} ${table.name} ${chain.name}`;
  return join((name) => [`${place} iifname ${name} accept`, `${place} oifname ${name} accept`]);
}

/** Rules of a lab in Docker's chain: what comes from its interface, and what goes to it. */
export function acceptRules(lab: string, name: string): NftRule[] {
  return (["iifname", "oifname"] as const).map((field) => ({
    statements: [
      { kind: "match", field, op: "==", value: name },
      { kind: "counter", packets: 0, bytes: 0 },
      { kind: "accept" },
    ],
    comment: commentOf(lab, `${field === "iifname" ? "from" : "to"} ${name}`),
  }));
}

/** The same as arguments of iptables-legacy, without verb and chain. */
export function legacyAcceptRules(lab: string, name: string): string[][] {
  return (["-i", "-o"] as const).map((option) => {
    const comment = commentOf(lab, `${option === "-i" ? "from" : "to"} ${name}`);
    return [option, name, "-m", "comment", "--comment", comment, "-j", "ACCEPT"];
  });
}

/** The tables of the old iptables, which nf_tables does not know: read by its own program. */
function legacyDoor(family: 4 | 6, interfaces: readonly string[]): OpenDoor | ClosedDoor | undefined {
  const program = family === 4 ? "iptables-legacy" : "ip6tables-legacy";
  if (!legacyTables(family).includes("filter")) return undefined;
  const { stdout, status } = spawnSync(program, ["-S"], { encoding: "utf8" });
  const where = `${program}, chain FORWARD`;
  // The table is there and cannot be read: whoever owns the machine must look.
  if (status !== 0) return { where, line: `${program} -S FORWARD` };
  const lines = stdout.split("\n");
  if (!lines.includes("-P FORWARD DROP")) return undefined;
  const opened = (name: string) => ["-i", "-o"].every((side) => lines.includes(`-A FORWARD ${side} ${name} -j ACCEPT`));
  if (interfaces.every(opened)) return undefined;
  if (lines.includes(`-A FORWARD -j ${dockerChain}`)) return { kind: "legacy", program };
  const line = interfaces
    .flatMap((name) => ["-i", "-o"].map((side) => `${program} -I FORWARD ${side} ${name} -j ACCEPT`))
    .join(" && ");
  return { where, line };
}

function legacyTables(family: 4 | 6): string[] {
  try {
    return readFileSync(`/proc/net/ip${family === 4 ? "" : "6"}_tables_names`, "utf8").split("\n");
  } catch {
    return []; // a kernel without them
  }
}
