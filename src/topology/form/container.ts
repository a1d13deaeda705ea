/** The file form of a container. */
import { capabilityName, capabilityNames } from "../../model/capability.js";
import * as z from "zod/mini";
import { form, size, some, text, whole } from "./text.js";

const environmentName = text("a name of an environment variable", (name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
const absolute = text(
  "an absolute path",
  (path) => path.startsWith("/") && !path.includes("\0") && !path.split("/").includes(".."),
  ["/srv/index.html"],
);
/** Mount points of the kernel's own file systems, which a container always has as its own. */
const kernelPath = /^\/(proc|sys|dev)(\/|$)/;
const bindTarget = text(
  "an absolute path below /, not in /proc, /sys or /dev",
  (path) =>
    path.startsWith("/") &&
    /[^/]/.test(path) &&
    !path.includes("\0") &&
    !path.split("/").includes("..") &&
    !kernelPath.test(path),
  ["/srv"],
);
const machinePath = text("a path on the machine", (path) => path !== "" && !path.includes("\0"), ["site"]);
const user = text(
  "a user: NAME, UID, or with :GROUP behind it",
  (value) => /^([a-z_][a-z0-9_-]*|[0-9]+)(:([a-z_][a-z0-9_-]*|[0-9]+))?$/.test(value),
  ["1000:1000", "root"],
);

const capability = text(
  "a capability such as net_raw (capabilities(7)), or all",
  (name) => name === "all" || capabilityNames.some((known) => known === capabilityName(name)),
  ["net_raw"],
);

export const limitsForm = form("What the container may use at most.", {
  /** CPUs: 0.5 is half of one. */
  cpu: z.optional(
    z.number().check(z.minimum(0.01, "is less than 0.01 CPU"), z.maximum(4096, "is more than 4096 CPUs")),
  ),
  memory: z.optional(size),
  pids: z.optional(whole("a number of processes", 1, 4194304)),
  /** It runs on these CPUs only. */
  cpuset: z.optional(text("CPUs by number, such as 0-1,3", (list) => /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list), ["0-1"])),
  /** Bytes a second that it may read from each disk, and as many that it may write to it. */
  io: z.optional(size),
});

export const containerForm = form("A container that the node runs.", {
  command: z.array(z.string()).check(z.minLength(1, "is empty; it needs at least the program")),
  root: z.optional(
    text("a path of a directory or of a tar archive", (path) => path !== "" && !path.includes("\0"), ["/"]),
  ),
  environment: z.optional(z.record(environmentName, z.union([z.string(), z.number()]))),
  workingDirectory: z.optional(absolute),
  user: z.optional(z.union([user, whole("a user id", 0, 4294967294)])),
  hostname: z.optional(text("a host name", (name) => /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/.test(name))),
  /** Text, or its lines. */
  files: z.optional(z.record(absolute, z.union([z.string(), z.array(z.string())]))),
  limits: z.optional(limitsForm),
  capabilities: z.optional(
    form("Changes of the default set, which is Docker's.", {
      add: z.optional(some(capability)),
      drop: z.optional(some(capability)),
    }),
  ),
  /** `false` for none, or a profile in Docker's form; by default Docker's own. */
  seccomp: z.optional(z.union([z.boolean(), machinePath])),
  /** Files and folders of the machine, by their path inside. */
  binds: z.optional(
    z.record(
      bindTarget,
      z.union([machinePath, form("What is seen there.", { source: machinePath, readOnly: z.optional(z.boolean()) })]),
    ),
  ),
  /** Nothing of its root can be written. */
  readOnly: z.optional(z.boolean()),
});

export type ContainerForm = z.infer<typeof containerForm>;
