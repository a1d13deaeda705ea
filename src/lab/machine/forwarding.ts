/**
 * Forwarding on the machine: a lab raises it where it is off, and lowers it again when it ends, unless somebody came to
 * need it meanwhile. With one sysctl the kernel changes many (net/ipv4/devinet.c inet_forward_change, net/ipv6/addrconf.c
 * addrconf_fixup_forwarding): these are remembered, too.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { NftTable } from "../../model/nft.js";
import { labNames, LabFolder } from "../state.js";
import { ownNetns } from "./machine.js";
import { Journal, type JournalHeader, type MadeOf, readJournal } from "./journal.js";
import { labOfLink, labOfText } from "./mark.js";

type RaisedSysctl = MadeOf<"sysctl">;

export const forwardingSysctls = { 4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding" } as const;

/** @param name dotted, of the net.ipv4 or net.ipv6 that hold no other dots. @returns undefined where there is none */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(fileOf(name), "utf8").trim();
  } catch {
    return undefined;
  }
}

/** As sysctl(8): a slash stands for a dot that belongs to an interface's name. */
function fileOf(name: string): string {
  const swapped = name.replaceAll(/[./]/g, (letter) => (letter === "." ? "/" : "."));
  return path.join("/proc/sys", swapped);
}

/** What a write of this sysctl changes beside it, as it reads now. */
export function sideEffectsOf(name: string): Record<string, string> {
  const family = name === forwardingSysctls[4] ? "ipv4" : name === forwardingSysctls[6] ? "ipv6" : undefined;
  if (family === undefined) return {};
  const beside = readdirSync(`/proc/sys/net/${family}/conf`)
    .filter((scope) => scope !== "all")
    .map((scope) => `net.${family}.conf.${scope.replaceAll(".", "/")}.forwarding`);
  if (family === "ipv4") beside.push("net.ipv4.conf.all.accept_redirects");
  return Object.fromEntries(
    beside.flatMap((each) => {
      const value = readSysctl(each);
      return value === undefined ? [] : [[each, value]];
    }),
  );
}

/** Kinds of link that are seldom there but for forwarding. */
const forwardingKinds = new Set(["bridge", "tun", "wireguard", "vxlan"]);

/** A link as a snapshot or as the kernel layer shows it. */
interface SeenLink {
  readonly name: string;
  readonly kind: string | undefined;
  readonly group: number;
  readonly alias?: string | undefined;
  readonly altnames: readonly string[];
}

/** Who on the machine seems to forward, labs left out: in words that can be compared later. */
export function forwardersOf(links: readonly SeenLink[], tables: readonly NftTable[]): string[] {
  return [
    ...links
      .filter((link) => forwardingKinds.has(link.kind ?? "") && labOfLink(link) === undefined)
      .map((link) => `${link.kind ?? "link"} ${link.name}`),
    ...tables
      .filter((table) => labOfText(table.comment) === undefined)
      .filter(({ chains }) => chains.some(({ hook }) => hook?.type === "nat" && hook.hook === "postrouting"))
      .map((table) => `table ${table.family} ${table.name}`),
  ].sort();
}

/** Writes a sysctl that reads otherwise. @param users who forwards on the machine beside the lab */
export function raiseSysctl(journal: Journal, name: string, value: string, users: readonly string[]): void {
  const previous = readSysctl(name);
  if (previous === undefined || previous === value) return;
  journal.make({ kind: "sysctl", name, value, previous, beside: sideEffectsOf(name), users });
  writeSysctl(name, value);
}

/**
 * Gives a sysctl back its value, when nobody else needs it.
 * @param now who forwards now
 * @returns why it was left as it is, or undefined
 */
export function lowerSysctl(
  { lab, netns }: JournalHeader,
  raised: RaisedSysctl,
  now: readonly string[],
): string | undefined {
  const { name, value, previous, beside } = raised;
  // Somebody wrote another value since: it is theirs.
  if (readSysctl(name) !== value) return undefined;
  const heir = otherLabs(lab, netns).find(({ needs }) => needs.includes(name));
  if (heir !== undefined) {
    using journal = Journal.open(heir.folder.path, heir.header);
    journal.make(raised);
    return undefined;
  }
  const newcomers = now.filter((each) => !raised.users.includes(each));
  if (newcomers.length > 0) return `${name} stays ${value}: ${newcomers.join(", ")} came to need it`;
  writeSysctl(name, previous);
  for (const [each, before] of Object.entries(beside)) {
    const current = readSysctl(each);
    if (current !== undefined && current !== before) writeSysctl(each, before);
  }
  return undefined;
}

/**
 * For a lab whose journal is lost: whether it raised forwarding is known to nobody, so it stays, and its owner is told.
 * @param now who forwards now
 */
export function unknownForwarding(lab: string, now: readonly string[]): string[] {
  if (now.length > 0) return [];
  const others = otherLabs(lab, ownNetns());
  return Object.values(forwardingSysctls)
    .filter((name) => readSysctl(name) === "1" && !others.some(({ needs }) => needs.includes(name)))
    .map(
      (name) =>
        `${name} is 1, and the journal that tells whether lab '${lab}' raised it is lost: ` +
        `if nothing else on this machine forwards, sysctl -w ${name}=0`,
    );
}

function writeSysctl(name: string, value: string): void {
  writeFileSync(fileOf(name), value);
}

/** Other labs on this machine and the sysctls that they rely on. */
function otherLabs(lab: string, netns: string) {
  return labNames()
    .filter((name) => name !== lab)
    .flatMap((name) => {
      const folder = new LabFolder(name);
      const journal = readJournal(folder.path);
      const needs = folder.read()?.machine?.needs;
      if (journal?.header.netns !== netns || needs === undefined) return [];
      return [{ folder, header: journal.header, needs }];
    });
}
