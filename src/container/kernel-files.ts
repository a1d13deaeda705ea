/** /proc, /sys and /dev of a container (values of Docker's default, moby: oci/defaults.go). */
import type { ContainerSite } from "../model/container.js";
import { type Device, type ProgramOperation, mountFlag } from "./program.js";

const { readOnly, noSuid, noDev, noExec, strictAtime, remount, bind } = mountFlag;
const strict = noSuid | noDev | noExec;

const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

const readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const devices: readonly (readonly [name: string, device: Device])[] = [
  ["null", { major: 1, minor: 3 }],
  ["zero", { major: 1, minor: 5 }],
  ["full", { major: 1, minor: 7 }],
  ["random", { major: 1, minor: 8 }],
  ["urandom", { major: 1, minor: 9 }],
  ["tty", { major: 5, minor: 0 }],
];

const links: readonly (readonly [name: string, text: string])[] = [
  ["ptmx", "pts/ptmx"],
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
];

function mount(type: string, target: string, flags: number, options = "", optional = false): ProgramOperation {
  return { kind: "mount", type, target, inside: true, flags, options, ...(optional ? { optional } : {}) };
}

export function kernelFileOperations(site: ContainerSite): ProgramOperation[] {
  return [
    mount("proc", "/proc", strict),
    // After the network namespace was joined: sysfs shows the interfaces of the namespace that mounts it.
    mount("sysfs", "/sys", strict | readOnly),
    ...cgroupOperations(site),
    ...maskedPaths.map((target): ProgramOperation => ({ kind: "mask", target, inside: true })),
    ...readOnlyPaths.map((target): ProgramOperation => ({ kind: "readOnly", target, inside: true })),
    ...deviceOperations(site),
  ];
}

/** What the cgroup namespace shows, read-only; an ordinary user may not mount version 1. */
function cgroupOperations({ cgroups }: ContainerSite): ProgramOperation[] {
  const target = "/sys/fs/cgroup";
  if (cgroups.length === 0) return [];
  if (cgroups.every(({ version }) => version === 2)) return [mount("cgroup2", target, strict | readOnly, "", true)];
  return [
    mount("tmpfs", target, strict, "mode=755,size=64k", true),
    ...cgroups.flatMap(({ version, controllers }): ProgramOperation[] => {
      const below = `${target}/${version === 2 ? "unified" : controllers}`;
      const options = version === 2 ? "" : controllers;
      return [
        { kind: "mkdir", target: below, inside: true, mode: 0o755, optional: true },
        mount(version === 2 ? "cgroup2" : "cgroup", below, strict | readOnly, options, true),
      ];
    }),
    { kind: "readOnly", target, inside: true, optional: true },
  ];
}

/**
 * No file system of a container opens devices: root has `mknod`, and there is no device cgroup that would keep it from the
 * machine's disks. What /dev is to have is shown on itself before /dev is given `nodev` too: a mount of its own keeps the
 * flags that it was made with. In a user namespace the kernel does so by itself (SB_I_NODEV).
 */
function deviceOperations({ root, rootless, ids }: ContainerSite): ProgramOperation[] {
  // Where a single group is mapped there is no group 5 (tty) to give the terminals to.
  const terminals = `newinstance,ptmxmode=0666,mode=0620${ids.groups > 5 ? ",gid=5" : ""}`;
  return [
    mount("tmpfs", "/dev", noSuid | strictAtime, "mode=755,size=64m"),
    ...devices.flatMap(([name, device]): ProgramOperation[] => {
      const target = `/dev/${name}`;
      // mknod is refused in a user namespace: the machine's device is bound, once it is seen to be that device.
      return rootless
        ? [{ kind: "bindDevice", target, inside: true, source: target, device }]
        : [
            { kind: "makeDevice", target, inside: true, mode: 0o666, device },
            { kind: "bind", target, inside: true, source: `${root}${target}`, flags: 0 },
          ];
    }),
    ...(rootless ? [] : [mount("tmpfs", "/dev", remount | bind | noSuid | noDev | strictAtime)]),
    ...links.map(([name, text]): ProgramOperation => ({ kind: "symlink", target: `/dev/${name}`, inside: true, text })),
    ...["pts", "shm", "mqueue"].map((name): ProgramOperation => ({
      kind: "mkdir",
      target: `/dev/${name}`,
      inside: true,
      mode: 0o755,
    })),
    mount("devpts", "/dev/pts", noSuid | noExec, terminals),
    mount("tmpfs", "/dev/shm", strict, "mode=1777,size=64m"),
    mount("mqueue", "/dev/mqueue", strict, "", true),
  ];
}
