/** Ways into namespaces that no single init can enter: each node by the one that can. */
import { readFileSync, statSync } from "node:fs";
import type { InitLine, NodeLine, NodeStatus, SpawnRequest } from "../init/api.js";
import { close, constants, open, socket } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";

/**
 * The namespace that this program is in, without an init: an ordinary user may read most of it, and start nothing there
 * that needs a capability.
 */
export class OwnNamespace implements NodeLine {
  readonly gone = new Promise<void>(() => undefined);

  constructor(private readonly name: string) {}

  nodes(): Promise<readonly NodeStatus[]> {
    const netns = statSync("/proc/self/ns/net").ino.toString();
    return Promise.resolve([{ name: this.name, container: false, netns, descriptor: -1 }]);
  }

  openNamespace(): number {
    return open("/proc/self/ns/net", constants.O_RDONLY | constants.O_CLOEXEC);
  }

  openNamespaces(nodes: readonly string[]): Promise<readonly number[]> {
    return Promise.resolve(nodes.map(() => this.openNamespace()));
  }

  openNetlink(node: string, protocol: number): number {
    return this.openSocket(node, constants.AF_NETLINK, constants.SOCK_RAW, protocol);
  }

  openNetlinks(nodes: readonly string[], protocol: number): Promise<readonly number[]> {
    return Promise.resolve(nodes.map((node) => this.openNetlink(node, protocol)));
  }

  openSocket(_node: string, family: number, type: number, protocol: number): number {
    return socket(family, type | constants.SOCK_CLOEXEC, protocol);
  }

  readSysctls(_node: string, names: readonly string[]): Promise<readonly (string | undefined)[]> {
    return Promise.resolve(
      names.map((name) => {
        // Dots and slashes change places, as in sysctl(8).
        const file = name.replaceAll(/[./]/g, (letter) => (letter === "." ? "/" : "."));
        return readOrAbsent(`/proc/sys/${file}`)?.trimEnd();
      }),
    );
  }

  readProcNet(_node: string, path: string): Promise<string> {
    return Promise.resolve(readFileSync(`/proc/self/net/${path}`, "utf8"));
  }

  spawn(request: SpawnRequest): Promise<never> {
    return Promise.reject(
      new Failure("machine", `only root may run ${request.argv[0] ?? "a program"} beside ${this.name}`, {
        code: "EPERM",
        hint: "run it with sudo",
      }),
    );
  }
}

function readOrAbsent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // no such sysctl in this kernel, or one for root alone
  }
}

/** Several lines as one: each node goes by its own. */
export class JoinedLines implements NodeLine {
  readonly gone: Promise<void>;
  readonly #byNode = new Map<string, NodeLine>();

  /** @param inits with the nodes that each has adopted */
  constructor(
    own: OwnNamespace,
    machine: string,
    readonly inits: readonly (readonly [line: InitLine, nodes: readonly string[]])[],
  ) {
    this.#byNode.set(machine, own);
    for (const [line, nodes] of inits) for (const node of nodes) this.#byNode.set(node, line);
    this.gone = Promise.race([own.gone, ...inits.map(([line]) => line.gone)]);
  }

  async nodes(): Promise<readonly NodeStatus[]> {
    const lists = await Promise.all([...new Set(this.#byNode.values())].map((line) => line.nodes()));
    return lists.flat();
  }

  openNamespace(node: string): number {
    return this.#of(node).openNamespace(node);
  }

  openNetlink(node: string, protocol: number): number {
    return this.#of(node).openNetlink(node, protocol);
  }

  openSocket(node: string, family: number, type: number, protocol: number): number {
    return this.#of(node).openSocket(node, family, type, protocol);
  }

  openNamespaces(nodes: readonly string[]): Promise<readonly number[]> {
    return this.#openEach(nodes, (line, some) => line.openNamespaces(some));
  }

  openNetlinks(nodes: readonly string[], protocol: number): Promise<readonly number[]> {
    return this.#openEach(nodes, (line, some) => line.openNetlinks(some, protocol));
  }

  readSysctls(node: string, names: readonly string[]): Promise<readonly (string | undefined)[]> {
    return this.#of(node).readSysctls(node, names);
  }

  readProcNet(node: string, path: string): Promise<string> {
    return this.#of(node).readProcNet(node, path);
  }

  spawn(request: SpawnRequest): ReturnType<NodeLine["spawn"]> {
    return this.#of(request.node ?? "").spawn(request);
  }

  /** In the order of the nodes; all of them or none. */
  async #openEach(
    nodes: readonly string[],
    ask: (line: NodeLine, some: readonly string[]) => Promise<readonly number[]>,
  ): Promise<readonly number[]> {
    const opened = new Map<string, number>();
    try {
      for (const line of new Set(nodes.map((node) => this.#of(node)))) {
        const some = nodes.filter((node) => this.#of(node) === line);
        const descriptors = await ask(line, some);
        some.forEach((node, index) => opened.set(node, descriptors[index] ?? -1));
      }
    } catch (error) {
      for (const descriptor of opened.values()) close(descriptor);
      throw error;
    }
    return nodes.map((node) => opened.get(node) ?? -1);
  }

  #of(node: string): NodeLine {
    const line = this.#byNode.get(node);
    if (line === undefined) throw new Failure("usage", `there is no node '${node}' to look into`, { code: "NO_NODE" });
    return line;
  }
}
