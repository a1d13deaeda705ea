/** From what a container is to be to the program that makes it. */
import type { ContainerSite, ContainerSpec, ContainerUser } from "../model/container.js";
import { Failure } from "../model/failure.js";
import { capabilityMask } from "./capabilities.js";
import { kernelFileOperations } from "./kernel-files.js";
import type { ContainerProgram } from "./program.js";
import { rootOperations } from "./root.js";
import { defaultFilter } from "./seccomp.js";
import { profileFilter } from "./seccomp-profile.js";

/** RLIMIT_CORE (asm-generic/resource.h). */
const coreLimit = 4;

/** Throws a Failure for a capability that there is not, an architecture that the filter does not know, a user who is not mapped. */
export function lowerContainer(spec: ContainerSpec, site: ContainerSite): ContainerProgram {
  return {
    command: spec.command,
    environment: spec.environment,
    workingDirectory: spec.workingDirectory,
    user: mappedUser(site.user, site.ids),
    capabilities: capabilityMask(spec.capabilities, site.lastCapability),
    filter: filterOf(spec, site),
    // A core file would be written by the machine's own handler.
    limits: [{ resource: coreLimit, soft: 0n, hard: 0n }],
    cgroupCount: site.cgroupCount,
    countsOom: site.countsOom,
    operations: [
      ...rootOperations(site, spec.readOnly ?? false),
      ...kernelFileOperations(site),
      { kind: "hostname", name: spec.hostname },
      { kind: "pivot" },
    ],
  };
}

function filterOf({ seccomp, capabilities }: ContainerSpec, { architecture }: ContainerSite): Uint8Array {
  if (typeof seccomp === "object") return profileFilter(seccomp, architecture, capabilities);
  return seccomp ? defaultFilter(architecture, capabilities) : new Uint8Array();
}

/** There are no other groups to be in than those that are mapped. Throws a Failure for a user who is not. */
export function mappedUser(user: ContainerUser, ids: ContainerSite["ids"]): ContainerUser {
  if (user.uid < ids.users && user.gid < ids.groups)
    return { ...user, groups: user.groups.filter((group) => group < ids.groups) };
  const theirs = ids.users === 1 ? "only root" : `only the users below ${ids.users}`;
  throw new Failure("machine", `the container cannot run as ${user.uid}:${user.gid}: it has ${theirs}`, {
    code: "UNMAPPED_ID",
    hint: "install newuidmap (Debian: uidmap) and give yourself a range in /etc/subuid and /etc/subgid, or run as root",
  });
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
