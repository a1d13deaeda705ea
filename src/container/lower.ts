/** From what a container is to be to the program that makes it. */
import type { ContainerSite, ContainerSpec } from "../model/container.js";
import { capabilityMask } from "./capabilities.js";
import { kernelFileOperations } from "./kernel-files.js";
import type { ContainerProgram } from "./program.js";
import { rootOperations } from "./root.js";
import { defaultFilter } from "./seccomp.js";

/** RLIMIT_CORE (asm-generic/resource.h). */
const coreLimit = 4;

/** Throws a usage Failure for a capability that there is not, or an architecture that the filter does not know. */
export function lowerContainer(spec: ContainerSpec, site: ContainerSite): ContainerProgram {
  return {
    command: spec.command,
    environment: spec.environment,
    workingDirectory: spec.workingDirectory,
    // A user namespace of one id has no other groups to be in.
    user: site.rootless ? { ...site.user, groups: [] } : site.user,
    capabilities: capabilityMask(spec.capabilities, site.lastCapability),
    filter: spec.seccomp ? defaultFilter(site.architecture, spec.capabilities) : new Uint8Array(),
    // A core file would be written by the machine's own handler.
    limits: [{ resource: coreLimit, soft: 0n, hard: 0n }],
    cgroupCount: site.cgroupCount,
    countsOom: site.countsOom,
    operations: [
      ...rootOperations(site),
      ...kernelFileOperations(site),
      { kind: "hostname", name: spec.hostname },
      { kind: "pivot" },
    ],
  };
}

/** The files of a container: those that every one gets, and its own. */
export function containerFiles(
  spec: { readonly hostname: string; readonly files: ContainerSite["files"] },
  hosts: readonly (readonly [address: string, names: readonly string[]])[],
  resolvConf: string,
): ContainerSite["files"] {
  const lines = hosts.map(([address, names]) => `${address}\t${names.join(" ")}\n`).join("");
  const files = new Map([
    ["/etc/hosts", lines],
    ["/etc/hostname", `${spec.hostname}\n`],
    ["/etc/resolv.conf", resolvConf],
    ...spec.files,
  ]);
  return [...files];
}
