/**
 * The ids of a lab without root. Where /etc/subuid and /etc/subgid give the user a range and newuidmap(1) is there to
 * map it, a container has 65,536 users as it has for root; else its root is the only one (user_namespaces(7), subuid(5)).
 */
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { MappedIds } from "./api.js";
import { findProgram } from "./find-program.js";

/** Ids in a row. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

export interface IdRanges {
  readonly users: IdRange & { readonly program: string };
  readonly groups: IdRange & { readonly program: string };
}

/** What this user may map beside the own ids, or undefined. */
export function findIdRanges(): IdRanges | undefined {
  const users = findRange("/etc/subuid", "newuidmap");
  const groups = users && findRange("/etc/subgid", "newgidmap");
  return users && groups && { users, groups };
}

function findRange(file: string, name: string): IdRanges["users"] | undefined {
  const program = findProgram(name, `${process.env.PATH ?? ""}:/usr/bin:/bin`);
  const range = program === undefined ? undefined : rangeIn(readIfThere(file), owners());
  return program === undefined || range === undefined ? undefined : { ...range, program };
}

/** Lines of subuid(5): `OWNER:FIRST:COUNT`, the owner by name or number. The largest range of the owner counts. */
export function rangeIn(text: string, owner: readonly string[]): IdRange | undefined {
  const ranges = text
    .split("\n")
    .map((line) => /^([^:]+):(\d{1,10}):(\d{1,10})$/.exec(line.trim()))
    .filter((match) => match !== null && owner.includes(match[1] ?? ""))
    .map((match) => ({ first: Number(match?.[2]), count: Number(match?.[3]) }));
  // 0 would be the machine's root.
  return ranges.filter(({ first, count }) => first > 0 && count > 0).sort((a, b) => b.count - a.count)[0];
}

function owners(): readonly string[] {
  const uid = String(process.getuid?.() ?? 0);
  try {
    return [userInfo().username, uid];
  } catch {
    return [uid]; // not in /etc/passwd
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** @param pid of the lab's init */
export function mappedIds(pid: number): MappedIds {
  const [users, groups] = [readIdMap(pid, "uid"), readIdMap(pid, "gid")];
  const count = (map: readonly IdRange[]) => map.reduce((sum, range) => sum + range.count, 0);
  return {
    users: count(users),
    groups: count(groups),
    groupSpan: [
      Math.min(...groups.map(({ first }) => first)),
      Math.max(...groups.map((range) => range.first + range.count - 1)),
    ],
  };
}

/** Lines of a user namespace's map: first id inside, first outside, count. */
function readIdMap(pid: number, kind: "uid" | "gid"): readonly IdRange[] {
  return readFileSync(`/proc/${pid}/${kind}_map`, "latin1")
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, count }));
}
