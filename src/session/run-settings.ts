/** The settings of yapc (https://github.com/hayajo/yapC), from its environment variables. */
import { Failure } from "../model/failure.js";
import { parseSize } from "../topology/quantity.js";

export interface RunSettings {
  /** Folder or tar archive that is the lower layer of the root. */
  readonly root: string;
  /** CPUs: 0.5 is half of one. */
  readonly cpu?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly pids?: number;
  /** The complete set, `net_raw` style, sorted. */
  readonly capabilities: readonly string[];
  /** A network of its own, instead of the machine's. */
  readonly network: boolean;
  /** Host name inside; absent: the machine's. */
  readonly name?: string;
  /** `UID:GID`. */
  readonly user: string;
  /** Each step is told before the command starts. */
  readonly debug: boolean;
}

/** What yapc leaves a container: Docker's set without net_raw. */
const yapcCapabilities =
  "chown,dac_override,fsetid,fowner,mknod,setgid,setuid,setfcap,setpcap,net_bind_service,sys_chroot,kill,audit_write";

/** Microseconds: the period of a quota (cgroups v1 and v2 alike). */
const period = 100_000;

/** @param environment YAPC_*: an empty one counts as absent, as in yapc. @throws Failure (usage) */
export function runSettings(environment: Readonly<Record<string, string | undefined>>): RunSettings {
  const of = (name: string) => {
    const value = environment[`YAPC_${name}`];
    return value === "" ? undefined : value;
  };
  const quota = of("CPU_QUOTA");
  const memory = of("MEMORY_LIMIT");
  const pids = of("PIDS_MAX");
  const name = of("NAME");
  return {
    root: of("ROOT") ?? "/",
    ...(quota === undefined ? {} : { cpu: whole("YAPC_CPU_QUOTA", quota, "microseconds of each 100000") / period }),
    ...(memory === undefined ? {} : { memory: size("YAPC_MEMORY_LIMIT", memory) }),
    ...(pids === undefined ? {} : { pids: whole("YAPC_PIDS_MAX", pids, "a number of processes") }),
    capabilities: capabilityList(of("CAPS") ?? yapcCapabilities),
    network: of("NET") !== undefined,
    ...(name === undefined ? {} : { name }),
    user: `${of("UID") ?? "0"}:${of("GID") ?? "0"}`,
    debug: of("DEBUG") !== undefined,
  };
}

/** `cap_net_raw,cap_net_admin`, with or without `cap_`; `none` for the empty set. */
export function capabilityList(text: string): string[] {
  if (text === "none") return [];
  const names = text.split(",").map((name) => name.trim().toLowerCase().replace(/^cap_/, ""));
  return [...new Set(names.filter((name) => name !== ""))].toSorted();
}

/** @throws Failure (usage) */
export function size(what: string, text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new Failure("usage", `${what}=${text} is no size`, { hint: "bytes, or 64M, 1G (powers of two)" });
}

function whole(what: string, text: string, meaning: string): number {
  if (/^[1-9][0-9]{0,11}$/.test(text)) return Number(text);
  throw new Failure("usage", `${what}=${text} is not ${meaning}`);
}
