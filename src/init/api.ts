/**
 * The line to yapc-init: what a client may ask of a lab's init. `client.ts` speaks it over the lab's socket.
 *
 * Init is PID 1 of the lab's PID namespace. It holds the namespaces of the nodes, opens sockets in them, starts and
 * reaps every process of a lab. Descriptors that come back belong to the caller, who closes them.
 */
import type { ContainerUser, ExitStatus } from "../model/container.js";

export type { ExitStatus };

/** What a process runs in. `namespace`: the node's network namespace with the lab's own mounts. `container`: all namespaces of the node's container. */
export type ProcessPlace = "namespace" | "container";

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface SpawnRequest {
  /** Absent: the lab's own namespace. */
  readonly node?: string;
  readonly place: ProcessPlace;
  readonly argv: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  readonly workingDirectory?: string;
  /** In place `container`: instead of the user of its command. */
  readonly user?: ContainerUser;
  /** Files of ours that become 0, 1, 2 of the process; or a new pty, whose master comes back. */
  readonly stdio: readonly [number, number, number] | "pty";
  /** Of the pty, before anyone in it can ask; absent: as terminals always were. */
  readonly size?: TerminalSize;
  /** Ends when the client's connection does (taps, commands). False for what belongs to the lab. */
  readonly tied: boolean;
  /** In place `namespace`: /sys, /etc/hosts and /etc/resolv.conf are the node's (`STATE_FOLDER/hosts/NODE`, `resolv/NODE`), as `ip netns exec` does it. */
  readonly ownView?: boolean;
}

/** Where the output of a container's command goes: a log that init keeps, or files or a pty as of `SpawnRequest`. */
export type ContainerOutput =
  { readonly logPath: string } | (Pick<SpawnRequest, "stdio" | "size"> & { readonly tied: boolean });

export interface InitProcess {
  /** Number that init gave it; unique for the life of the lab. */
  readonly id: number;
  /** PID as seen from the machine. */
  readonly pid: number;
  /** Master of the pty where one was asked for: owned by the caller. */
  readonly pty: number | undefined;
  /** Settles when the process has ended; rejects with a Failure when it could not be started or init died. */
  readonly exit: Promise<ExitStatus>;
  signal(name: NodeJS.Signals): void;
  resize(columns: number, rows: number): void;
}

export interface NodeStatus {
  readonly name: string;
  readonly container: boolean;
  /** Inode of its network namespace. */
  readonly netns: string;
  /** Number of init's own descriptor of that namespace: `/proc/PID/fd/N` of init leads into it. */
  readonly descriptor: number;
  /** PID of the container's first process, as seen from the machine. */
  readonly pid?: number;
  /** The number that init gave that process. */
  readonly process?: number;
  readonly lastExit?: ExitStatus;
}

/** The ids that the lab's user namespace maps: all, or without root the user's own and what id-ranges.ts found. */
export interface MappedIds {
  /** How many users and groups a container of the lab has, from 0 up. */
  readonly users: number;
  readonly groups: number;
  /** Lowest and highest group, as the lab's user namespace numbers them. */
  readonly groupSpan: readonly [number, number];
}

/** Dotted name and value. */
export type SysctlEntry = readonly [name: string, value: string, optional?: boolean];

export interface InitLine extends Disposable {
  /** PID of init as seen from the machine, and its start time (field 22 of /proc/PID/stat). */
  readonly pid: number;
  readonly startTime: string;
  readonly rootless: boolean;
  readonly ids: MappedIds;
  /** Settles when init is gone, however it ended. Every descriptor of the line is then worthless. */
  readonly gone: Promise<void>;

  /** Makes the namespaces of nodes; with `container`, without root, each inside a nested user namespace that maps root. */
  createNodes(nodes: readonly { readonly name: string; readonly container: boolean }[]): Promise<void>;
  /** Makes a node of a network namespace that is there already (the machine's, Docker's). @param namespace nsfs descriptor, stays the caller's */
  adoptNode(name: string, namespace: number): Promise<void>;
  /** Ends the node's processes and lets go of its namespaces. */
  removeNode(name: string): Promise<void>;
  nodes(): Promise<readonly NodeStatus[]>;

  /** A descriptor of the node's network namespace (nsfs), for IFLA_NET_NS_FD. */
  openNamespace(node: string): number;
  /** A netlink socket made in the node. @param protocol NETLINK_ROUTE = 0, NETLINK_SOCK_DIAG = 4, NETLINK_NETFILTER = 12 */
  openNetlink(node: string, protocol: number): number;
  /** A bound, listening or plain socket of another family made in the node (AF_INET, AF_INET6, AF_PACKET …). */
  openSocket(node: string, family: number, type: number, protocol: number): number;
  /** As `openNamespace`, of many nodes at once, in their order: all of them or none. */
  openNamespaces(nodes: readonly string[]): Promise<readonly number[]>;
  /** As `openNetlink`, of many nodes at once, in their order: all of them or none. */
  openNetlinks(nodes: readonly string[], protocol: number): Promise<readonly number[]>;
  /** Dotted names. Reads what /proc/sys says in the node; undefined where there is no such file. */
  readSysctls(node: string, names: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Writes them in their order, until one is refused. An optional one is passed over where there is no such file. */
  writeSysctls(node: string, entries: readonly SysctlEntry[]): Promise<void>;
  /** Text of /proc/net/PATH as it reads inside the node (`tcp`, `snmp`, `netstat`, …). */
  readProcNet(node: string, path: string): Promise<string>;

  spawn(request: SpawnRequest): Promise<InitProcess>;
  /** Runs a program for the helper (src/container) as the node's container. @param files descriptors its operations name by index */
  startContainer(
    node: string,
    program: Uint8Array,
    files: readonly number[],
    output: ContainerOutput,
  ): Promise<InitProcess>;
  /** TERM, then KILL after the grace. @param grace milliseconds */
  stopContainer(node: string, grace: number): Promise<ExitStatus | undefined>;

  /** The lab is complete: from now on it outlives its clients. Before, init ends when its first client goes. */
  commit(): Promise<void>;
  /** Ends the lab: every process, socket (SOCK_DESTROY) and namespace. Settles when init is gone. */
  shutdown(): Promise<void>;
}

/** What it takes to read nodes and to run something beside them. */
export type NodeLine = Pick<
  InitLine,
  | "gone"
  | "nodes"
  | "openNamespace"
  | "openNamespaces"
  | "openNetlink"
  | "openNetlinks"
  | "openSocket"
  | "readSysctls"
  | "readProcNet"
  | "spawn"
>;
