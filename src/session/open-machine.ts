/**
 * This machine without a lab, opened for reading: a transient init holds its namespaces and those of its containers, so
 * that sockets, taps and /proc take the way they take in a lab. Nothing of the machine is changed.
 *
 * An ordinary user sees what is the user's own: the machine's namespace as far as everybody may read it, and by an init
 * in each of the user's own user namespaces what belongs to them. The snapshot says what was not looked at.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import type { InitLine, NodeLine } from "../init/api.js";
import { connectInit, startInit } from "../init/client.js";
import { close } from "../kernel/syscalls.js";
import { processStartTime, stateRoot } from "../lab/state.js";
import { Failure } from "../model/failure.js";
import type { Snapshot, Unread } from "../model/snapshot.js";
import { type DiscoveredNode, discover, type Discovery, machineName } from "../observe/discover.js";
import { JoinedLines, OwnNamespace } from "../observe/lines.js";
import { adopt, adoptAll, observeMachine } from "../observe/machine.js";
import type { ToldNamespace } from "../observe/namespaces.js";
import { NodeSockets } from "../observe/sockets.js";
import { owningUserNamespace, type UserNamespace } from "../observe/user-namespaces.js";
import { findNode, type MachineTarget, nodesOf, toldByPath } from "./machine-target.js";
import { runningLabs } from "./target.js";

export interface MachineOptions {
  /** Namespaces without a link to the machine too. */
  readonly all: boolean;
  /** Nodes that are asked for, kept though they may have no link to the machine. */
  readonly target?: MachineTarget;
  /** Refuses where a part of the machine cannot be read: what is worked out from the rest would be wrong. */
  readonly whole?: { readonly asked: boolean };
  readonly onWarning: (text: string) => void;
}

interface Entered {
  readonly line: NodeLine;
  readonly inits: readonly InitLine[];
  readonly sockets: NodeSockets;
  readonly nodes: readonly DiscoveredNode[];
  readonly unread: readonly Unread[];
  /** Whether everything of the machine may be read. */
  readonly asRoot: boolean;
}

export class OpenMachine implements AsyncDisposable {
  private constructor(
    private readonly entered: Entered,
    private readonly discovery: Discovery,
    private readonly folder: string,
    /** Nodes that the target names. */
    readonly targets: readonly string[],
  ) {}

  static async open({ all, target = {}, whole, onWarning }: MachineOptions): Promise<OpenMachine> {
    if (whole !== undefined && process.getuid?.() !== 0) throw needsRoot(whole.asked);
    const told = [...(await labNamespaces()), ...toldByPath(target)];
    const discovery = await discover({ environment: process.env, told, onWarning });
    const folder = makeFolder();
    try {
      const wanted = nodesOf(target, discovery);
      const keep = (node: DiscoveredNode): boolean => all || wanted.includes(node);
      const entered =
        (process.getuid?.() === 0 ? await enterAsRoot(discovery, folder, keep, onWarning) : undefined) ??
        (await enterAsUser(discovery, folder, onWarning));
      const closed = wanted.find((node) => !entered.nodes.includes(node));
      if (closed !== undefined) {
        await leave(entered);
        throw new Failure("machine", `'${closed.name}' belongs to another user: its network is open to root only`, {
          hint: "run it with sudo",
          code: "EPERM",
        });
      }
      const targets = [...new Set(wanted.map(({ name }) => name))];
      return new OpenMachine(entered, discovery, folder, targets);
    } catch (error) {
      discovery[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get line(): NodeLine {
    return this.entered.line;
  }

  get nodes(): readonly DiscoveredNode[] {
    return this.entered.nodes;
  }

  snapshot(): Promise<Snapshot> {
    const { line, sockets, nodes, unread } = this.entered;
    return observeMachine(line, sockets, { discovery: this.discovery, nodes, unread }, Date.now());
  }

  /** Whether a program may be run beside the node: a tap, for one. */
  mayRunIn(node: string): boolean {
    return this.entered.asRoot || node !== machineName;
  }

  /** The node that a name, or the id of a container, means. @throws Failure (usage) that names the ones there are */
  node(name: string): string {
    const found = findNode(this.discovery, name, this.nodes);
    if (this.nodes.includes(found)) return found.name;
    const names = this.nodes.map((node) => node.name);
    if (!this.entered.asRoot)
      throw new Failure("machine", `'${name}' belongs to another user: its network is open to root only`, {
        hint: "run it with sudo",
        code: "EPERM",
      });
    throw new Failure("usage", `'${name}' has no link to this machine's network`, {
      hint: `take it in with --all; connected: ${names.join(", ")}`,
      code: "NO_NODE",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await leave(this.entered);
    this.discovery[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function leave({ inits, sockets }: Pick<Entered, "inits" | "sockets">): Promise<void> {
  sockets[Symbol.dispose]();
  await Promise.all(inits.map((line) => line.shutdown()));
  for (const line of inits) line[Symbol.dispose]();
}

/** Nodes of labs that run: their inits hold them, and those of an ordinary user have no names in /run/netns. */
async function labNamespaces(): Promise<ToldNamespace[]> {
  const told: ToldNamespace[] = [];
  for (const { folder, record } of runningLabs()) {
    try {
      using line = await connectInit({ stateFolder: folder.path });
      for (const { name, descriptor } of await line.nodes())
        told.push({ name: `${record.name}-${name}`, path: `/proc/${line.pid}/fd/${descriptor}` });
    } catch (error) {
      // It ended a moment ago, or speaks another version: its processes are found all the same.
      if (!(error instanceof Failure)) throw error;
    }
  }
  return told;
}

/** @returns undefined for a root that may not administer the network (in a container) */
async function enterAsRoot(
  discovery: Discovery,
  folder: string,
  keep: (node: DiscoveredNode) => boolean,
  onWarning: (text: string) => void,
): Promise<Entered | undefined> {
  const line = await startInit({ stateFolder: folder });
  const sockets = new NodeSockets(line, onWarning);
  try {
    if (line.rootless) {
      await leave({ inits: [line], sockets });
      return undefined;
    }
    const nodes = await adopt(line, sockets, discovery.nodes, keep);
    const unread = await legacyTables(line);
    if (unread.length === 0) return { line, inits: [line], sockets, nodes, unread: [], asRoot: true };
    const text = `tables of iptables-legacy (${unread.join(", ")}), which are not read`;
    onWarning(
      `iptables-legacy has tables here (${unread.join(", ")}), which are not read: ` +
        `where they translate ports, name each port of a service (--port 8080 --port 80)`,
    );
    return {
      ...{ line, inits: [line], sockets, nodes, asRoot: true },
      unread: [{ what: "rules", node: machineName, text }],
    };
  } catch (error) {
    await leave({ inits: [line], sockets });
    throw error;
  }
}

/** More user namespaces than these are not entered: each takes a process (a browser makes one for each of its own). */
const mostUserNamespaces = 32;

interface OwnedNodes extends UserNamespace {
  readonly nodes: DiscoveredNode[];
}

async function enterAsUser(discovery: Discovery, folder: string, onWarning: (text: string) => void): Promise<Entered> {
  const unread: Unread[] = [];
  const { owned, foreign } = byOwner(discovery.nodes.filter(({ role }) => role !== "machine"));
  const inits: (readonly [InitLine, readonly string[]])[] = [];
  const entered: DiscoveredNode[] = [];
  try {
    for (const [number, { descriptor, nodes }] of owned.entries()) {
      const names = nodes.map(({ name }) => name);
      if (number >= mostUserNamespaces) {
        unread.push({ what: "namespaces", text: `${names.join(", ")}: more user namespaces than are entered` });
        continue;
      }
      try {
        const line = await startInit({ stateFolder: path.join(folder, String(number)), userNamespace: descriptor });
        inits.push([line, names]);
        await adoptAll(line, nodes);
        entered.push(...nodes);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        unread.push({ what: "namespaces", text: `${names.join(", ")}: cannot be entered (${error.message})` });
      }
    }
  } finally {
    for (const { descriptor } of owned) close(descriptor);
  }
  if (foreign.length > 0)
    unread.push({ what: "namespaces", text: `the network namespaces ${foreign.join(", ")}: for root only` });
  const reached = inits.map(([line, names]) => {
    return [line, names.filter((name) => entered.some((node) => node.name === name))] as const;
  });
  const line = new JoinedLines(new OwnNamespace(machineName), machineName, reached);
  const nodes = discovery.nodes.filter((node) => node.role === "machine" || entered.includes(node));
  const sockets = new NodeSockets(line, onWarning);
  return { line, inits: inits.map(([each]) => each), sockets, nodes, unread, asRoot: false };
}

/** The user's own namespaces by the user namespace that opens them, and the names of all others. */
function byOwner(nodes: readonly DiscoveredNode[]): { owned: readonly OwnedNodes[]; foreign: readonly string[] } {
  const owned = new Map<string, OwnedNodes>();
  const foreign: string[] = [];
  for (const node of nodes) {
    const owner = owningUserNamespace(node.descriptor);
    if (owner === undefined) {
      foreign.push(node.name);
      continue;
    }
    const known = owned.get(owner.inode);
    if (known === undefined) owned.set(owner.inode, { ...owner, nodes: [node] });
    else {
      close(owner.descriptor);
      known.nodes.push(node);
    }
  }
  return { owned: [...owned.values()], foreign };
}

/** Tables of the machine that are older than nf_tables; asking for them would load them, this file only tells. */
async function legacyTables(line: InitLine): Promise<string[]> {
  const names = await Promise.all(
    ["ip_tables_names", "ip6_tables_names"].map((file) =>
      line.readProcNet(machineName, file).catch((error: unknown) => {
        if (error instanceof Failure && error.code === "ENOENT") return "";
        throw error;
      }),
    ),
  );
  return [...new Set(names.join("\n").split("\n"))].filter((name) => name !== "").sort();
}

/** A folder for this process alone; those of processes that were killed go. */
function makeFolder(): string {
  const root = stateRoot();
  for (const name of readdirSync(root)) {
    const pid = /^\.machine-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || processStartTime(Number(pid)) !== undefined) continue;
    rmSync(path.join(root, name), { recursive: true, force: true });
  }
  const folder = path.join(root, `.machine-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

function needsRoot(asked: boolean): Failure {
  const what = "the networks of this machine and of its containers are open to root only";
  return new Failure("machine", asked ? what : `no lab runs, and ${what}`, {
    hint: "run it with sudo; or start a lab, which needs no root: yapc-net up docker-bridge",
    code: "EPERM",
  });
}
