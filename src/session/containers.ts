/** `start`, `stop`, `restart`: the container of a node. Its network namespace stays, with all links and addresses. */
import type { ExitStatus } from "../init/api.js";
import { ContainerRunner } from "../lab/containers.js";
import { withLabLock } from "../lab/lock.js";
import { Failure } from "../model/failure.js";
import type { ResolvedContainer, ResolvedNode } from "../topology/resolved.js";
import { OpenLab } from "./open-lab.js";
import { waitUntilReady } from "./ready.js";
import { checkNode, findLab, type FoundLab, parseTarget } from "./target.js";

export type ContainerVerb = "start" | "stop" | "restart";

export interface ContainersOptions {
  readonly verb: ContainerVerb;
  readonly lab: string | undefined;
  /** Each `[LAB/]NODE`, all of one lab. */
  readonly nodes: readonly string[];
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface ContainerChange {
  readonly lab: string;
  readonly node: string;
  /** `unchanged`: it ran already, or did not run. */
  readonly done: "started" | "stopped" | "restarted" | "unchanged";
  /** Of its first process, as seen from the machine; absent where it does not run now. */
  readonly pid?: number;
  /** How the command ended that was stopped. */
  readonly exit?: ExitStatus;
}

interface ContainerNode extends ResolvedNode {
  readonly container: ResolvedContainer;
}

/** In the order of the names. @throws Failure (usage) for a node without a container, before anything is done */
export async function changeContainers(options: ContainersOptions): Promise<ContainerChange[]> {
  const { verb, onWarning } = options;
  const targets = options.nodes.map(parseTarget);
  const labs = new Set(targets.map((target) => target.lab ?? options.lab));
  if (labs.size > 1) throw new Failure("usage", "the nodes belong to different labs; name those of one lab at a time");
  const found = findLab([...labs][0]);
  const named = targets.map((target, index) => {
    if (target.interface !== undefined)
      throw new Failure("usage", `'${options.nodes[index] ?? ""}' names an interface; ${verb} takes a node`, {
        hint: `an interface goes up and down by: yapc-net link ${target.node}:${target.interface} --down`,
      });
    return target.node;
  });
  const nodes = [...new Set(named)].map((name) => containerNode(found, name));
  const { name } = found.record;
  return withLabLock(
    name,
    verb,
    async () => {
      using lab = new OpenLabForChange(await OpenLab.connect(found), onWarning);
      const changes: ContainerChange[] = [];
      for (const node of nodes) changes.push(await lab.change(verb, node, options.signal));
      return changes;
    },
    { onWait: (holder) => onWarning(`lab '${name}' is in use by ${holder}; waiting`) },
  );
}

function containerNode({ record }: FoundLab, name: string): ContainerNode {
  checkNode(record, name);
  const node = record.topology.nodes.find((each) => each.name === name);
  if (node?.container !== undefined) return { ...node, container: node.container };
  const others = record.topology.nodes.flatMap((each) => (each.container === undefined ? [] : [each.name]));
  throw new Failure("usage", `node '${name}' of lab '${record.name}' runs no container`, {
    hint: others.length === 0 ? "no node of this lab does" : `nodes that do: ${others.join(", ")}`,
    code: "NO_CONTAINER",
  });
}

class OpenLabForChange implements Disposable {
  readonly #runner: ContainerRunner;

  constructor(
    private readonly lab: OpenLab,
    onWarning: (text: string) => void,
  ) {
    const { folder, record } = lab.found;
    this.#runner = new ContainerRunner(lab.line, folder, record.topology, { strict: false, onWarning });
  }

  async change(verb: ContainerVerb, node: ContainerNode, signal: AbortSignal): Promise<ContainerChange> {
    if (signal.aborted) throw new Failure("interrupted", "interrupted");
    const where = { lab: this.lab.found.record.name, node: node.name };
    const pid = await this.#pid(node.name);
    if (verb === "start" && pid !== undefined) return { ...where, done: "unchanged", pid };
    if (verb === "stop" && pid === undefined) return { ...where, done: "unchanged" };
    if (pid !== undefined) await this.#runner.stop(node.name);
    const exit = (await this.#status(node.name))?.lastExit;
    if (verb === "stop") return { ...where, done: "stopped", ...(exit === undefined ? {} : { exit }) };
    await this.#start(node, signal);
    const started = await this.#pid(node.name);
    return {
      ...where,
      done: pid === undefined ? "started" : "restarted",
      ...(started === undefined ? {} : { pid: started }),
      ...(pid === undefined || exit === undefined ? {} : { exit }),
    };
  }

  /** Settles when its ports listen. */
  async #start(node: ContainerNode, signal: AbortSignal): Promise<void> {
    await this.#runner.start(node.name, node.container);
    await waitUntilReady(this.lab, { ...this.lab.found.record.topology, nodes: [node] }, signal);
  }

  async #status(node: string) {
    return (await this.lab.line.nodes()).find((each) => each.name === node);
  }

  async #pid(node: string): Promise<number | undefined> {
    return (await this.#status(node))?.pid;
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
  }
}
