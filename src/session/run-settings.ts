/** The settings of `run`: those of yapc (https://github.com/hayajo/yapC), from its environment variables, and flags. */
import path from "node:path";
import { capabilityName, capabilityNames, changedCapabilities } from "../model/capability.js";
import type { Bind } from "../model/container.js";
import { Failure } from "../model/failure.js";
import { parseSize } from "../topology/quantity.js";

/**
 * `machine`: the machine's own. `none`: a loopback. `new`: eth0, whose other end lies in the node `host` beside it.
 * `node`: that of a node of a lab that runs. `usual`: the machine's for root, a loopback for who may not enter that.
 */
export type RunNetwork =
  | { readonly kind: "usual" | "machine" | "none" | "new" }
  | { readonly kind: "node"; readonly lab: string; readonly node: string };

export interface RunSettings {
  /** Folder or tar archive that is the lower layer of the root. */
  readonly root: string;
  /** CPUs: 0.5 is half of one. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
  /** CPUs by number, `0-1,3`. */
  readonly cpuset?: string;
  /** Bytes a second and disk, of reading and of writing. */
  readonly io?: number;
  /** The complete set, `net_raw` style, sorted. */
  readonly capabilities: readonly string[];
  readonly network: RunNetwork;
  /** Host name inside; absent: the machine's. */
  readonly name?: string;
  /** `UID:GID`, or names of its passwd. */
  readonly user: string;
  readonly workingDirectory: string;
  readonly binds: readonly Bind[];
  readonly readOnly: boolean;
  /** `true` for the default policy, or the path of a profile. */
  readonly seccomp: boolean | string;
  /** Each step is told before the command starts. */
  readonly debug: boolean;
}

/** Flags of the command line, as texts; absent ones are left to the variables. */
export interface RunFlags {
  readonly cpu?: string | undefined;
  readonly memory?: string | undefined;
  readonly pids?: number | undefined;
  readonly cpuset?: string | undefined;
  readonly io?: string | undefined;
  readonly caps?: string | undefined;
  readonly "cap-add"?: readonly string[] | undefined;
  readonly "cap-drop"?: readonly string[] | undefined;
  readonly root?: string | undefined;
  readonly net?: string | undefined;
  readonly name?: string | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly bind?: readonly string[] | undefined;
  readonly "read-only"?: boolean | undefined;
  readonly seccomp?: string | undefined;
}

/** What yapc leaves a container: Docker's set without net_raw. */
const yapcCapabilities =
  "chown,dac_override,fsetid,fowner,mknod,setgid,setuid,setfcap,setpcap,net_bind_service,sys_chroot,kill,audit_write";

/** Microseconds: the period of a quota (cgroups v1 and v2 alike). */
const period = 100_000;

/**
 * @param environment YAPC_*: an empty one counts as absent, as in yapc
 * @param flags win over it
 * @throws Failure (usage)
 */
export function runSettings(
  environment: Readonly<Record<string, string | undefined>>,
  flags: RunFlags = {},
): RunSettings {
  const of = (name: string) => {
    const value = environment[`YAPC_${name}`];
    return value === "" ? undefined : value;
  };
  const cpu = flags.cpu === undefined ? quota(of("CPU_QUOTA")) : cpus(flags.cpu);
  const memory =
    flags.memory === undefined ? sizeOf("YAPC_MEMORY_LIMIT=", of("MEMORY_LIMIT")) : sizeOf("--memory ", flags.memory);
  const pids = flags.pids ?? whole("YAPC_PIDS_MAX", of("PIDS_MAX"), "a number of processes");
  const io = sizeOf("--io ", flags.io);
  const name = flags.name ?? of("NAME");
  return {
    root: flags.root ?? of("ROOT") ?? "/",
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(pids === undefined ? {} : { pids }),
    ...(flags.cpuset === undefined ? {} : { cpuset: cpuset(flags.cpuset) }),
    ...(io === undefined ? {} : { io }),
    capabilities: changedCapabilities(capabilityList(flags.caps ?? of("CAPS") ?? yapcCapabilities), {
      add: known("--cap-add", flags["cap-add"]),
      drop: known("--cap-drop", flags["cap-drop"]),
    }),
    network: flags.net === undefined ? { kind: of("NET") === undefined ? "usual" : "new" } : network(flags.net),
    ...(name === undefined ? {} : { name }),
    user: flags.user ?? `${of("UID") ?? "0"}:${of("GID") ?? "0"}`,
    workingDirectory: flags.workdir === undefined ? "/" : absolute("--workdir", flags.workdir),
    binds: (flags.bind ?? []).map(bind),
    readOnly: flags["read-only"] ?? false,
    seccomp: seccomp(flags.seccomp ?? "default"),
    debug: of("DEBUG") !== undefined,
  };
}

/** `cap_net_raw,cap_net_admin`, with or without `cap_`; `none` for the empty set. */
export function capabilityList(text: string): string[] {
  if (text === "none") return [];
  const names = text.split(",").map((name) => capabilityName(name.trim()));
  return [...new Set(names.filter((name) => name !== ""))].toSorted();
}

/** Names, or `all`. One that is dropped must be one, too: else a slip of the pen keeps it. */
function known(flag: string, lists: readonly string[] = []): string[] {
  const names = lists.flatMap(capabilityList);
  const wrong = names.find((name) => name !== "all" && !capabilityNames.some((each) => each === name));
  if (wrong === undefined) return names;
  throw new Failure("usage", `${flag} ${wrong}: there is no such capability`, {
    code: "NO_CAPABILITY",
    hint: "capabilities(7) lists them; write net_raw for CAP_NET_RAW, or all",
  });
}

function network(text: string): RunNetwork {
  if (text === "host") return { kind: "machine" };
  if (text === "none" || text === "new") return { kind: text };
  const [, lab, node] = /^([^/:]+)\/([^/:]+)$/.exec(text) ?? [];
  if (lab !== undefined && node !== undefined) return { kind: "node", lab, node };
  throw new Failure("usage", `--net ${text} is no network`, {
    hint: "host, none, new, or LAB/NODE of a lab that runs",
  });
}

function bind(text: string): Bind {
  const [source = "", target = "", how = "rw", ...rest] = text.split(":");
  if (source === "" || target === "" || rest.length > 0 || (how !== "ro" && how !== "rw"))
    throw new Failure("usage", `--bind ${text} is not of the form SOURCE:TARGET[:ro]`);
  return { source: path.resolve(source), target: absolute("the target of --bind", target), readOnly: how === "ro" };
}

function absolute(what: string, text: string): string {
  if (path.isAbsolute(text) && !text.split("/").includes("..")) return path.normalize(text);
  throw new Failure("usage", `${what} is a path inside, from / on and without '..': not ${text}`);
}

function seccomp(text: string): boolean | string {
  if (text === "default") return true;
  return text === "none" ? false : path.resolve(text);
}

function sizeOf(what: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new Failure("usage", `${what}${text} is no size`, { hint: "bytes, or 64M, 1G (powers of two)" });
}

function quota(text: string | undefined): number | undefined {
  const microseconds = whole("YAPC_CPU_QUOTA", text, "microseconds of each 100000");
  return microseconds === undefined ? undefined : microseconds / period;
}

function cpus(text: string): number {
  const number = Number(text);
  if (/^[0-9.]+$/.test(text) && number >= 0.01) return number;
  throw new Failure("usage", `--cpu ${text} is no number of CPUs: 0.5 is half of one`);
}

function cpuset(text: string): string {
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return text;
  throw new Failure("usage", `--cpuset ${text} is no list of CPUs: 0-1,3 is one`);
}

function whole(what: string, text: string | undefined, meaning: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9][0-9]{0,11}$/.test(text)) return Number(text);
  throw new Failure("usage", `${what}=${text} is not ${meaning}`);
}
