/** `exec` and `shell`: a command in a node, with the caller's terminal. */
import { existsSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { SpawnRequest } from "../init/api.js";
import { mappedUser } from "../container/lower.js";
import { findUser, homeOf } from "../container/user.js";
import { readFromContainer } from "../init/container-site.js";
import { environmentOf } from "../lab/containers.js";
import { Failure } from "../model/failure.js";
import { OpenLab } from "./open-lab.js";
import { runOnTerminal, shellStatus } from "./terminal.js";
import { checkNode, findLab, parseTarget } from "./target.js";

export interface ExecOptions {
  readonly lab: string | undefined;
  /** `[LAB/]NODE`. */
  readonly node: string;
  readonly argv: readonly string[];
  /** Run in the node's network namespace with the machine's own files, even where the node runs a container. */
  readonly outside: boolean;
  /** In a container, instead of the user of its command: a number or a name of its passwd, `:GROUP` behind it. */
  readonly user?: string | undefined;
  /** Besides those of the container, or of the node. */
  readonly environment?: readonly (readonly [string, string])[];
  readonly workingDirectory?: string | undefined;
  /** A terminal of its own; absent: where there is one. */
  readonly tty?: boolean | undefined;
}

/** Variables of the caller that a command in a bare node keeps. A container starts from its own environment. */
const kept = ["TERM", "LANG", "LC_ALL", "HOME", "USER", "COLORTERM"];

/** Search path of a bare node: an ordinary user's may lack the folders that network tools live in. */
export const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @returns the status that a shell would give */
export function exec({ argv, ...place }: ExecOptions): Promise<number> {
  return runIn(place, () => argv);
}

/** A shell in the node. @returns its status */
export function shell(place: Omit<ExecOptions, "argv">): Promise<number> {
  return runIn(place, shellCommand);
}

async function runIn(
  options: Omit<ExecOptions, "argv">,
  command: (contained: boolean) => readonly string[],
): Promise<number> {
  const target = parseTarget(options.node);
  if (target.interface !== undefined)
    throw new Failure("usage", `'${options.node}' names an interface; a command runs in a node`);
  const found = findLab(target.lab ?? options.lab);
  using lab = await OpenLab.connect(found);
  const node = checkNode(found.record, target.node);
  const place = withWishes(await placeOf(lab, node, options.outside), options, lab);
  const argv = command(place.place === "container");
  return shellStatus(await runOnTerminal(lab.line, { ...place, argv }, options.tty));
}

function withWishes(place: CommandPlace, options: Omit<ExecOptions, "argv">, lab: OpenLab): CommandPlace {
  const { user, environment = [], workingDirectory } = options;
  const variables = new Map([...place.environment, ...environment]);
  return {
    ...place,
    ...(user === undefined ? {} : userIn(lab, place, user, variables)),
    environment: [...variables],
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
  };
}

/** Puts the user's HOME among the variables. */
function userIn(
  { found, line }: OpenLab,
  { node = "", place }: CommandPlace,
  text: string,
  variables: Map<string, string>,
): Pick<CommandPlace, "user"> {
  const container = found.record.topology.nodes.find(({ name }) => name === node)?.container;
  if (place !== "container" || container === undefined)
    throw new Failure("usage", `'${node}' runs no container, so that it has no users of its own`, {
      hint: `beside it, as root: yapc-net exec ${node} -- setpriv --reuid ${text} --clear-groups COMMAND`,
    });
  const of = { stateFolder: found.folder.path, node, root: container.root };
  const passwd = readFromContainer(of, "/etc/passwd");
  const user = mappedUser(findUser(text, passwd, readFromContainer(of, "/etc/group")), line.ids);
  variables.set("HOME", homeOf(user, passwd));
  return { user };
}

/** Where a command runs, and with what around it. */
export type CommandPlace = Omit<SpawnRequest, "argv" | "stdio" | "tied">;

/** Where a command for a node of a lab runs, and with what around it: in its container where it runs one, else beside it. */
export async function placeOf(lab: OpenLab, node: string, outside: boolean): Promise<CommandPlace> {
  const status = (await lab.line.nodes()).find((each) => each.name === node);
  // A container may also run in a network that is not its own, as root's `run` without --net.
  const contains = status !== undefined && (status.container || status.pid !== undefined);
  if (outside || !contains)
    return {
      node,
      place: "namespace",
      environment: bareEnvironment(),
      workingDirectory: process.cwd(),
      // In the machine's own network its /sys is the right one, and the kernel mounts no second.
      ownView: readlinkSync("/proc/self/ns/net") !== `net:[${status?.netns ?? ""}]`,
    };
  if (status.pid === undefined)
    throw new Failure("usage", `the container of node '${node}' does not run`, {
      hint: `see why: yapc-net logs ${node}; run in its network namespace alone: --outside`,
    });
  return { node, place: "container", environment: containerEnvironment(lab, node) };
}

export function bareEnvironment(): [string, string][] {
  const environment: [string, string][] = [["PATH", searchPath]];
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) environment.push([name, value]);
  }
  return environment;
}

/** That of its command, and the terminal's name. */
function containerEnvironment({ found }: OpenLab, name: string): (readonly [string, string])[] {
  const container = found.record.topology.nodes.find((node) => node.name === name)?.container;
  if (container === undefined) return [];
  const of = { stateFolder: found.folder.path, node: name, root: container.root };
  const own = environmentOf(container, (file) => readFromContainer(of, file));
  const term = process.env.TERM;
  return term === undefined || own.some(([key]) => key === "TERM") ? [...own] : [...own, ["TERM", term]];
}

/** The shell that `shell NODE` starts: the caller's where the node sees the machine's files, else what the root has. */
function shellCommand(contained: boolean): readonly string[] {
  if (contained) return ["/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi"];
  const own = process.env.SHELL;
  return own !== undefined && path.isAbsolute(own) && existsSync(own) ? [own] : ["/bin/sh"];
}
