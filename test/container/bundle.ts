/**
 * A container's specification as an OCI bundle, for `runc`: written from the specification and Docker's defaults (moby,
 * oci/defaults.go), not from our program, so that a step which that forgets shows as a difference.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  allowed,
  allowedFamilies,
  allowedPersonalities,
  allowedWith,
  namespaceFlags,
} from "../../src/container/seccomp-policy.js";
import type { IdRange } from "../../src/init/id-ranges.js";
import type { ContainerSpec, ContainerUser, Limits } from "../../src/model/container.js";

export interface BundleOptions {
  readonly rootfs: string;
  readonly user: ContainerUser;
  readonly limits: Limits;
  /** Ids of the machine that are mapped from 0 up, as without root; absent: no user namespace. */
  readonly mapped?: { readonly users: readonly IdRange[]; readonly groups: readonly IdRange[] };
}

/** Writes `config.json` into the bundle's folder. */
export function writeBundle(folder: string, spec: ContainerSpec, options: BundleOptions): void {
  writeFileSync(join(folder, "config.json"), JSON.stringify(bundle(spec, options), undefined, 1));
}

function bundle(spec: ContainerSpec, { rootfs, user, limits, mapped }: BundleOptions) {
  const capabilities = spec.capabilities.map((name) => `CAP_${name.toUpperCase()}`);
  return {
    ociVersion: "1.0.2",
    hostname: spec.hostname,
    root: { path: rootfs, readonly: false },
    process: {
      terminal: false,
      args: spec.command,
      env: spec.environment.map(([name, value]) => `${name}=${value}`),
      cwd: spec.workingDirectory,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: true,
      rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }],
    },
    mounts: mounts(mapped),
    linux: {
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "uts", ...(mapped === undefined ? [] : ["user"])].map(
        (type) => ({ type }),
      ),
      ...(mapped === undefined ? {} : { uidMappings: mappings(mapped.users), gidMappings: mappings(mapped.groups) }),
      resources: {
        devices: [{ allow: false, access: "rwm" }],
        ...(limits.pids === undefined ? {} : { pids: { limit: limits.pids } }),
      },
      maskedPaths: [
        ...["acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"].map(
          (name) => `/proc/${name}`,
        ),
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
      ...(spec.seccomp ? { seccomp: seccomp(spec.capabilities) } : {}),
    },
  };
}

/** Ranges one after the other, from 0 up inside. */
function mappings(ranges: readonly IdRange[]) {
  return ranges.map(({ first, count }, index) => ({
    containerID: ranges.slice(0, index).reduce((sum, range) => sum + range.count, 0),
    hostID: first,
    size: count,
  }));
}

function mounts(mapped: BundleOptions["mapped"]) {
  const hasTerminalGroup = mapped === undefined || mapped.groups.length > 1;
  const strict = ["nosuid", "noexec", "nodev"];
  const mount = (destination: string, type: string, options: string[]) => ({
    destination,
    type,
    source: type,
    options,
  });
  return [
    mount("/proc", "proc", strict),
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", [
      ...["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      ...(hasTerminalGroup ? ["gid=5"] : []),
    ]),
    mount("/dev/shm", "tmpfs", [...strict, "mode=1777", "size=65536k"]),
    mount("/dev/mqueue", "mqueue", strict),
    mount("/sys", "sysfs", [...strict, "ro"]),
    ...(mapped !== undefined ? [] : [mount("/sys/fs/cgroup", "cgroup", [...strict, "ro"])]),
  ];
}

const argument = (value: number, op = "SCMP_CMP_EQ", valueTwo?: number) => ({
  args: [{ index: 0, value, op, ...(valueTwo === undefined ? {} : { valueTwo }) }],
});

/** Our policy in libseccomp's words. */
function seccomp(capabilities: readonly string[]) {
  const more = capabilities.flatMap((name) => allowedWith.get(name) ?? []);
  const allow = (names: readonly string[], args: object = {}) => ({ names, action: "SCMP_ACT_ALLOW", ...args });
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: [process.arch === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"],
    syscalls: [
      allow([...allowed, ...more]),
      ...allowedFamilies.map((family) => allow(["socket"], argument(family))),
      ...allowedPersonalities.map((persona) => allow(["personality"], argument(persona))),
      ...(more.includes("clone")
        ? []
        : [
            allow(["clone"], argument(namespaceFlags, "SCMP_CMP_MASKED_EQ", 0)),
            { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
          ]),
    ],
  };
}
