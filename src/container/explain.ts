/**
 * A program in words, with the shell line that would do the same: what yapc did as a shell script, and what yapc-init
 * does, step by step, in one process.
 */
import { capabilitiesOf } from "./capabilities.js";
import { type ContainerProgram, type ProgramOperation, mountFlag } from "./program.js";

export interface ExplainedStep {
  readonly what: string;
  /** Absent where no tool of the shell does it. */
  readonly shell?: string;
}

/**
 * Every step from the limits of its cgroups to exec. Paths inside are shown below the root that is put together.
 */
export function explainProgram(program: ContainerProgram, around: Surroundings = {}): readonly ExplainedStep[] {
  const { written = [], layer } = around;
  const steps = explainAll(program, written);
  if (layer === undefined || quote(layer) !== layer) return steps;
  const short = (text: string) => text.replaceAll(`${layer}/`, "$LAYER/");
  return [
    { what: "its own layer, and beside it where the root is put together", shell: `LAYER=${layer}` },
    ...steps.map(({ what, shell }) => ({ what: short(what), ...(shell === undefined ? {} : { shell: short(shell) }) })),
  ];
}

/** What is not in a program, and belongs to the story. */
export interface Surroundings {
  /** What its cgroups were told, path and value. */
  readonly written?: readonly (readonly [path: string, value: string])[];
  /** Folder of its upper layer: shown as `$LAYER`. */
  readonly layer?: string;
}

function explainAll(
  program: ContainerProgram,
  written: readonly (readonly [path: string, value: string])[],
): readonly ExplainedStep[] {
  return [...limits(written), ...prologue(program), ...explainOperations(program.operations), ...epilogue(program)];
}

function limits(written: readonly (readonly [path: string, value: string])[]): ExplainedStep[] {
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
  const folders = [...new Set(written.map(([path]) => folderOf(path)))];
  return folders.flatMap((folder) => [
    { what: `make the cgroup ${folder}`, shell: `mkdir -p ${quote(folder)}` },
    ...written
      .filter(([path]) => folderOf(path) === folder)
      .map(([path, value]) => ({
        what: `limit it: ${path.slice(folder.length + 1)} is ${value}`,
        shell: `echo ${quote(value)} > ${quote(path)}`,
      })),
  ]);
}

function prologue({ cgroupCount }: ContainerProgram): ExplainedStep[] {
  const cgroups: ExplainedStep = {
    what: `enter ${cgroupCount} ${cgroupCount === 1 ? "cgroup" : "cgroups"}, whose limits are set already`,
    shell: 'for group in $CGROUPS; do echo $$ > "$group/cgroup.procs"; done',
  };
  return [
    ...(cgroupCount === 0 ? [] : [cgroups]),
    {
      what: "join the node's network namespace, and without root the user namespace that owns it",
      shell: "nsenter --user=$NODE_USER --net=$NODE_NET",
    },
    {
      what: "make the other namespaces: cgroup, IPC, host name, mounts, processes",
      shell: "unshare --cgroup --ipc --uts --mount --propagation private --pid --fork",
    },
  ];
}

/** Operations on a new base show it; what they do below it is shown relative to it. */
function explainOperations(operations: readonly ProgramOperation[]): ExplainedStep[] {
  let base = "";
  return operations.map((operation) => {
    if (operation.kind === "base") base = operation.target;
    return explainOperation(operation, base);
  });
}

function explainOperation(operation: ProgramOperation, base: string): ExplainedStep {
  const path = "inside" in operation && operation.inside ? `${base}${operation.target}` : "";
  const target = quote(path === "" && "target" in operation ? operation.target : path);
  const orElse = "optional" in operation && operation.optional ? " || true" : "";
  switch (operation.kind) {
    case "base":
      return { what: `work below ${operation.target}, following no links`, shell: `cd ${target}` };
    case "mkdir": {
      const like = operation.like === undefined ? "" : `, with the mode of ${operation.like}`;
      const make = `mkdir -m ${operation.mode.toString(8)} ${target}${orElse}`;
      return { what: `make the folder ${operation.target}${like}`, shell: make };
    }
    case "write":
      return {
        what: `write ${operation.target}, ${new TextEncoder().encode(operation.content).length} bytes`,
        shell: `printf %s ${quote(abridge(operation.content))} > ${target}`,
      };
    case "copy":
      return { what: `copy ${operation.source}`, shell: `cp -np ${quote(operation.source)} ${target}${orElse}` };
    case "symlink":
      return { what: `link ${operation.target}`, shell: `ln -s ${quote(operation.text)} ${target}` };
    case "mount":
      if ((operation.flags & mountFlag.remount) !== 0)
        return {
          what: `no device opens in ${operation.target} but those`,
          shell: `mount ${optionText(operation.flags, operation.options)}${target}`,
        };
      return {
        what: `mount ${operation.type} on ${operation.target}`,
        shell: `mount -t ${operation.type} ${optionText(operation.flags, operation.options)}${operation.type} ${target}${orElse}`,
      };
    case "bind": {
      const how = (operation.flags & mountFlag.recursive) === 0 ? "--bind" : "--rbind";
      const restricted = optionText(operation.flags | mountFlag.remount | mountFlag.bind, "");
      const then = (operation.flags & ~mountFlag.recursive) === 0 ? "" : ` && mount ${restricted}${target}`;
      return {
        what: `show ${operation.source} at ${operation.target}${isReadOnly(operation.flags) ? ", read-only" : ""}`,
        shell: `mount ${how} ${quote(operation.source)} ${target}${then}`,
      };
    }
    case "makeDevice": {
      const { major, minor } = operation.device;
      return {
        what: `make the device ${operation.target}`,
        shell: `mknod -m ${operation.mode.toString(8)} ${target} c ${major} ${minor}`,
      };
    }
    case "bindDevice":
      return {
        what: `show the machine's ${operation.source}, once it is seen to be that device`,
        shell: `touch ${target} && mount --bind ${quote(operation.source)} ${target}`,
      };
    case "mask":
      return {
        what: `hide ${operation.target}`,
        shell: `mount --bind /dev/null ${target} # or an empty read-only tmpfs`,
      };
    case "readOnly":
      if (operation.target === "/")
        return { what: "make the root read-only", shell: `mount -o remount,bind,ro ${quote(base)} # and all below it` };
      return {
        what: `make ${operation.target} read-only`,
        shell: `mount --rbind ${target} ${target} && mount -o remount,bind,ro ${target}`,
      };
    case "hostname":
      return { what: `the host name is ${operation.name}`, shell: `hostname ${quote(operation.name)}` };
    case "pivot":
      return {
        what: "the base becomes the root, and the machine's tree is let go",
        shell: `cd ${quote(base)} && pivot_root . . && umount -l . && cd /`,
      };
  }
}

function isReadOnly(flags: number): boolean {
  return (flags & mountFlag.readOnly) !== 0;
}

function optionText(flags: number, options: string): string {
  const words: [number, string][] = [
    [mountFlag.remount, "remount"],
    [mountFlag.bind, "bind"],
    [mountFlag.readOnly, "ro"],
    [mountFlag.noSuid, "nosuid"],
    [mountFlag.noDev, "nodev"],
    [mountFlag.noExec, "noexec"],
    [mountFlag.strictAtime, "strictatime"],
  ];
  const all = [
    ...words.filter(([flag]) => (flags & flag) !== 0).map(([, word]) => word),
    ...(options === "" ? [] : [options]),
  ];
  return all.length === 0 ? "" : `-o ${quote(all.join(","))} `;
}

function epilogue(program: ContainerProgram): ExplainedStep[] {
  const { user, filter } = program;
  const kept = capabilitiesOf(program.capabilities);
  const set = ["-all", ...kept.map((name) => `+${name}`)].join(",");
  const groups = user.groups.length === 0 ? "--clear-groups" : `--groups ${user.groups.join(",")}`;
  const filtered: ExplainedStep = { what: `filter system calls: ${filter.length / 8} instructions of BPF` };
  const variables = program.environment.map(([name, value]) => quote(`${name}=${value}`));
  return [
    { what: "a keyring of its own", shell: "keyctl new_session" },
    { what: "start the command; what stays is PID 1, which keeps the right to signal and nothing else" },
    { what: "no core files", shell: "ulimit -c 0" },
    {
      what: `keep ${kept.length} capabilities, none to inherit`,
      shell: `setpriv --bounding-set ${set} --inh-caps=-all --ambient-caps=-all`,
    },
    {
      what: `become user ${user.uid}, group ${user.gid}`,
      shell: `setpriv --reuid ${user.uid} --regid ${user.gid} ${groups}`,
    },
    {
      what: "enter the working directory, which must lie inside and not in /proc",
      shell: `cd ${quote(program.workingDirectory)}`,
    },
    { what: "close every file but 0, 1 and 2", shell: "exec 3>&- 4>&- # and so on" },
    { what: "no new privileges, not by setuid and not by file capabilities", shell: "setpriv --no-new-privs" },
    ...(filter.length === 0 ? [] : [filtered]),
    { what: "run the command", shell: ["exec env -i", ...variables, ...program.command.map(quote)].join(" ") },
  ];
}

function abridge(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** A word as sh(1) reads it. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
