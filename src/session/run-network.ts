/** The network that `run` gives its container: what its lab is made of, and where it comes from. */
import { closeSync, openSync } from "node:fs";
import os from "node:os";
import { closeQuietly, constants, ioctl } from "../kernel/syscalls.js";
import type { ExplainedStep } from "../container/explain.js";
import { readHosts } from "../lab/hosts.js";
import { readResolv } from "../lab/resolv.js";
import { Failure } from "../model/failure.js";
import type { Operation } from "../plan/operation.js";
import type {
  HostsLine,
  ResolvedContainer,
  ResolvedEnd,
  ResolvedNode,
  ResolvedTopology,
} from "../topology/resolved.js";
import { applyTo, type BuildOptions } from "./build-lab.js";
import { OpenLab } from "./open-lab.js";
import type { RunNetwork } from "./run-settings.js";
import { checkNode, findLab, type FoundLab } from "./target.js";

/** The container's node. */
export const runNode = "yapc";
/** The node that stands for the machine, with the other end of eth0. */
const host = "host";

/** A network that is there already, with its user namespace where it must be entered first. Owned by who asked for it. */
export class ForeignNetwork implements Disposable {
  constructor(
    readonly namespace: number,
    readonly userNamespace: number | undefined,
    /** Contents of the node's own, for a lab's. */
    readonly files: readonly (readonly [path: string, content: string])[] = [],
  ) {}

  [Symbol.dispose](): void {
    closeQuietly(this.namespace);
    if (this.userNamespace !== undefined) closeQuietly(this.userNamespace);
  }
}

/** @returns undefined for a network that is to be made. @throws Failure where it may not be entered */
export async function findNetwork(network: RunNetwork): Promise<ForeignNetwork | undefined> {
  const isRoot = process.getuid?.() === 0;
  switch (network.kind) {
    case "none":
    case "new":
      return undefined;
    case "usual":
      return isRoot ? machineNetwork() : undefined;
    case "machine":
      if (isRoot) return machineNetwork();
      throw new Failure("machine", "the container cannot share the machine's network: only root's may", {
        code: "EPERM",
        hint: "--net new has eth0 in a network of its own, --net none a loopback; or run as root",
      });
    case "node":
      return await nodeNetwork(findLab(network.lab), network.node);
  }
}

function machineNetwork(): ForeignNetwork {
  return new ForeignNetwork(openSync("/proc/self/ns/net", "r"), undefined);
}

async function nodeNetwork(found: FoundLab, node: string): Promise<ForeignNetwork> {
  checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const status = (await lab.line.nodes()).find(({ name }) => name === node);
  // sysfs and a root of its own ask for a user namespace that owns the network: without root only a container's does.
  if (lab.line.rootless && status?.container !== true)
    throw new Failure("machine", `the container cannot share the network of '${node}', a node without one`, {
      code: "EPERM",
      hint: `without root it can join nodes that run a container; beside the others: yapc-net exec ${found.record.name}/${node} -- COMMAND`,
    });
  const files: [string, string][] = [
    ["/etc/hosts", readHosts(found.folder, node)],
    ["/etc/resolv.conf", readResolv(found.folder, node)],
  ];
  const namespace = lab.line.openNamespace(node);
  try {
    const owner = lab.line.rootless ? ioctl(namespace, constants.NS_GET_USERNS, 0n) : undefined;
    return new ForeignNetwork(namespace, owner, files);
  } catch (error) {
    closeSync(namespace);
    throw error;
  }
}

/** Puts the network into the lab. @returns what it is made of, for the lab's record */
export async function makeNetwork(
  lab: OpenLab,
  kind: RunNetwork["kind"],
  foreign: ForeignNetwork | undefined,
  build: BuildOptions,
): Promise<{ readonly nodes: readonly ResolvedNode[]; readonly links: ResolvedTopology["links"] }> {
  if (foreign !== undefined) {
    await lab.line.adoptNode(runNode, foreign.namespace);
    return { nodes: [], links: [] };
  }
  const { name, topology } = lab.found.record;
  const own: Operation = { kind: "node.create", node: runNode, container: true, reason: "new" };
  if (kind !== "new") {
    await applyTo(lab, topology, [own, loopbackUp(runNode)], false, build);
    return { nodes: [], links: [] };
  }
  const ends: [ResolvedEnd, ResolvedEnd] = [
    end(runNode, "eth0", 1, true),
    // As in yapc it is down and on no bridge: what is missing is the lesson.
    end(host, `veth${name}`.slice(0, 15), 2, false),
  ];
  const operations: Operation[] = [
    own,
    { kind: "node.create", node: host, container: false, reason: "new" },
    { kind: "veth.create", ends, longNames: [undefined, undefined], reason: "new" },
    loopbackUp(host),
  ];
  await applyTo(lab, topology, operations, false, build);
  return { nodes: [nodeOf(host)], links: [{ kind: "veth", ends }] };
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

/** How the network comes to be, in words, with the shell lines that would do the same. @param lab its name */
export function explainNetwork(
  kind: RunNetwork["kind"],
  foreign: ForeignNetwork | undefined,
  lab: string,
): readonly ExplainedStep[] {
  if (foreign !== undefined) {
    const whose = kind === "node" ? "the node's" : "the machine's";
    return [{ what: `the network is ${whose}: its namespace is there already`, shell: "NODE_NET=/proc/self/ns/net" }];
  }
  const made: ExplainedStep = {
    what: "make a network namespace, and without root a user namespace that owns it",
    shell: `ip netns add ${lab}; NODE_NET=/run/netns/${lab}`,
  };
  if (kind !== "new") return [made, { what: "the loopback is up", shell: `ip -n ${lab} link set lo up` }];
  const outside = `veth${lab}`.slice(0, 15);
  return [
    made,
    {
      what: `make a pair of interfaces: eth0 inside, ${outside} in the node ${host}`,
      shell: `ip link add ${outside} type veth peer name eth0 netns ${lab}`,
    },
    { what: "eth0 is up; the other end is not, and on no bridge", shell: `ip -n ${lab} link set eth0 up` },
  ];
}

/** The lab of one container: an empty one while it is made. */
export function runTopology(
  name: string,
  hosts: readonly HostsLine[],
  nodes: readonly ResolvedNode[] = [],
  links: ResolvedTopology["links"] = [],
): ResolvedTopology {
  return { name, ...(links.length === 0 ? {} : { machine: host }), nodes, links, hosts, expectations: [] };
}

export function nodeOf(name: string, container?: ResolvedContainer): ResolvedNode {
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

/** Its own name has an address, wherever it is. */
export function ownHosts(hostname: string): HostsLine[] {
  return hostname === "localhost" || hostname === os.hostname() ? [] : [["127.0.1.1", [hostname]]];
}
