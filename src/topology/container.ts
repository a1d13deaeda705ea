/** A container with every default written out. */
import type { Document } from "./document.js";
import { capabilityName, changedCapabilities, defaultCapabilities } from "../model/capability.js";
import type { Limits } from "../model/container.js";
import type { ContainerForm } from "./form/container.js";
import { listOf } from "./merge.js";
import type { Path } from "./problem.js";
import { parseSize } from "./quantity.js";
import type { ResolvedContainer } from "./resolved.js";

/** What the machine can tell about files, where there is one to ask. Paths as in the topology file. */
export interface FileProbe {
  /** Whether there is something at the path: a directory or a tar archive, what is bound, a profile. */
  rootExists(root: string): boolean;
  /** Whether a command can be found in a root, by its path or on the PATH of a container; true where that cannot be told. */
  commandExists(root: string, command: string): boolean;
}

export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function resolveContainer(
  document: Document,
  name: string,
  form: ContainerForm,
  at: Path,
  probe: FileProbe | undefined,
): ResolvedContainer {
  const root = form.root ?? "/";
  const [program] = form.command;
  if (probe && !probe.rootExists(root)) {
    document.error([...at, "root"], `there is no directory or archive ${root}`, { code: "missing" });
  } else if (probe && program !== undefined && !probe.commandExists(root, program)) {
    document.error([...at, "command", 0], `the root ${root} has no command "${program}"`, { code: "missing" });
  }
  if (program === "") document.error([...at, "command", 0], `the program is empty`, { code: "form" });
  const environment = new Map<string, string>([["PATH", defaultPath]]);
  for (const [key, value] of Object.entries(form.environment ?? {})) environment.set(key, String(value));
  return {
    command: form.command,
    root,
    environment: [...environment],
    workingDirectory: form.workingDirectory ?? "/",
    user: String(form.user ?? "root"),
    hostname: form.hostname ?? name,
    files: Object.entries(form.files ?? {}).map(([path, content]) => [
      path,
      typeof content === "string" ? content : content.map((line) => `${line}\n`).join(""),
    ]),
    limits: limitsOf(form),
    capabilities: capabilitiesOf(form),
    seccomp: seccompOf(document, form, at, probe),
    ...bindsOf(document, form, at, probe),
    ...(form.readOnly === true ? { readOnly: true } : {}),
    restart: "no",
  };
}

function seccompOf(
  document: Document,
  { seccomp = true }: ContainerForm,
  at: Path,
  probe: FileProbe | undefined,
): ResolvedContainer["seccomp"] {
  if (typeof seccomp === "string" && probe && !probe.rootExists(seccomp))
    document.error([...at, "seccomp"], `there is no profile ${seccomp}`, { code: "missing" });
  return seccomp;
}

function bindsOf(
  document: Document,
  { binds, files }: ContainerForm,
  at: Path,
  probe: FileProbe | undefined,
): Pick<ResolvedContainer, "binds"> {
  if (binds === undefined) return {};
  const list = Object.entries(binds).map(([target, what]) => {
    const { source, readOnly = false } = typeof what === "string" ? { source: what } : what;
    if (probe && !probe.rootExists(source))
      document.error([...at, "binds", target], `there is no ${source} to bind`, { code: "missing" });
    if (files !== undefined && target in files)
      document.error([...at, "binds", target], `${target} is one of "files", too`, { code: "conflict" });
    return { source, target, readOnly };
  });
  return list.length === 0 ? {} : { binds: list };
}

function limitsOf({ limits }: ContainerForm): Limits {
  const memory = limits?.memory === undefined ? undefined : parseSize(limits.memory);
  const io = limits?.io === undefined ? undefined : parseSize(limits.io);
  return {
    ...(limits?.cpu === undefined ? {} : { cpu: limits.cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(limits?.pids === undefined ? {} : { pids: limits.pids }),
    ...(limits?.cpuset === undefined ? {} : { cpuset: limits.cpuset }),
    ...(io === undefined ? {} : { io }),
  };
}

function capabilitiesOf({ capabilities }: ContainerForm): string[] {
  return changedCapabilities(defaultCapabilities, {
    drop: listOf(capabilities?.drop).map(capabilityName),
    add: listOf(capabilities?.add).map(capabilityName),
  });
}
