/** Names of the capabilities of Linux 6, in the order of their numbers (linux/capability.h; capabilities(7)). */
export const capabilityNames = [
  "chown",
  "dac_override",
  "dac_read_search",
  "fowner",
  "fsetid",
  "kill",
  "setgid",
  "setuid",
  "setpcap",
  "linux_immutable",
  "net_bind_service",
  "net_broadcast",
  "net_admin",
  "net_raw",
  "ipc_lock",
  "ipc_owner",
  "sys_module",
  "sys_rawio",
  "sys_chroot",
  "sys_ptrace",
  "sys_pacct",
  "sys_admin",
  "sys_boot",
  "sys_nice",
  "sys_resource",
  "sys_time",
  "sys_tty_config",
  "mknod",
  "lease",
  "audit_write",
  "audit_control",
  "setfcap",
  "mac_override",
  "mac_admin",
  "syslog",
  "wake_alarm",
  "block_suspend",
  "audit_read",
  "perfmon",
  "bpf",
  "checkpoint_restore",
] as const;

/** Docker's (moby, oci/caps/defaults.go), sorted. */
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

/** `net_raw`, `cap_net_raw` and `CAP_NET_RAW` are the same. */
export function capabilityName(text: string): string {
  return text.toLowerCase().replace(/^cap_/, "");
}

/** First what is dropped, then what is added, so that `all` dropped and one added leaves just that. @returns sorted */
export function changedCapabilities(
  from: readonly string[],
  { drop, add }: { readonly drop: readonly string[]; readonly add: readonly string[] },
): string[] {
  const kept = drop.includes("all") ? [] : from.filter((name) => !drop.includes(name));
  const added = add.includes("all") ? capabilityNames : add;
  return [...new Set([...kept, ...added])].toSorted();
}
