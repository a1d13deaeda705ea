/**
 * `run`: one container, as yapc starts it: a lab that lives as long as its command.
 *
 * With a network of its own it has two nodes: `yapc`, the container with eth0, and `host`, a namespace that stands for
 * the machine, with the other end, `vethyapcPID`. As in yapc that end is down and on no bridge: what is missing is the
 * lesson. Without, the container shares the machine's network where root starts it; an ordinary user may not enter that
 * network, and gets one with a loopback only.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import os from "node:os";
import { explainProgram, type ExplainedStep } from "../container/explain.js";
import { ContainerRunner } from "../lab/containers.js";
import { LabFolder } from "../lab/state.js";
import { withLabLock } from "../lab/lock.js";
import type { Operation } from "../plan/operation.js";
import type { ResolvedContainer, ResolvedEnd, ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import { abandonLab, applyTo, buildLab, type BuildOptions } from "./build-lab.js";
import { searchPath } from "./exec.js";
import type { OpenLab } from "./open-lab.js";
import type { RunSettings } from "./run-settings.js";
import { onTerminal, shellStatus } from "./terminal.js";

export interface RunOptions extends RunSettings {
  readonly argv: readonly string[];
  /** What the command finds in its environment, besides PATH. */
  readonly environment: readonly (readonly [string, string])[];
  /** Tells the steps and runs nothing. */
  readonly explain: boolean;
  readonly onSteps: (steps: readonly ExplainedStep[]) => void;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

const node = "yapc";
const host = "host";

/** @returns the command's status as a shell gives it; 0 with `explain` */
export async function run(options: RunOptions): Promise<number> {
  const name = `yapc${process.pid}`;
  const build: BuildOptions = { strict: false, onWarning: options.onWarning, signal: options.signal };
  const folder = new LabFolder(name);
  // Not held while the command runs: others may look at the lab and change its links meanwhile.
  const lab = await withLabLock(name, "run", async () => {
    const built = await buildLab(topologyOf(name, [], []), undefined, folder, build);
    try {
      await makeNetwork(built.lab, name, options, build);
      return built.lab;
    } catch (error) {
      await abandonLab(built.lab);
      throw error;
    }
  });
  try {
    const container = containerOf(options);
    const runner = new ContainerRunner(lab.line, folder, topologyOf(name, [], []), build);
    if (options.explain || options.debug) {
      using prepared = runner.prepare(node, container);
      options.onSteps(explainProgram(prepared.program));
      if (options.explain) return 0;
    }
    const exit = await onTerminal((stdio) => runner.start(node, container, { stdio, tied: true }));
    if (exit.outOfMemory === true) options.onWarning("the memory limit was reached, and the kernel ended a process");
    return shellStatus(exit);
  } finally {
    await abandonLab(lab);
  }
}

async function makeNetwork(lab: OpenLab, name: string, options: RunOptions, build: BuildOptions): Promise<void> {
  const { line, found } = lab;
  const nodes = [nodeOf(node, containerOf(options))];
  const ends: [ResolvedEnd, ResolvedEnd][] = [];
  if (!options.network && !line.rootless) {
    const machine = openSync("/proc/self/ns/net", "r");
    try {
      await line.adoptNode(node, machine);
    } finally {
      closeSync(machine);
    }
  } else {
    const operations: Operation[] = [{ kind: "node.create", node, container: true, reason: "new" }];
    if (options.network) {
      nodes.push(nodeOf(host));
      ends.push([end(node, "eth0", 1, true), end(host, `veth${name}`.slice(0, 15), 2, false)]);
      operations.push(
        { kind: "node.create", node: host, container: false, reason: "new" },
        ...ends.map((pair): Operation => ({
          kind: "veth.create",
          ends: pair,
          longNames: [undefined, undefined],
          reason: "new",
        })),
        loopbackUp(host),
      );
    } else operations.push(loopbackUp(node));
    await applyTo(lab, found.record.topology, operations, false, build);
  }
  found.folder.write({ ...found.record, topology: topologyOf(name, nodes, ends) });
}

function loopbackUp(name: string): Operation {
  return {
    kind: "link.change",
    node: name,
    interface: "lo",
    change: { up: true },
    previous: { up: false },
    reason: "new",
  };
}

/** Locally administered addresses, one lab's unlike another's. */
function end(name: string, device: string, number: number, up: boolean): ResolvedEnd {
  const pid = process.pid.toString(16).padStart(8, "0").match(/../g) ?? [];
  return { node: name, interface: device, mac: ["02", ...pid, `0${number}`].join(":"), mtu: 1500, up };
}

function topologyOf(
  name: string,
  nodes: readonly ResolvedNode[],
  ends: readonly (readonly [ResolvedEnd, ResolvedEnd])[],
): ResolvedTopology {
  return {
    name,
    ...(ends.length === 0 ? {} : { machine: host }),
    nodes,
    links: ends.map((pair) => ({ kind: "veth", ends: pair })),
    hosts: [],
    expectations: [],
  };
}

function nodeOf(name: string, container?: ResolvedContainer): ResolvedNode {
  return {
    name,
    sysctls: [],
    bridges: [],
    devices: [],
    interfaces: [],
    routes: [],
    rules: [],
    neighbours: [],
    nftables: [],
    ...(container === undefined ? {} : { container }),
    hosts: [],
    ready: [],
    uplink: false,
  };
}

function containerOf(options: RunOptions): ResolvedContainer {
  const { argv, root, cpu, memory, pids, capabilities, name, user } = options;
  const files = ["/etc/resolv.conf", "/etc/hosts"].flatMap((file): [string, string][] => {
    const text = readOrNothing(file);
    return text === undefined ? [] : [[file, text]];
  });
  return {
    command: argv,
    root,
    environment: [["PATH", searchPath], ...options.environment],
    workingDirectory: "/",
    user,
    hostname: name ?? os.hostname(),
    files,
    limits: {
      ...(cpu === undefined ? {} : { cpu }),
      ...(memory === undefined ? {} : { memory }),
      ...(pids === undefined ? {} : { pids }),
    },
    capabilities,
    seccomp: true,
    restart: "no",
  };
}

/** The machine's own, which yapc copies in too. */
function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
