/**
 * This machine without a lab, opened for reading: a transient init holds its namespaces and those of its containers, so
 * that sockets, taps and /proc take the way they take in a lab. Nothing of the machine is changed.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import type { InitLine } from "../init/api.js";
import { startInit } from "../init/client.js";
import { processStartTime, stateRoot } from "../lab/state.js";
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { didYouMean } from "../model/spelling.js";
import { type DiscoveredNode, discover, type Discovery, machineName } from "../observe/discover.js";
import { adopt, observeMachine } from "../observe/machine.js";
import { NodeSockets } from "../observe/sockets.js";

export interface MachineOptions {
  /** The user named the machine; else it is meant because no lab runs. */
  readonly asked: boolean;
  /** Namespaces without a link to the machine too. */
  readonly all: boolean;
  readonly onWarning: (text: string) => void;
}

export class OpenMachine implements AsyncDisposable {
  private constructor(
    readonly line: InitLine,
    readonly sockets: NodeSockets,
    readonly nodes: readonly DiscoveredNode[],
    private readonly discovery: Discovery,
    private readonly folder: string,
  ) {}

  /** @throws Failure (machine) for anyone but root */
  static async open({ asked, all, onWarning }: MachineOptions): Promise<OpenMachine> {
    if (process.getuid?.() !== 0) throw needsRoot(asked);
    const discovery = await discover({ environment: process.env, onWarning });
    const folder = makeFolder();
    let line: InitLine | undefined;
    let sockets: NodeSockets | undefined;
    try {
      line = await startInit({ stateFolder: folder });
      if (line.rootless) throw needsRoot(asked);
      sockets = new NodeSockets(line, onWarning);
      const nodes = await adopt(line, sockets, discovery.nodes, all);
      const unread = await legacyTables(line);
      if (unread.length > 0)
        onWarning(
          `iptables-legacy has tables here (${unread.join(", ")}), which are not read: ` +
            `where they translate ports, name each port of a service (--port 8080 --port 80)`,
        );
      return new OpenMachine(line, sockets, nodes, discovery, folder);
    } catch (error) {
      await close(line, sockets, discovery, folder);
      throw error;
    }
  }

  snapshot(): Promise<Snapshot> {
    return observeMachine(this.line, this.sockets, this.nodes, Date.now());
  }

  /** The node that a name, or the id of a container, means. @throws Failure (usage) that names the ones there are */
  node(name: string): string {
    const found = this.discovery.find(name);
    if (found !== undefined && this.nodes.includes(found)) return found.name;
    const names = this.nodes.map((node) => node.name);
    if (found !== undefined)
      throw new Failure("usage", `'${name}' has no link to this machine's network`, {
        hint: `take it in with --all; connected: ${names.join(", ")}`,
        code: "NO_NODE",
      });
    throw new Failure("usage", `no container or network namespace '${name}' on this machine`, {
      hint: `${didYouMean(name, names) ?? ""} there are: ${names.join(", ")}`.trimStart(),
      code: "NO_NODE",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.line, this.sockets, this.discovery, this.folder);
  }
}

async function close(
  line: InitLine | undefined,
  sockets: NodeSockets | undefined,
  discovery: Discovery,
  folder: string,
): Promise<void> {
  sockets?.[Symbol.dispose]();
  await line?.shutdown();
  line?.[Symbol.dispose]();
  discovery[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
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
