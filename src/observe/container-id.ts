/** Which container a process belongs to, by its cgroup: runtimes write the container's id into the path. */

export interface ContainerId {
  readonly runtime: "docker" | "podman" | "containerd" | "cri-o" | "container";
  /** 64 hexadecimal digits. */
  readonly id: string;
}

/** Names of scopes that systemd keeps, by their beginning. */
const prefixes: Readonly<Record<string, ContainerId["runtime"]>> = {
  docker: "docker",
  libpod: "podman",
  "cri-containerd": "containerd",
  nerdctl: "containerd",
  crio: "cri-o",
};

/** Folders that a runtime puts its containers in, where it makes the groups itself. */
const folders: Readonly<Record<string, ContainerId["runtime"]>> = {
  docker: "docker",
  libpod_parent: "podman",
  "k8s.io": "containerd",
  default: "containerd",
};

/** @param text of /proc/PID/cgroup (cgroups(7)): `HIERARCHY:CONTROLLERS:PATH`, one a line */
export function containerIdOf(text: string): ContainerId | undefined {
  for (const line of text.split("\n")) {
    const folder = line.split(":").slice(2).join(":");
    const parts = folder.split("/");
    // The innermost: a container may run a runtime of its own.
    for (let at = parts.length - 1; at > 0; at -= 1) {
      const found = readPart(parts[at] ?? "", parts[at - 1] ?? "");
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function readPart(part: string, parent: string): ContainerId | undefined {
  const [, prefix, id] = /^(?:([a-z-]+)-)?([0-9a-f]{64})(?:\.scope)?$/.exec(part) ?? [];
  if (id === undefined) return undefined;
  const runtime = prefix === undefined ? folders[parent] : prefixes[prefix];
  if (runtime !== undefined) return { runtime, id };
  // `libpod-conmon-…` and the like: what watches a container, and is not in it.
  return prefix === undefined ? { runtime: /^pod[0-9a-f]/.test(parent) ? "containerd" : "container", id } : undefined;
}
