/** Who is on this machine's network: itself, the containers of any engine, and namespaces by name or by process. */
import { readFileSync } from "node:fs";
import type { ContainerSnapshot, ProcessSnapshot, Unread } from "../model/snapshot.js";
import { type ContainerId, containerIdOf } from "./container-id.js";
import { askEngine, engineSockets, type NamedContainer } from "./docker-api.js";
import { findNamespaces, type FoundNamespace, type FoundNamespaces, type ToldNamespace } from "./namespaces.js";
import { toProcesses } from "./processes.js";
import { type MemberProcess, nameByRuntime } from "./runtime-names.js";

/** The node that stands for the machine. */
export const machineName = "host";

export interface DiscoveredNode {
  /** Unique; what init takes for a node's name. */
  readonly name: string;
  readonly role: "machine" | "container" | "namespace";
  readonly inode: string;
  /** nsfs descriptor; belongs to the discovery. */
  readonly descriptor: number;
  /** Other names that mean it: the container's id, the names of containers that share the namespace. */
  readonly aliases: readonly string[];
  /** Its containers, the owner of the namespace first. */
  readonly containers: readonly ContainerSnapshot[];
}

export class Discovery implements Disposable {
  constructor(
    private readonly namespaces: FoundNamespaces,
    /** The machine first. */
    readonly nodes: readonly DiscoveredNode[],
    /** What was not looked at. */
    readonly unread: readonly Unread[] = [],
  ) {}

  /** The node that a name, an id or the beginning of an id means. */
  find(name: string): DiscoveredNode | undefined {
    const exact = this.nodes.find((node) => node.name === name || node.aliases.includes(name));
    if (exact !== undefined || !/^[0-9a-f]{4,64}$/.test(name)) return exact;
    const begun = this.nodes.filter((node) => node.aliases.some((alias) => alias.startsWith(name)));
    return begun.length === 1 ? begun[0] : undefined;
  }

  /** The node of the namespace with this inode. */
  ofNamespace(inode: string): DiscoveredNode | undefined {
    return this.nodes.find((node) => node.inode === inode);
  }

  processesOf({ inode }: DiscoveredNode): ProcessSnapshot[] {
    return toProcesses(this.namespaces.all.find((each) => each.inode === inode)?.pids ?? []);
  }

  [Symbol.dispose](): void {
    this.namespaces[Symbol.dispose]();
  }
}

export interface DiscoverOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Namespaces that have neither a process nor a name in /run/netns, perhaps: those of labs. */
  readonly told?: readonly ToldNamespace[];
  readonly onWarning: (text: string) => void;
}

/** Finds every network namespace of the machine, and names it. */
export async function discover({ environment, told = [], onWarning }: DiscoverOptions): Promise<Discovery> {
  const found = findNamespaces({ told });
  try {
    const members = new Map(found.all.map((each) => [each.inode, membersOf(each, each.inode === found.own)]));
    const contained = [...members.values()].flat();
    const unread: Unread[] = hiddenProcesses(found.hidden);
    const asked =
      contained.length > 0
        ? await namesOf(engineSockets(environment), (text) => {
            onWarning(text);
            unread.push({ what: "names", text });
          })
        : [];
    const untold = contained.filter(({ id }) => !asked.some((each) => each.id === id));
    const named = [...asked, ...untold.flatMap((each) => nameByRuntime(each) ?? [])];
    return new Discovery(found, nameNodes(found, members, named), unread);
  } catch (error) {
    found[Symbol.dispose]();
    throw error;
  }
}

function hiddenProcesses(hidden: ReadonlyMap<number, number>): Unread[] {
  const count = [...hidden.values()].reduce((sum, each) => sum + each, 0);
  if (count === 0) return [];
  const users = [...hidden.keys()].sort((a, b) => a - b).map((uid) => (uid === 0 ? "root" : `uid ${uid}`));
  const shown = users.length <= 4 ? users : [...users.slice(0, 4), "…"];
  const of = count === 1 ? "a process" : `${count} processes`;
  return [{ what: "namespaces", text: `the network namespaces of ${of} of ${shown.join(", ")}` }];
}

/** A namespace is asked for by no more of its processes than these: a container may run thousands. */
const mostProcesses = 64;
/** Of the machine more are looked at: a container that uses its network is among all its others. */
const mostOfMachine = 4096;

/** The containers whose processes are in a namespace, the one that was there first coming first. */
function membersOf({ pids }: FoundNamespace, machine: boolean): MemberProcess[] {
  const ids = new Map<string, MemberProcess>();
  for (const pid of pids.slice(0, machine ? mostOfMachine : mostProcesses)) {
    const found = readOf(`/proc/${pid}/cgroup`, containerIdOf);
    if (found !== undefined && !ids.has(found.id)) ids.set(found.id, { ...found, pid });
  }
  return [...ids.values()];
}

function readOf<T>(file: string, read: (text: string) => T): T | undefined {
  try {
    return read(readFileSync(file, "utf8"));
  } catch {
    return undefined; // the process has ended
  }
}

async function namesOf(sockets: readonly string[], onWarning: (text: string) => void): Promise<NamedContainer[]> {
  const answers = await Promise.all(sockets.map(async (socket) => ({ socket, answer: await askEngine(socket) })));
  return answers.flatMap(({ socket, answer }) => {
    if ("failed" in answer)
      onWarning(`cannot ask ${socket} for the names of containers (${answer.failed}): they go by their short ids`);
    return "containers" in answer ? answer.containers : [];
  });
}

/** Names: of the container, of `ip netns`, the short id, the first process. Each once, the machine's own before all. */
export function nameNodes(
  { own, all }: Pick<FoundNamespaces, "own" | "all">,
  members: ReadonlyMap<string, readonly ContainerId[]>,
  named: readonly NamedContainer[],
): DiscoveredNode[] {
  const byId = new Map(named.map((each) => [each.id, each]));
  const taken = new Set([machineName]);
  const unique = (wanted: string): string => {
    let name = wanted;
    for (let number = 2; taken.has(name); number += 1) name = `${wanted}-${number}`;
    taken.add(name);
    return name;
  };
  const machine = all.filter(({ inode }) => inode === own);
  const others = all.filter(({ inode }) => inode !== own);
  return [
    ...machine.map(({ inode, descriptor, names }): DiscoveredNode => {
      const ids = members.get(inode) ?? [];
      const aliases = [...names, ...ids.flatMap(({ id }) => [byId.get(id)?.name ?? id.slice(0, 12), id])];
      const containers = ids.map((each) => toContainer(each, byId.get(each.id)));
      return { name: machineName, role: "machine", inode, descriptor, aliases, containers };
    }),
    ...others.map(({ inode, descriptor, pids, names }): DiscoveredNode => {
      // The container that owns the namespace, then those that joined it.
      const ids = (members.get(inode) ?? []).toSorted((a, b) => joined(byId.get(a.id)) - joined(byId.get(b.id)));
      const spoken = ids.map(({ id }) => byId.get(id)?.name ?? id.slice(0, 12));
      const [first] = [...spoken, ...names, `pid-${pids[0] ?? 0}`].map(nodeName).filter((name) => name !== "");
      const name = unique(first ?? `netns-${inode}`);
      const aliases = [...spoken, ...names, ...ids.map(({ id }) => id), ...pids.slice(0, 1).map((pid) => `pid-${pid}`)];
      return {
        name,
        role: ids.length > 0 ? "container" : "namespace",
        inode,
        descriptor,
        aliases: aliases.filter((alias) => alias !== name),
        containers: ids.map((each) => toContainer(each, byId.get(each.id))),
      };
    }),
  ];
}

function toContainer({ runtime, id }: ContainerId, told: NamedContainer | undefined): ContainerSnapshot {
  const { name, image, networks, ports, compose } = told ?? {};
  return {
    ...{ runtime, id },
    ...(name === undefined ? {} : { name }),
    ...(image === undefined ? {} : { image }),
    ...(networks === undefined ? {} : { networks }),
    ...(ports === undefined ? {} : { ports }),
    ...(compose === undefined ? {} : { compose }),
  };
}

function joined(container: NamedContainer | undefined): number {
  return container?.sharesNetworkOf === undefined ? 0 : 1;
}

/** What init takes: letters, digits, `_`, `.` and `-`, none of the last two at the beginning, 128 at the most. */
function nodeName(text: string): string {
  return text
    .replaceAll(/[^a-zA-Z0-9_.-]/g, "_")
    .replace(/^[.-]+/, "")
    .slice(0, 120);
}
