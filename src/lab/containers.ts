/** Starts and stops the containers of a lab: their folders, cgroups and program are made here, init runs it. */
import { encodeProgram } from "../container/encode.js";
import { containerFiles, lowerContainer } from "../container/lower.js";
import type { ContainerProgram } from "../container/program.js";
import { findUser, homeOf } from "../container/user.js";
import type { ContainerOutput, InitLine, InitProcess } from "../init/api.js";
import { findHierarchies, makeCgroup, type NodeCgroup, removeCgroup } from "../init/cgroup.js";
import { prepareSite, readInside } from "../init/container-site.js";
import { surveyRoot } from "../init/root-survey.js";
import type { ContainerSpec, RootEntry } from "../model/container.js";
import { removeTree } from "../init/remove-tree.js";
import { readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Failure, fileFailure } from "../model/failure.js";
import type { HostsLine, ResolvedContainer, ResolvedTopology } from "../topology/resolved.js";
import { readResolv } from "./resolv.js";
import type { LabFolder } from "./state.js";

export interface ContainerOptions {
  /** A limit that the machine cannot enforce is an error, not a warning. */
  readonly strict: boolean;
  readonly onWarning: (text: string) => void;
}

/** A container that could be started. */
export interface PreparedContainer extends Disposable {
  readonly program: ContainerProgram;
  readonly cgroup: NodeCgroup;
  /** Folder of its upper layer and its root. */
  readonly layer: string;
}

const delegationHint =
  "run as root, or below a delegated cgroup: systemd-run --user --scope -p Delegate=yes yapc-net …";

/** With the HOME that a login would have: shells and most tools look for their files there. @param read a file of its own */
export function environmentOf(
  { environment, user }: Pick<ResolvedContainer, "environment" | "user">,
  read: (file: string) => string,
): ContainerSpec["environment"] {
  if (environment.some(([name]) => name === "HOME")) return environment;
  const passwd = read("/etc/passwd");
  return [...environment, ["HOME", homeOf(findUser(user, passwd, read("/etc/group")), passwd)]];
}

/** A profile is read when the container starts. @throws Failure (usage) where it cannot be */
function seccompOf({ seccomp }: ResolvedContainer): ContainerSpec["seccomp"] {
  if (typeof seccomp === "boolean") return seccomp;
  try {
    return { name: seccomp, text: readFileSync(seccomp, "utf8"), kernel: os.release() };
  } catch (error) {
    throw fileFailure(`read the seccomp profile ${seccomp}`, error);
  }
}

/** Milliseconds between TERM and KILL. */
const grace = 2000;

export class ContainerRunner {
  #machineRoot: readonly RootEntry[] | undefined;

  constructor(
    private readonly line: InitLine,
    private readonly folder: LabFolder,
    private readonly topology: ResolvedTopology,
    private readonly options: ContainerOptions,
  ) {}

  /** @returns its command's process; whoever does not wait for its end learns it from `nodes()` */
  async start(
    node: string,
    container: ResolvedContainer,
    output: ContainerOutput = { logPath: this.folder.log(node) },
  ): Promise<InitProcess> {
    using prepared = this.prepare(node, container);
    return await this.startPrepared(node, prepared, output);
  }

  /** As `start`, of what `prepare` has made. */
  async startPrepared(
    node: string,
    { cgroup, program }: PreparedContainer,
    output: ContainerOutput,
  ): Promise<InitProcess> {
    const files = [...cgroup.memberships, ...(cgroup.oomCounter === undefined ? [] : [cgroup.oomCounter])];
    const process = await this.line.startContainer(node, encodeProgram(program), files, output);
    // Nobody need wait for its end.
    process.exit.catch(() => undefined);
    return process;
  }

  /**
   * Makes the container's folders and cgroup, and its program. The descriptors of the cgroup go with the result.
   * @param layer where what it writes goes; absent: into the lab's state folder
   */
  prepare(node: string, container: ResolvedContainer, layer?: string): PreparedContainer {
    const cgroup = makeCgroup(findHierarchies(), this.folder.name, node, container.limits);
    try {
      this.#reportLimits(node, cgroup.unenforced);
      const site = prepareSite({
        stateFolder: this.folder.path,
        node,
        root: container.root,
        machineRoot: () => (this.#machineRoot ??= surveyRoot(this.line.rootless)),
        files: containerFiles(container, this.#hosts(node), readResolv(this.folder, node)),
        ...(container.binds === undefined ? {} : { binds: container.binds }),
        ...(layer === undefined ? {} : { layer }),
        rootless: this.line.rootless,
        ids: this.line.ids,
        cgroup,
      });
      const user = findUser(container.user, readInside(site, "/etc/passwd"), readInside(site, "/etc/group"));
      const environment = environmentOf(container, (file) => readInside(site, file));
      const program = lowerContainer({ ...container, environment, seccomp: seccompOf(container) }, { ...site, user });
      return { cgroup, program, layer: path.dirname(site.upper), [Symbol.dispose]: () => cgroup[Symbol.dispose]() };
    } catch (error) {
      cgroup[Symbol.dispose]();
      throw error;
    }
  }

  async stop(node: string): Promise<void> {
    await this.line.stopContainer(node, grace);
    removeCgroup(findHierarchies(), this.folder.name, node);
  }

  /** Forgets what the container wrote: for a node that is gone. */
  async forget(node: string): Promise<void> {
    await removeTree(path.join(this.folder.containers, node), this.line);
    rmSync(this.folder.log(node), { force: true });
  }

  #hosts(node: string): HostsLine[] {
    const own = this.topology.nodes.find((each) => each.name === node)?.hosts ?? [];
    return [["127.0.0.1", ["localhost"]], ["::1", ["localhost", "ip6-localhost"]], ...own, ...this.topology.hosts];
  }

  #reportLimits(node: string, unenforced: readonly { readonly limit: string; readonly reason: string }[]): void {
    // Once for all limits that one thing stands in the way of.
    for (const reason of new Set(unenforced.map((each) => each.reason))) {
      const limits = unenforced.filter((each) => each.reason === reason).map(({ limit }) => limit);
      const what = limits.length === 1 ? `the ${limits[0]} limit` : `the limits ${limits.join(", ")}`;
      const text = `${what} of '${node}' ${limits.length === 1 ? "has" : "have"} no effect here: ${reason}`;
      if (this.options.strict)
        throw new Failure("machine", text, { code: "NO_LIMIT", hint: delegationHint, status: 3 });
      this.options.onWarning(text);
    }
  }
}
