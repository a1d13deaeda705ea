/**
 * Names of containers where no engine tells them: what watches over a container was started with its name (conmon, of
 * Podman and CRI-O), or with a folder in which containerd keeps it.
 */
import { readFileSync } from "node:fs";
import type { ContainerId } from "./container-id.js";
import type { NamedContainer } from "./docker-api.js";

export interface MemberProcess extends ContainerId {
  /** The first of its processes that was found. */
  readonly pid: number;
}

/** @param read text of a file, undefined where it is gone or not for us to read */
export function nameByRuntime(
  { pid, id }: MemberProcess,
  read: (file: string) => string | undefined = readQuietly,
): NamedContainer | undefined {
  // A process that joined the container later may have another parent; its ancestors end at the watcher, or at none.
  let ancestor = parentOf(pid, read);
  for (let generation = 0; ancestor !== undefined && ancestor > 1 && generation < 8; generation += 1) {
    const words = read(`/proc/${ancestor}/cmdline`)?.split("\0") ?? [];
    const name = conmonName(words, id) ?? containerdName(words, id, read);
    if (name !== undefined) return { id, name };
    ancestor = parentOf(ancestor, read);
  }
  return undefined;
}

/** Field 4 of /proc/PID/stat, counted from behind the name, which may hold blanks and brackets. */
function parentOf(pid: number, read: (file: string) => string | undefined): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return parent === undefined ? undefined : Number(parent);
}

/** `conmon … -c ID … -n NAME` (conmon(8)). */
function conmonName(words: readonly string[], id: string): string | undefined {
  if (!/(^|\/)conmon$/.test(words[0] ?? "")) return undefined;
  const after = (...flags: readonly string[]): string | undefined =>
    words[words.findIndex((word, at) => at > 0 && flags.includes(word)) + 1];
  const name = after("-n", "--name");
  return after("-c", "--cid") === id && name !== undefined && name !== words[0] && name !== "" ? name : undefined;
}

/**
 * `containerd-shim-runc-v2 -namespace NS -id ID …`: the bundle's config.json has the name that nerdctl or Kubernetes
 * gave. In a pod the shim was started for the sandbox, and serves its other containers, too.
 */
function containerdName(
  words: readonly string[],
  id: string,
  read: (file: string) => string | undefined,
): string | undefined {
  if (!/(^|\/)containerd-shim(-[a-z0-9-]+)?$/.test(words[0] ?? "")) return undefined;
  const namespace = words[words.indexOf("-namespace") + 1];
  if (!words.includes("-namespace") || namespace === undefined || !/^[a-zA-Z0-9._-]+$/.test(namespace))
    return undefined;
  const text = read(`/run/containerd/io.containerd.runtime.v2.task/${namespace}/${id}/config.json`);
  return text === undefined ? undefined : annotatedName(text);
}

/** `pod.container` under Kubernetes, of the pod's sandbox the pod. */
export function annotatedName(config: string): string | undefined {
  let annotations: unknown;
  try {
    annotations = (JSON.parse(config) as { annotations?: unknown }).annotations;
  } catch {
    return undefined; // half written
  }
  if (typeof annotations !== "object" || annotations === null) return undefined;
  const said = annotations as Readonly<Record<string, unknown>>;
  const text = (key: string): string | undefined => {
    const value = said[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const pod = text("io.kubernetes.cri.sandbox-name") ?? text("io.kubernetes.cri-o.KubeName");
  const container = text("io.kubernetes.cri.container-name");
  if (pod !== undefined) return container === undefined ? pod : `${pod}.${container}`;
  return text("nerdctl/name");
}

function readQuietly(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // it has ended, or is somebody else's
  }
}
