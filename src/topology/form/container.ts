/** The file form of a container. */
import { capabilityNames } from "../../model/capability.js";
import * as z from "zod/mini";
import { form, size, some, text, whole } from "./text.js";

const environmentName = text("a name of an environment variable", (name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
const absolute = text(
  "an absolute path",
  (path) => path.startsWith("/") && !path.includes("\0") && !path.split("/").includes(".."),
  ["/srv/index.html"],
);
const user = text(
  "a user: NAME, UID, or with :GROUP behind it",
  (value) => /^([a-z_][a-z0-9_-]*|[0-9]+)(:([a-z_][a-z0-9_-]*|[0-9]+))?$/.test(value),
  ["1000:1000", "root"],
);

/** `net_raw`, `cap_net_raw` and `CAP_NET_RAW` are the same. */
export function capabilityName(text: string): string {
  return text.toLowerCase().replace(/^cap_/, "");
}

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
  seccomp: z.optional(z.boolean()),
});

export type ContainerForm = z.infer<typeof containerForm>;
