/** Opens Docker's chain for a lab's interfaces, each rule marked and in the journal before it is made; closes it again. */
import { spawnSync } from "node:child_process";
import { type NetlinkClient, NetlinkError, nftables } from "../../kernel/index.js";
import { Failure } from "../../model/failure.js";
import type { NftTable } from "../../model/nft.js";
import { acceptRules, dockerChain, legacyAcceptRules, type OpenDoor } from "./forward-chains.js";
import type { Journal, Made, MadeOf } from "./journal.js";
import { labOfText } from "./mark.js";

/** Puts the rules of the interfaces where they are not yet. */
export function openDoors(
  client: NetlinkClient,
  journal: Journal,
  doors: readonly OpenDoor[],
  interfaces: readonly string[],
): void {
  const { lab } = journal.header;
  const tables = doors.length === 0 ? [] : nftables.readTables(client);
  for (const door of doors) {
    if (door.kind === "legacy") openLegacy(journal, door.program, interfaces);
    else {
      const { family, table } = door;
      const chain = tables.find((each) => each.family === family && each.name === table)?.chains;
      const there = new Set(chain?.find(({ name }) => name === dockerChain)?.rules.map(({ comment }) => comment));
      const missing = interfaces.flatMap((name) => acceptRules(lab, name)).filter(({ comment }) => !there.has(comment));
      if (missing.length === 0) continue;
      journal.make(
        ...missing.map(({ comment = "" }): Made => ({
          kind: "chain rule",
          family,
          table,
          chain: dockerChain,
          comment,
        })),
      );
      // Docker ends its chain with a return: ours go before it.
      const requests = missing.flatMap(
        (rule) => nftables.appendRule({ family, name: table }, dockerChain, rule, 1, "start").requests,
      );
      client.transact(nftables.batch(requests));
    }
  }
}

function openLegacy(journal: Journal, program: string, interfaces: readonly string[]): void {
  for (const specification of interfaces.flatMap((name) => legacyAcceptRules(journal.header.lab, name))) {
    if (spawnSync(program, ["-C", dockerChain, ...specification]).status === 0) continue;
    journal.make({ kind: "legacy rule", program, chain: dockerChain, specification });
    const { status, stderr } = spawnSync(program, ["-I", dockerChain, ...specification], { encoding: "utf8" });
    if (status !== 0) throw new Failure("kernel", `${program} -I ${dockerChain}: ${stderr.trim()}`);
  }
}

const attempts = 10;

/**
 * Removes the rules of a lab from the chains of others, by handle, in one transaction for the ruleset in which their
 * comments were read.
 * @param kept comments of rules that stay
 */
export function closeDoors(client: NetlinkClient, lab: string, kept: ReadonlySet<string> = new Set()): void {
  for (let attempt = 1; ; attempt += 1) {
    const generation = client.execute(nftables.generation());
    const requests = foreignRules(nftables.readTables(client), lab)
      .filter(({ comment }) => !kept.has(comment))
      .map(({ table, chain, handle }) => nftables.removeRule(table, chain, handle));
    if (requests.length === 0) return;
    try {
      client.transact(nftables.batch(requests, generation));
      return;
    } catch (error) {
      const changed = error instanceof NetlinkError && error.code === "ERESTART";
      if (!changed || attempt === attempts) throw error;
    }
  }
}

/** Rules that carry a lab's mark in tables that do not. */
export function foreignRules(tables: readonly NftTable[], lab: string) {
  return tables
    .filter((table) => labOfText(table.comment) === undefined)
    .flatMap((table) =>
      table.chains.flatMap((chain) =>
        chain.rules.flatMap(({ handle, comment }) =>
          handle !== undefined && labOfText(comment) === lab
            ? [{ table, chain: chain.name, handle, comment: comment ?? "" }]
            : [],
        ),
      ),
    );
}

/** Whether a rule of iptables-legacy is still there. */
export function hasLegacyRule({ program, chain, specification }: MadeOf<"legacy rule">): boolean {
  return spawnSync(program, ["-C", chain, ...specification]).status === 0;
}

export function removeLegacyRule({ program, chain, specification }: MadeOf<"legacy rule">): void {
  spawnSync(program, ["-D", chain, ...specification]);
}
