/** What runs in a node: of a lab as its file had it; of an engine's container something that listens where it did. */
import type { ExpectationForm, TopologyForm } from "../form/file.js";
import type { ContainerForm } from "../form/container.js";
import type { NodeForm } from "../form/node.js";
import type { ResolvedNode, ResolvedTopology } from "../resolved.js";
import { defaultCapabilities } from "../../model/capability.js";
import { defaultPath } from "../container.js";
import type { ImportedNode } from "./node.js";

type Contained = Pick<NodeForm, "container" | "ready">;

/** So many ports get a stand-in. */
const mostPorts = 16;

/**
 * An image cannot be written down. Its place takes a web server of busybox on each TCP port that the container listens
 * on beyond its loopback, so that what reached it still does.
 */
export function standIn({ snapshot, notes }: ImportedNode): Contained | undefined {
  if (snapshot.role !== "container") return undefined;
  const open = snapshot.listeners.filter(({ address }) => !address.startsWith("127.") && address !== "::1");
  const ports = [...new Set(open.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port))].sort(
    (a, b) => a - b,
  );
  const datagrams = [...new Set(open.filter(({ protocol }) => protocol === "udp").map(({ port }) => port))];
  const [image] = (snapshot.containers ?? []).flatMap((each) => each.image ?? []);
  const served = ports.slice(0, mostPorts);
  const what = image === undefined ? "its program" : `its image (${image})`;
  notes.push(
    served.length === 0
      ? `${what} is not carried: the node sleeps`
      : `${what} is not carried: busybox httpd answers on ${served.map((port) => `tcp/${port}`).join(", ")}`,
  );
  if (datagrams.length > 0) notes.push(`nobody listens on ${datagrams.map((port) => `udp/${port}`).join(", ")}`);
  if (served.length === 0) return { container: { command: ["sleep", "infinity"] } };
  const servers = served.map((port) => `busybox httpd -p ${port} -h /srv`);
  return {
    container: {
      command: ["sh", "-c", [...servers, "exec sleep infinity"].join("; ")],
      files: { "/srv/index.html": `${snapshot.name}\n` },
    },
    ready: served.map((port) => `tcp/${port}`),
  };
}

/** What the lab runs, every default written out. */
export function labContainer({ container, ready, name }: ResolvedNode): Contained {
  const ports = ready.map(({ protocol, port }) => `${protocol}/${port}`);
  const waits = ports.length === 0 ? {} : { ready: ports };
  if (container === undefined) return waits;
  const { command, root, environment, workingDirectory, user, hostname, files, limits, capabilities, seccomp } =
    container;
  const own = environment.filter(([key, value]) => key !== "PATH" || value !== defaultPath);
  const usual = capabilities.join() === defaultCapabilities.toSorted().join();
  const form: ContainerForm = {
    command: [...command],
    ...(root === "/" ? {} : { root }),
    ...(own.length === 0 ? {} : { environment: Object.fromEntries(own) }),
    ...(workingDirectory === "/" ? {} : { workingDirectory }),
    ...(user === "root" ? {} : { user }),
    ...(hostname === name ? {} : { hostname }),
    ...(files.length === 0 ? {} : { files: Object.fromEntries(files) }),
    ...(Object.keys(limits).length === 0
      ? {}
      : {
          limits: {
            ...(limits.cpu === undefined ? {} : { cpu: limits.cpu }),
            ...(limits.memory === undefined ? {} : { memory: String(limits.memory) }),
            ...(limits.pids === undefined ? {} : { pids: limits.pids }),
          },
        }),
    ...(usual ? {} : { capabilities: { drop: "all", add: [...capabilities] } }),
    ...(seccomp ? {} : { seccomp }),
  };
  return { container: form, ...waits };
}

export function labExpectations({ expectations }: ResolvedTopology): NonNullable<TopologyForm["expect"]> {
  return expectations.map((each): ExpectationForm => {
    const { from, to, verdict, reaches, via, notVia, between, cause, seenAs, within } = each;
    return {
      ...{ from, to, verdict },
      ...(reaches === undefined ? {} : { reaches }),
      ...(via.length === 0 ? {} : { via: [...via] }),
      ...(notVia.length === 0 ? {} : { notVia: [...notVia] }),
      ...(between === undefined ? {} : { between: [...between] }),
      ...(cause === undefined ? {} : { cause }),
      ...(seenAs === undefined ? {} : { seenAs }),
      ...(within === undefined ? {} : { within: `${within}ns` }),
    };
  });
}
