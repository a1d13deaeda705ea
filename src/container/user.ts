/**
 * The user of a container: `root`, `1000`, `1000:1000`, or names of the container's own passwd and group files. Digits
 * are digits, a name must be there: what looks like neither is an error, never user 0 (CVE-2026-30892).
 */
import type { ContainerUser } from "../model/container.js";
import { Failure } from "../model/failure.js";

/** Highest id; 4294967295 means "leave as it is" to the kernel. */
const maximumId = 0xffff_fffe;

/** As many as the helper takes (helper/program.h, GROUPS_MAX). */
const maximumGroups = 256;

const isId = (text: string): boolean => /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) <= maximumId;

/** A line of passwd or group: name, password, id, and what follows. */
interface Entry {
  readonly name: string;
  readonly id: number;
  readonly fields: readonly string[];
}

function entries(text: string): Entry[] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([name, , id = "", ...rest]) => name !== "" && isId(id) && rest.length > 0)
    .map((fields) => ({ name: fields[0] ?? "", id: Number(fields[2]), fields }));
}

function find(kind: "user" | "group", text: string, known: readonly Entry[]): { id: number; entry?: Entry } {
  // A passwd file that calls its root "1000" does not make 1000 root.
  const digits = isId(text);
  const entry = known.find(({ name, id }) => (digits ? String(id) : name) === text);
  if (entry !== undefined) return { id: entry.id, entry };
  if (digits) return { id: Number(text) };
  // A root folder without /etc/passwd has a root nevertheless.
  if (text === "root" && known.length === 0) return { id: 0 };
  throw new Failure("usage", `the container has no ${kind} ${JSON.stringify(text)}`, {
    code: "NO_USER",
    hint: `a number, or a name of its own /etc/${kind === "user" ? "passwd" : "group"}`,
  });
}

/** The home of a user, by the container's passwd: `/` where it has none. */
export function homeOf({ uid }: ContainerUser, passwd: string): string {
  const home = entries(passwd).find(({ id }) => id === uid)?.fields[5];
  return home?.startsWith("/") === true ? home : "/";
}

/** @param passwd text of the container's /etc/passwd, empty where it has none; @param group of its /etc/group */
export function findUser(text: string, passwd: string, group: string): ContainerUser {
  const [userText = "", groupText, ...rest] = text.split(":");
  if (rest.length > 0) throw new Failure("usage", `not a user: ${JSON.stringify(text)}`, { code: "NO_USER" });
  const groups = entries(group);
  const { id: uid, entry } = find("user", userText, entries(passwd));
  const gid = groupText === undefined ? ownGroup(uid, entry) : find("group", groupText, groups).id;
  const member = ({ fields }: Entry) => entry !== undefined && (fields[3] ?? "").split(",").includes(entry.name);
  const others = groups.filter(member).map(({ id }) => id);
  if (others.length > maximumGroups)
    throw new Failure("usage", `${text} is in ${others.length} groups of the container's /etc/group`, {
      code: "NO_USER",
      hint: `at most ${maximumGroups}; or name user and group by number`,
    });
  return { uid, gid, groups: others };
}

/** The group of a passwd line; a user without one has the group of his own number. */
function ownGroup(uid: number, entry: Entry | undefined): number {
  const text = entry?.fields[3];
  if (text === undefined) return uid;
  if (isId(text)) return Number(text);
  throw new Failure("usage", `the container's /etc/passwd gives user ${uid} the group ${JSON.stringify(text)}`, {
    code: "NO_USER",
    hint: "it must be a number; or say which group: USER:GROUP",
  });
}
