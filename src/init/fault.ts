/**
 * What yapc-init reports when something fails, (step, path, errno), as a `Failure` that a person can act on.
 */
import { Failure, type FailureKind } from "../model/failure.js";
import { errnoName, errnoText } from "../kernel/errno.js";

export interface Fault {
  readonly errno: number;
  /** What was tried: `make a user namespace`. */
  readonly step: string;
  /** On what; may be empty. */
  readonly path: string;
}

interface Advice {
  readonly step: RegExp;
  readonly codes: readonly string[];
  readonly kind: FailureKind;
  readonly hint: string;
}

const userNamespaceHint =
  "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, on Ubuntu 24.04 sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root";

/** First match wins. */
const advice: readonly Advice[] = [
  {
    step: /user namespace|self\/(uid_map|gid_map|setgroups)/,
    codes: ["EPERM", "EACCES"],
    kind: "machine",
    hint: userNamespaceHint,
  },
  {
    step: /namespace/,
    codes: ["ENOSPC"],
    kind: "machine",
    hint: "too many namespaces: end some (yapc-net ls), or raise the limit that is reached: sysctl user | grep max_",
  },
  {
    step: /namespace/,
    codes: ["EPERM"],
    kind: "machine",
    hint: "run as root, or allow user namespaces for ordinary users",
  },
  { step: /^make the lab's namespaces/, codes: ["EACCES"], kind: "machine", hint: userNamespaceHint },
  {
    step: /^mount the lab's \/proc/,
    codes: ["EPERM", "EACCES"],
    kind: "machine",
    hint: "a container that masks parts of /proc allows no new one: run outside it, or with its masks off (docker run --security-opt systempaths=unconfined)",
  },
  { step: /^find the node/, codes: ["ENOENT"], kind: "usage", hint: "`yapc-net inspect` lists the nodes of a lab" },
  {
    step: /^mount overlay/,
    codes: ["EINVAL"],
    kind: "machine",
    hint: "the lab's state folder, or the container's root, lies on a file system that overlayfs cannot use (another overlay, NFS): mount a tmpfs for the state",
  },
  {
    step: /^become the user/,
    codes: ["EINVAL"],
    kind: "machine",
    hint: "without root a container has one user: root, who is you outside",
  },
  {
    step: /^open the sysctl net\.bridge\./,
    codes: ["ENOENT"],
    kind: "machine",
    hint: "the kernel needs br_netfilter (CONFIG_BRIDGE_NETFILTER): modprobe br_netfilter",
  },
  {
    step: /^run \//,
    codes: ["ENOENT"],
    kind: "machine",
    hint: "there is no such file there, or the interpreter that it names is missing",
  },
  {
    step: /^run /,
    codes: ["ENOENT"],
    kind: "machine",
    hint: "no folder of its PATH has such a program there",
  },
  {
    step: /^run /,
    codes: ["EACCES"],
    kind: "machine",
    hint: "it is a folder, or not executable for this user: chmod +x",
  },
  {
    step: /^run /,
    codes: ["EPERM"],
    kind: "machine",
    hint: "the file asks for a capability that the container does not have (getcap), or its seccomp profile forbids execve",
  },
  { step: /^run /, codes: ["ENOEXEC"], kind: "machine", hint: "it is no program for this machine" },
  { step: /^enter /, codes: ["ENOENT"], kind: "usage", hint: "the working directory is a folder of the container" },
  {
    step: /^set up the process/,
    codes: ["ENOMEM"],
    kind: "machine",
    hint: "the memory limit is too small to start anything: at least 4M",
  },
  {
    step: /^start (the command|a process)/,
    codes: ["EAGAIN"],
    kind: "machine",
    hint: "too many processes: raise the pids limit of the container (PID 1 is one of them), ulimit -u, or sysctl kernel.pid_max",
  },
  {
    step: /open files|descriptor|socket|namespace/,
    codes: ["EMFILE", "ENFILE"],
    kind: "machine",
    hint: "raise the limit of open files: ulimit -Hn",
  },
];

/** @param where the lab or node that it happened in, for the sentence */
export function faultFailure(fault: Fault, where?: string): Failure {
  const code = errnoName(fault.errno);
  const what = fault.path === "" ? fault.step : `${fault.step} ${fault.path}`;
  const match = advice.find(({ step, codes }) => step.test(what) && codes.includes(code));
  return new Failure(
    match?.kind ?? "kernel",
    `cannot ${what}${where === undefined ? "" : ` in ${where}`}: ${errnoText(fault.errno)} (${code})`,
    { code, ...(match === undefined ? {} : { hint: match.hint }), ...runStatus(fault.step, code) },
  );
}

/** As shells have it: 127 where a command is not there, 126 where it may not be run. */
function runStatus(step: string, code: string): { readonly status?: 126 | 127 } {
  if (step !== "run") return {};
  return { status: code === "ENOENT" ? 127 : 126 };
}
