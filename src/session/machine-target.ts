/** What of a machine is meant: a container, a process, a namespace, an interface. */
import { readlinkSync, statSync } from "node:fs";
import path from "node:path";
import { Failure } from "../model/failure.js";
import { didYouMean } from "../model/spelling.js";
import type { DiscoveredNode, Discovery } from "../observe/discover.js";
import type { ToldNamespace } from "../observe/namespaces.js";

/** As the flags of a command give it; what is absent is not asked for. */
export interface MachineTarget {
  /** Names of containers or namespaces, ids, or the beginning of one. */
  readonly containers?: readonly string[] | undefined;
  readonly pids?: readonly number[] | undefined;
  /** Names below /run/netns, or paths. */
  readonly netns?: readonly string[] | undefined;
  /** `IF` of the machine, or `NODE:IF`. */
  readonly interfaces?: readonly string[] | undefined;
}

export function isTargeted({ containers = [], pids = [], netns = [], interfaces = [] }: MachineTarget): boolean {
  return containers.length + pids.length + netns.length + interfaces.length > 0;
}

/** Namespaces that are given by a path, which may be known by nothing else. @throws Failure (usage) where there is none */
export function toldByPath({ netns = [] }: MachineTarget): ToldNamespace[] {
  return netns.map((given) => {
    const file = pathOf(given);
    inodeOf(file, given);
    return { name: path.basename(file), path: file };
  });
}

function pathOf(given: string): string {
  return given.includes("/") ? given : path.join("/run/netns", given);
}

function inodeOf(file: string, given: string): string {
  let status;
  try {
    status = statSync(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    throw new Failure(
      code === "EACCES" ? "machine" : "usage",
      `cannot open the network namespace '${given}': ${code}`,
      {
        hint: given.includes("/")
          ? "a path such as /proc/PID/ns/net or /run/netns/NAME"
          : "`ip netns list` shows the names",
        code,
      },
    );
  }
  if (status.dev !== statSync("/proc/self/ns/net").dev)
    throw new Failure("usage", `'${given}' is not a network namespace (${file} is no file of nsfs)`, {
      code: "EINVAL",
    });
  return status.ino.toString();
}

/** Nodes that a target means, beside its interfaces. @throws Failure (usage) for what is not there */
export function nodesOf(target: MachineTarget, discovery: Discovery): DiscoveredNode[] {
  const { containers = [], pids = [], netns = [] } = target;
  return [
    ...containers.map((name) => findNode(discovery, name)),
    ...pids.map((pid) => nodeOfProcess(discovery, pid)),
    ...netns.map((given) => {
      const node = discovery.ofNamespace(inodeOf(pathOf(given), given));
      if (node === undefined)
        throw new Failure("usage", `the network namespace '${given}' has ended`, { code: "NO_NODE" });
      return node;
    }),
  ];
}

export function findNode(discovery: Discovery, name: string, nodes = discovery.nodes): DiscoveredNode {
  const found = discovery.find(name);
  if (found !== undefined) return found;
  const names = nodes.map((node) => node.name);
  throw new Failure("usage", `no container or network namespace '${name}' on this machine`, {
    hint: `${didYouMean(name, names) ?? ""} there are: ${names.join(", ")}`.trimStart(),
    code: "NO_NODE",
  });
}

function nodeOfProcess(discovery: Discovery, pid: number): DiscoveredNode {
  let inode: string | undefined;
  try {
    inode = /^net:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[1];
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    if (code === "EACCES" || code === "EPERM")
      throw new Failure("machine", `the network namespace of process ${pid} is open to its user and to root only`, {
        hint: "run it with sudo",
        code,
      });
    throw new Failure("usage", `there is no process ${pid}`, { hint: "`ps -e` shows them", code: "ESRCH" });
  }
  const node = inode === undefined ? undefined : discovery.ofNamespace(inode);
  if (node === undefined) throw new Failure("usage", `process ${pid} has ended`, { code: "ESRCH" });
  return node;
}
