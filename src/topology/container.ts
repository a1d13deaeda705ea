/** A container with every default written out. */
import type { Document } from "./document.js";
import { capabilityNames } from "../model/capability.js";
import type { Limits } from "../model/container.js";
import { capabilityName, type ContainerForm } from "./form/container.js";
import { listOf } from "./merge.js";
import type { Path } from "./problem.js";
import { parseSize } from "./quantity.js";
import type { ResolvedContainer } from "./resolved.js";

/** What the machine can tell about files, where there is one to ask. Paths as in the topology file. */
export interface FileProbe {
  /** Whether the path is a directory or a tar archive. */
  rootExists(root: string): boolean;
  /** Whether a command can be found in a root, by its path or on the PATH of a container; true where that cannot be told. */
  commandExists(root: string, command: string): boolean;
}

/** Docker's (moby, oci/caps/defaults.go). */
export const defaultCapabilities: readonly string[] = [
  "audit_write",
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "kill",
  "mknod",
  "net_bind_service",
  "net_raw",
  "setfcap",
  "setgid",
  "setpcap",
  "setuid",
  "sys_chroot",
];

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
    seccomp: form.seccomp ?? true,
    restart: "no",
  };
}

function limitsOf({ limits }: ContainerForm): Limits {
  const memory = limits?.memory === undefined ? undefined : parseSize(limits.memory);
  return {
    ...(limits?.cpu === undefined ? {} : { cpu: limits.cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(limits?.pids === undefined ? {} : { pids: limits.pids }),
  };
}

/** First what is dropped, then what is added, so that `drop: "all"` with an `add` leaves just that. */
function capabilitiesOf({ capabilities }: ContainerForm): string[] {
  const set = new Set<string>(defaultCapabilities);
  for (const name of listOf(capabilities?.drop).map(capabilityName)) {
    if (name === "all") set.clear();
    else set.delete(name);
  }
  for (const name of listOf(capabilities?.add).map(capabilityName)) {
    for (const added of name === "all" ? capabilityNames : [name]) set.add(added);
  }
  return [...set].toSorted();
}
